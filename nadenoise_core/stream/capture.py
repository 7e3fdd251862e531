"""Raw capture: every scan that comes is also written to an ISMRMRD file, beside the stream.

Where a scan runs, its data go as they come into a spool, which is a stream of messages as `nadenoise stream` takes it;
the server makes the file of the spool when the scan is over. So a scan whose process dies leaves what had come.
"""

from __future__ import annotations

import io
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from uuid import uuid4

import ismrmrd

from nadenoise_core.errors import ConnectionFailed, OutputError, reason_of
from nadenoise_core.files import make_folder
from nadenoise_core.mrd.rawfile import write_raw_file
from nadenoise_core.mrd.scan import Scan
from nadenoise_core.stream import messages
from nadenoise_core.stream.observers import Notify
from nadenoise_core.stream.wire import Wire

_ENDING = 5.0  # s for what waits to reach the disc at the end of a scan
_GIVING_UP = 1.0  # s
_WAITING = 4096  # acquisitions; a disc that is further behind than this has stalled

_log = logging.getLogger("nadenoise.capture")


class Captures:
    """Writes every scan to a file in a folder; a watch of `stream.observers`.

    Args:
        folder: of the files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._spools: dict[int, Path] = {}  # of scans that run, by number
        self._unfinished: list[_Filing] = []

    @property
    def observer(self) -> Callable[[int, Notify], Capture]:
        """Makes the observer of a scan."""
        return partial(Capture, self._folder)

    def notified(self, number: int, message: Path) -> None:
        """The data of a scan go into a spool."""
        with self._lock:
            self._spools[number] = message

    def over(self, number: int, failure: str) -> None:
        """Make the file of a scan, also of one that failed, on a thread of its own."""
        with self._lock:
            spool = self._spools.pop(number, None)
            if spool is not None and spool.exists():
                filing = _Filing(spool)
                self._unfinished = [*(one for one in self._unfinished if one.is_alive()), filing]
                filing.start()

    def finish(self, seconds: float) -> bool:
        """Wait until all files are whole, for so many seconds at most: whether they are; the others are given up."""
        give_up = time.monotonic() + seconds
        for filing in self._unfinished:
            filing.join(max(give_up - time.monotonic(), 0.0))
            if filing.is_alive():
                filing.stopped.set()
                filing.join(_GIVING_UP)
        return not any(filing.is_alive() for filing in self._unfinished)


class Capture:
    """Writes one scan to a spool, on a thread of its own: a full or slow disc stops it, not the scan.

    The spool holds the acquisitions in the order in which they came. Waveforms are not kept.

    Args:
        folder: of the spool, and of the file that is made of it.
        number: of the scan.
        notify: called with the path of the spool.
    """

    def __init__(self, folder: Path, number: int, notify: Notify) -> None:
        moment = time.strftime("%Y%m%d_%H%M%S")  # which comes twice: a clock is set, or two servers run
        self._folder = folder
        self.path = self._spool(f"{moment}_{number:04d}")
        self._notify = notify
        self._queue: SimpleQueue[ismrmrd.Acquisition | None] = SimpleQueue()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def begin(self, scan: Scan, header_xml: bytes) -> None:
        if scan.deidentification is not None:  # the time of a scan tells of whom it is
            self.path = self._spool(scan.deidentification.name)
        thread = threading.Thread(
            target=self._write, args=(scan, header_xml), name=f"capture of {self.path.name}", daemon=True
        )
        self._notify(self.path)
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
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(_ENDING)
            if self._thread.is_alive():
                self._stop("the disc is too slow")

    def _spool(self, name: str) -> Path:
        return self._folder / f"scan_{name}_{uuid4().hex[:8]}.mrd"

    def _write(self, scan: Scan, header_xml: bytes) -> None:
        arriving: Iterator[ismrmrd.Acquisition] = iter(self._queue.get, None)
        if scan.deidentification is not None:
            arriving = scan.deidentification.acquisitions(arriving)
        try:
            make_folder(self.path.parent)
            with open(self.path, "xb", opener=_for_us_alone) as spool:
                spool.write(messages.text_message(messages.HEADER, header_xml))
                spool.flush()
                for acquisition in arriving:
                    if self._stopped:
                        break
                    spool.write(messages.item_message(acquisition))
                    if self._queue.empty():
                        spool.flush()
                spool.write(messages.close_message())
        except OSError as error:
            self._stop(f"cannot write {self.path}: {reason_of(error)}; check the folder and its free space")
        except Exception as error:  # of whatever type a library chooses
            self._stop(f"a fault of nadenoise, {type(error).__name__}")
        if self._stopped:
            with suppress(OSError):
                self.path.unlink()

    def _stop(self, reason: str) -> None:
        if not self._stopped:
            self._stopped = True
            _log.warning("the raw data of this scan are not captured: %s", reason)


class _Filing(threading.Thread):
    """Makes an ISMRMRD file of a spool, which is then gone.

    Attributes:
        stopped: set when no one waits for it any longer.
    """

    def __init__(self, spool: Path) -> None:
        super().__init__(name=f"filing of {spool.name}", daemon=True)
        self._spool = spool
        self.stopped = threading.Event()

    def run(self) -> None:
        try:
            with self._spool.open("rb") as stream:
                wire = Wire.of_files(stream, io.BytesIO())
                with suppress(ConnectionFailed):  # the process died before the header was written
                    messages.read_identifier(wire)
                    header_xml = messages.read_header(wire)
                    write_raw_file(self._spool.with_suffix(".h5"), header_xml, self._acquisitions(wire), replace=False)
            self._spool.unlink(missing_ok=True)  # a capture that was given up takes it away by itself
        except Exception as error:  # of whatever type a library chooses
            why = error if isinstance(error, OutputError) else f"a fault of nadenoise, {type(error).__name__}"
            _log.error("the raw data of a scan stay in %s, a stream of messages: %s", self._spool, why)

    def _acquisitions(self, wire: Wire) -> Iterator[ismrmrd.Acquisition]:
        with suppress(ConnectionFailed):  # the spool of a process that died has no end
            while messages.read_identifier(wire) == messages.ACQUISITION:
                acquisition = messages.read_item(messages.ITEM_READERS, messages.ACQUISITION, wire)
                if self.stopped.is_set():
                    raise OutputError("there was no time to make a file of it")
                yield acquisition


def _for_us_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
