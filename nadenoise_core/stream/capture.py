"""Raw capture: every scan that comes is also written to an ISMRMRD file, beside the stream."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from uuid import uuid4

import ismrmrd

from nadenoise_core.errors import OutputError
from nadenoise_core.files import make_folder
from nadenoise_core.mrd.rawfile import write_raw_file
from nadenoise_core.mrd.scan import Scan

_GIVING_UP = 1.0  # s
_WAITING = 4096  # acquisitions; a disc that is further behind than this has stalled

_log = logging.getLogger("nadenoise.capture")


class Captures:
    """Writes every scan to a file in a folder.

    Args:
        folder: of the files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unfinished: list[Capture] = []

    def watch(self, number: int) -> Capture:
        """An observer of the scan of a number."""
        capture = Capture(self._folder, number)
        self._unfinished = [*(one for one in self._unfinished if one.is_writing), capture]
        return capture

    def finish(self, seconds: float) -> bool:
        """Wait until all files are whole, for so many seconds at most: whether they are; the others are given up."""
        give_up = time.monotonic() + seconds
        for capture in self._unfinished:
            capture.finish(max(give_up - time.monotonic(), 0.0))
        return not any(capture.is_writing for capture in self._unfinished)


class Capture:
    """Writes one scan to a file, on a thread of its own: a full or slow disc stops it, not the scan.

    The file holds the acquisitions in the order in which they came, also those of a scan that failed, and appears
    under its name, which no other file has, when the scan is over. Waveforms are not kept.

    Args:
        folder: of the file.
        number: of the scan.
    """

    def __init__(self, folder: Path, number: int) -> None:
        moment = time.strftime("%Y%m%d_%H%M%S")  # which comes twice: a clock is set, or two servers run
        self.path = folder / f"scan_{moment}_{number:04d}_{uuid4().hex[:8]}.h5"
        self._queue: SimpleQueue[ismrmrd.Acquisition | None] = SimpleQueue()
        self._stopped = False
        self._thread: threading.Thread | None = None

    @property
    def is_writing(self) -> bool:
        """Whether the file is being written."""
        return self._thread is not None and self._thread.is_alive()

    def begin(self, scan: Scan, header_xml: bytes) -> None:
        thread = threading.Thread(
            target=self._write, args=(header_xml,), name=f"capture of {self.path.name}", daemon=True
        )
        thread.start()
        self._thread = thread

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

    def finish(self, seconds: float) -> None:
        """Wait until the file is whole, for so many seconds at most, and give it up if it is not."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(seconds)
            if self.is_writing:
                self._stop("the disc is too slow")
                self._thread.join(_GIVING_UP)

    def _write(self, header_xml: bytes) -> None:
        try:
            make_folder(self.path.parent)
            write_raw_file(self.path, header_xml, self._arriving(), replace=False)
        except (OutputError, OSError) as error:
            self._stop(str(error))
        except Exception as error:  # of whatever type a library chooses
            self._stop(f"a fault of nadenoise, {type(error).__name__}")

    def _arriving(self) -> Iterator[ismrmrd.Acquisition]:
        while (acquisition := self._queue.get()) is not None:
            if self._stopped:
                raise OutputError(f"cannot write {self.path}: it was given up")
            yield acquisition

    def _stop(self, reason: str) -> None:
        if not self._stopped:
            self._stopped = True
            _log.error("the raw data of this scan are not captured: %s", reason)
