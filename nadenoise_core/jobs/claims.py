"""Claims: which of many processes, on machines that share a folder and nothing else, does which job."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

from nadenoise_core.errors import OutputError, reason_of
from nadenoise_core.jobs.job import Result
from nadenoise_core.jobs.owner import has_died, owner_mark

SILENCE = 600.0
"""Seconds without a sign of life after which a claim counts for nothing."""

_OWNER = "owner"
_FASTER = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT)  # what a rename says when another process was


@dataclass(frozen=True)
class Claims:
    """Claims in a shared folder: folders that are renamed into place, which one process alone can do.

    Who holds a claim shows now and then that it lives. The claim of a dead process goes to the next that asks; should
    the process live after all, the job is done twice, and does no harm.

    Attributes:
        folder: of the claims.
        silence: seconds after which a process counts as dead; one of this machine at once.
    """

    folder: Path
    silence: float = SILENCE

    @contextmanager
    def claim(self, name: str) -> Iterator[bool]:
        """Whether this process may do the job; nobody else may within.

        Args:
            name: of the job, which a file may have.

        Raises:
            OutputError: the folder cannot be written.
        """
        place, mine = self.folder / name, self.folder / f".{owner_mark()}"
        try:
            taken = self._take(place, mine)
            with _signs_of_life(place / _OWNER, self.silence / 10, taken):
                yield taken
        finally:
            if _owner(place) == mine.name:
                _renamed(place, mine)
            shutil.rmtree(mine, ignore_errors=True)

    def _take(self, place: Path, mine: Path) -> bool:
        try:
            mine.mkdir(parents=True)
            (mine / _OWNER).write_text(mine.name, encoding="utf-8")
            return _renamed(mine, place) or (self._is_silent(place, mine) and _renamed(mine, place))
        except OSError as error:
            raise OutputError(f"cannot write {self.folder}: {reason_of(error)}; check the folder") from error

    def _is_silent(self, place: Path, mine: Path) -> bool:
        """Whether a claim was of a dead process; it is gone then."""
        owner = _owner(place)
        try:
            # Both times are of the machine that has the folder.
            age = (mine / _OWNER).stat().st_mtime - (place / _OWNER).stat().st_mtime
        except OSError:
            return True  # it was given back meanwhile
        if not has_died(owner.removeprefix(".")) and age < self.silence:
            return False
        gone = mine.with_name(f"{mine.name}.old")
        if not _renamed(place, gone):
            return False
        if _owner(gone) != owner and _renamed(gone, place):  # another was faster: it is theirs
            return False
        shutil.rmtree(gone, ignore_errors=True)
        return True


@dataclass(frozen=True)
class Claimed(Generic[Result]):
    """Work that is done by who claims it.

    Attributes:
        work: as of a job.
        name: of the claim.
        claims: where it is claimed.
    """

    work: Callable[[], Result]
    name: str
    claims: Claims

    def __call__(self) -> Result | None:
        """The result; None where another process has the job."""
        with self.claims.claim(self.name) as mine:
            return self.work() if mine else None


@contextmanager
def _signs_of_life(path: Path, interval: float, needed: bool) -> Iterator[None]:
    """Touch a file now and then, as long as this lasts."""
    ended = threading.Event()

    def touch() -> None:
        while not ended.wait(interval):
            with suppress(OSError):
                os.utime(path)

    toucher = threading.Thread(target=touch, daemon=True)
    if needed:
        toucher.start()
    try:
        yield
    finally:
        ended.set()


def _renamed(path: Path, to: Path) -> bool:
    """Rename a folder that is not empty; whether nobody was faster."""
    try:
        os.rename(path, to)
        return True
    except OSError as error:
        if error.errno in _FASTER or (os.name == "nt" and isinstance(error, PermissionError)):
            return False
        raise


def _owner(place: Path) -> str:
    """The mark of who has a claim; empty where nobody has."""
    try:
        return (place / _OWNER).read_text(encoding="utf-8")
    except OSError:
        return ""
