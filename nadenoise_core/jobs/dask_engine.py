"""Jobs on the workers of a Dask scheduler."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from queue import Empty, SimpleQueue
from time import monotonic, sleep
from typing import Any

from nadenoise_core.errors import ConnectionFailed, NadenoiseError, as_ours
from nadenoise_core.jobs.job import Job, Outcome, Result, attempt
from nadenoise_core.jobs.software import Software, this_software
from nadenoise_core.jobs.worker import WorkerDied

_AHEAD = 2  # jobs for each thread of the workers, so that none waits for the next
_LOOK = 1.0  # s between looks at who is there
_TRIES = 5  # of a job that the scheduler loses
_AWAY = (OSError, asyncio.TimeoutError)  # of distributed, when a peer is away
_log = logging.getLogger("nadenoise.jobs")


class ClusterError(NadenoiseError):
    """The workers cannot be used."""

    exit_status = 2


@dataclass(frozen=True)
class _Flight:
    """A job that was handed in: its future, and the workers that may take it."""

    job: Job[Any]
    future: Any
    workers: frozenset[str]
    tries: int


class DaskEngine:
    """Jobs on workers that have the same software as this process; others are named and get none.

    Jobs are handed in as there is room for them. One whose worker dies is begun again by the scheduler, elsewhere; when
    the scheduler itself is started anew, jobs that it had are handed in again.

    Args:
        connect: makes a client of the scheduler; OSError where it cannot be reached.
        patience: seconds to wait for the scheduler, and for a worker.
    """

    def __init__(self, connect: Callable[[], Any], patience: float) -> None:
        self._connect = connect
        self._patience = patience
        self._client = connect()
        self._mine = this_software()
        self._software: dict[str, str | None] = {}  # what is wrong with a worker, by address; None: nothing
        self._threads: dict[str, int] = {}
        self._looked = float("-inf")
        self._flying: dict[str, _Flight] = {}

    def close(self) -> None:
        """Let go of the scheduler."""
        with suppress(RuntimeError, *_AWAY):
            self._client.close(timeout=2)

    def run(self, jobs: Iterable[Job[Result]]) -> Generator[Outcome[Result], None, None]:
        """See `Engine`."""
        again: deque[tuple[Job[Result], int]] = deque()
        done: SimpleQueue[str] = SimpleQueue()
        fresh = ((job, 0) for job in jobs)
        try:
            while True:
                if not (self._flying or again):
                    again += islice(fresh, 1)
                    if not again:
                        return
                again += self._lost()
                while len(self._flying) < _AHEAD * sum(self._threads.values()):
                    following = again.popleft() if again else next(fresh, None)
                    if following is None:
                        break
                    self._hand_in(*following, done)
                try:
                    flight = self._flying.pop(done.get(timeout=_LOOK), None)
                except Empty:
                    continue
                if flight is None:
                    continue
                outcome = _outcome(flight)
                if outcome is None:
                    again.append((flight.job, flight.tries + 1))
                    self._forget()
                else:
                    yield outcome
        finally:
            self._abandon()

    def _hand_in(self, job: Job[Any], tries: int, done: SimpleQueue[str]) -> None:
        workers = frozenset(self._threads)
        future = self._client.submit(attempt, job, pure=False, workers=sorted(workers), allow_other_workers=False)
        self._flying[future.key] = _Flight(job, future, workers, tries)
        future.add_done_callback(lambda ended: done.put(ended.key))

    def _lost(self) -> Iterator[tuple[Job[Any], int]]:
        """Look at who is there, and give back the jobs that nobody there can do."""
        if self._flying and monotonic() - self._looked < _LOOK:
            return
        before = self._client
        self._look()
        self._looked = monotonic()
        for key, flight in list(self._flying.items()):
            if self._client is not before or not flight.workers & self._threads.keys():
                del self._flying[key]
                if self._client is before:
                    self._client.cancel([flight.future])
                yield flight.job, flight.tries

    def _look(self) -> None:
        """Who is there with the right software; waits until there is anybody.

        Raises:
            ClusterError: nobody came, or all have other software.
            ConnectionFailed: the scheduler is away.
        """
        until = monotonic() + self._patience
        while True:
            try:
                threads = self._client.nthreads()
                self._ask([address for address in threads if address not in self._software])
            except (RuntimeError, *_AWAY):  # the former of a client that was closed
                self._connect_again(until)
                continue
            self._threads = {address: count for address, count in threads.items() if not self._software[address]}
            if self._threads:
                return
            if monotonic() > until or threads:
                wrong = "; ".join(f"worker {address} {self._software[address]}" for address in sorted(threads))
                raise ClusterError(wrong or f"no worker came within {self._patience:.0f} s; start workers")
            sleep(0.1)

    def _ask(self, addresses: list[str]) -> None:
        """Ask new workers what they compute with."""
        if not addresses:
            return
        answers = self._client.run(this_software, workers=addresses, on_error="return")
        for address, answer in answers.items():
            wrong = (
                self._mine.difference(answer) if isinstance(answer, Software) else f"cannot say what it has: {answer}"
            )
            self._software[address] = wrong
            if wrong:
                _log.error("worker %s gets no work: it %s", address, wrong)

    def _forget(self) -> None:
        """Who was there may not be the same any more."""
        self._software.clear()
        self._looked = float("-inf")

    def _connect_again(self, until: float) -> None:
        self.close()
        self._forget()
        while True:
            try:
                self._client = self._connect()
                return
            except _AWAY:
                if monotonic() > until:
                    raise ConnectionFailed(
                        f"the Dask scheduler was lost, and did not come back within {self._patience:.0f} s; start it "
                        "and its workers, and give the same command again: it goes on"
                    ) from None

    def _abandon(self) -> None:
        """Take back what nobody waits for any more."""
        futures = [flight.future for flight in self._flying.values()]
        self._flying.clear()
        if futures and self._client.status == "running":
            self._client.cancel(futures)


def _outcome(flight: _Flight) -> Outcome[Any] | None:
    """What became of a job; None if it is to be handed in again."""
    from distributed.client import FutureCancelledError
    from distributed.scheduler import KilledWorker

    name = flight.job.name
    try:
        outcome: Outcome[Any] = flight.future.result(timeout=30)
        return outcome
    except KilledWorker as error:
        died = f"{name}: its workers died, {error.last_worker.address} the last; most likely for want of memory"
        return Outcome(name, error=WorkerDied(died))
    except (FutureCancelledError, *_AWAY) as error:  # what a job raises is in its outcome
        if flight.tries + 1 < _TRIES:
            return None
        return Outcome(name, error=ClusterError(f"{name}: the scheduler lost it {_TRIES} times ({error})"))
    except Exception as error:
        return Outcome(name, error=as_ours(error))
