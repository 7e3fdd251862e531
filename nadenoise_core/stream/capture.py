"""Raw capture: every scan that comes is also written to an ISMRMRD file, beside the stream."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import ismrmrd

from nadenoise_core.errors import OutputError
from nadenoise_core.mrd.rawfile import write_raw_file
from nadenoise_core.mrd.scan import Scan

_WAITING = 4096  # acquisitions; a disc that is further behind than this has stalled

_log = logging.getLogger("nadenoise.capture")


class Capture:
    """Writes one scan to a file in a folder, on a thread of its own: a full or slow disc stops it, not the scan.

    The file holds the acquisitions in the order in which they came, also those of a scan that failed, and appears
    under its name when the scan is over. Waveforms are not kept.

    Args:
        folder: of the files.
        number: of the scan.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self.path = folder / f"scan_{time.strftime('%Y%m%d_%H%M%S')}_{number:04d}.h5"
        self._queue: SimpleQueue[ismrmrd.Acquisition | None] = SimpleQueue()
        self._stopped = False

    def begin(self, scan: Scan, header_xml: bytes) -> None:
        threading.Thread(target=self._write, args=(header_xml,), name=f"capture of {self.path.name}").start()

    def acquisition(self, acquisition: ismrmrd.Acquisition) -> None:
        if self._stopped:
            return
        if self._queue.qsize() > _WAITING:
            self._stop("the disc is too slow")
        self._queue.put(acquisition)

    def image(self, image: ismrmrd.Image) -> None:
        pass

    def end(self, error: Exception | None) -> None:
        self._queue.put(None)

    def _write(self, header_xml: bytes) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_raw_file(self.path, header_xml, self._arriving())
        except (OutputError, OSError) as error:
            self._stop(str(error))

    def _arriving(self) -> Iterator[ismrmrd.Acquisition]:
        while (acquisition := self._queue.get()) is not None:
            if self._stopped:
                raise OutputError(f"cannot write {self.path}: it was given up")
            yield acquisition

    def _stop(self, reason: str) -> None:
        if not self._stopped:
            self._stopped = True
            _log.error("the raw data of this scan are not captured: %s", reason)
