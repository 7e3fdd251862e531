"""Delivery of an outbox: what waits is offered to a PACS or a DICOMweb server until it has been taken or refused."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol

from nadenoise_core.dicom.outbox import Outbox, Waiting, read_waiting
from nadenoise_core.errors import BadInputError, ConnectionFailed

_POLL = 1.0  # s between looks into the folder
_SHORTEST, _LONGEST = 5.0, 300.0  # s to wait after the first failure, and at most
_TROUBLE = 3  # failures in a row after which the peer is left alone for a while

log = logging.getLogger("nadenoise.delivery")


class State(Enum):
    """What became of a file that was offered."""

    SENT = "sent"
    REFUSED = "refused"
    LATER = "later"


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    Attributes:
        reason: why it was not sent, or what the peer remarked, fit for a log.
        comment: the peer's own text, which may name the patient: only the text beside a refused file holds them.
    """

    path: Path
    state: State
    reason: str = ""
    comment: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """Of the object: the SOP Instance UID, for what an outbox holds."""
        return self.path.stem


class Sender(Protocol):
    """Somebody who takes DICOM objects."""

    def send(self, files: Sequence[Waiting]) -> Generator[Outcome, None, None]:
        """Offer files in this order: an outcome for each.

        Raises:
            ConnectionFailed: the peer cannot be reached or lets nobody in; files without an outcome were not taken.
        """
        ...


@dataclass(frozen=True)
class Round:
    """What one look into the outbox did: how many files were sent, refused, and wait still; why they wait."""

    sent: int
    refused: int
    waiting: int
    trouble: str = ""


class Delivery:
    """Delivers an outbox to a sender.

    Args:
        outbox: whose `delivering` the caller holds.
        sender: to offer the files to.
        keep: move what was sent to `sent/` instead of removing it.
        on_outcome: called with every outcome.
        stopped: whether to end, asked after every file.
    """

    def __init__(
        self,
        outbox: Outbox,
        sender: Sender,
        *,
        keep: bool = False,
        on_outcome: Callable[[Outcome], None] = lambda outcome: None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._outbox = outbox
        self._sender = sender
        self._keep = keep
        self._on_outcome = on_outcome
        self._stopped = stopped
        self._failures: Counter[Path] = Counter()

    def once(self) -> Round:
        """Offer every file that waits, once."""
        counts: Counter[State] = Counter()
        files: list[Waiting] = []
        trouble = ""
        # What failed before goes last: a file that the peer chokes on must not hold up the others.
        for path in sorted(self._outbox.waiting(), key=lambda path: self._failures[path]):
            try:
                files.append(read_waiting(path))
            except FileNotFoundError:  # somebody took it out by hand
                continue
            except OSError as error:
                trouble = f"{path.name} cannot be read: {error.strerror or error}"
                counts[self._settle(Outcome(path, State.LATER, trouble))] += 1
            except BadInputError as error:
                counts[self._settle(Outcome(path, State.REFUSED, str(error)))] += 1
        offered: Counter[State] = Counter()
        trouble = (self._offer(files, offered) if files else "") or trouble
        left = len(files) - offered[State.SENT] - offered[State.REFUSED] + counts[State.LATER]
        return Round(offered[State.SENT], counts[State.REFUSED] + offered[State.REFUSED], left, trouble)

    def watch(self) -> None:
        """Deliver until stopped; after a failure wait longer and longer, up to five minutes."""
        wait = _SHORTEST
        while not self._stopped():
            done = self.once()
            if done.sent or done.refused or not done.waiting:
                wait = _SHORTEST
            if done.waiting and not self._stopped():
                log.warning("%d files wait; next attempt in %.0f s: %s", done.waiting, wait, done.trouble)
                self._pause(wait)
                wait = min(2 * wait, _LONGEST)
            else:
                self._pause(_POLL)

    def _offer(self, files: Sequence[Waiting], counts: Counter[State]) -> str:
        """Offer files: why some still wait, if they do."""
        by_path = {file.path: file for file in files}
        trouble, in_a_row = "", 0
        try:
            with closing(self._sender.send(files)) as outcomes:
                for outcome in outcomes:
                    counts[self._settle(outcome, by_path[outcome.path])] += 1
                    in_a_row = in_a_row + 1 if outcome.state is State.LATER else 0
                    trouble = outcome.reason if outcome.state is State.LATER else trouble
                    if in_a_row == _TROUBLE or self._stopped():
                        break
        except ConnectionFailed as error:
            self._failures[files[counts.total()].path] += 1  # it may be the file that made the peer fail
            return str(error)
        return trouble

    def _settle(self, outcome: Outcome, file: Waiting | None = None) -> State:
        if outcome.state is State.SENT and file is not None:
            self._outbox.remove(file, keep=self._keep, remark=outcome.reason)
        elif outcome.state is State.REFUSED:
            self._outbox.refuse(outcome.path, "\n".join(filter(None, (outcome.reason, outcome.comment))))
        else:
            self._failures[outcome.path] += 1
        if outcome.state is not State.LATER:
            del self._failures[outcome.path]
        self._on_outcome(outcome)
        return outcome.state

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stopped() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.2))  # a signal handler does not end a sleep
