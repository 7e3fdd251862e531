"""Jobs on this machine: as many warm workers as asked for, each replaced when it dies."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from itertools import islice
from multiprocessing.connection import wait

from nadenoise_core.jobs.job import Job, Outcome, Result
from nadenoise_core.jobs.worker import Worker


class Processes:
    """Jobs in processes with one thread each.

    A process that dies costs the job that it had, and the next job begins in a new one. Ctrl-C lets the processes clear
    up and end. A process whose parent was killed ends when its job is done.

    Args:
        count: of the processes.
    """

    def __init__(self, count: int) -> None:
        self.count = count

    def run(self, jobs: Iterable[Job[Result]]) -> Generator[Outcome[Result], None, None]:
        """See `Engine`."""
        waiting = iter(jobs)
        workers: list[Worker] = []
        try:
            workers += map(Worker, islice(waiting, self.count))
            while workers:
                ready = wait([worker.connection for worker in workers])
                for worker in [worker for worker in workers if worker.connection in ready]:
                    outcome = worker.outcome()
                    job = next(waiting, None)
                    if job is not None and worker.alive:
                        worker.give(job)
                    else:
                        workers.remove(worker)
                        _end([worker])
                        if job is not None:
                            workers.append(Worker(job))
                    yield outcome
        finally:
            _end(workers)


def _end(workers: list[Worker]) -> None:
    for worker in workers:
        worker.ask_to_leave()
    for worker in workers:
        worker.join()
