"""Jobs in processes of this machine: warm, lazily given, one death costs one job, and an early end leaves nothing."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nadenoise_core.errors import BadInputError, Fault
from nadenoise_core.jobs.here import Processes
from nadenoise_core.jobs.job import InThisProcess, Job, attempt
from nadenoise_core.jobs.machine import cores, usual_count
from nadenoise_core.jobs.worker import Worker, WorkerDied

PID = "__import__('os').getpid()"
PAUSE = "__import__('time').sleep(0.05)"


def asked(expression: str, name: str = "job") -> Job[Any]:
    """A job that evaluates an expression; builtins travel to any process."""
    return Job(name, partial(eval, expression))


def test_processes_stay_warm_and_have_one_thread_each() -> None:
    processor = f"({PAUSE}, {PID}, __import__('os').environ['OMP_NUM_THREADS'])"
    outcomes = list(Processes(2).run(asked(processor, str(number)) for number in range(12)))
    assert sorted(outcome.name for outcome in outcomes) == sorted(map(str, range(12)))
    results = [outcome.result for outcome in outcomes]
    assert len({pid for _, pid, _ in results}) == 2 and os.getpid() not in {pid for _, pid, _ in results}
    assert {threads for _, _, threads in results} == {"1"}
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("engine", [InThisProcess(), Processes(1)], ids=["here", "process"])
def test_what_goes_wrong_is_an_outcome_and_the_others_go_on(engine) -> None:
    lines = "(_ for _ in ()).throw(ValueError('two\\nlines'))"
    jobs = [asked("1 + 1", "good"), asked("1 / 0", "fault"), asked(lines, "lines"), asked("3", "last")]
    found = {outcome.name: outcome for outcome in engine.run(jobs)}
    assert (found["good"].result, found["last"].result) == (2, 3)
    assert isinstance(found["fault"].error, Fault) and "ZeroDivisionError: division by zero" in str(
        found["fault"].error
    )
    assert "ZeroDivisionError" in found["fault"].trace and found["good"].trace == ""
    assert "two lines" in str(found["lines"].error)


def test_errors_of_ours_come_back_as_they_were() -> None:
    raising = "exec(\"from nadenoise_core.errors import BadInputError\\nraise BadInputError('scan.h5: is empty')\")"
    (outcome,) = Processes(1).run([asked(raising)])
    assert isinstance(outcome.error, BadInputError) and str(outcome.error) == "scan.h5: is empty"
    assert outcome.error.exit_status == 2


def test_a_result_that_cannot_travel_is_told() -> None:
    (outcome,) = Processes(1).run([asked("(n for n in ())")])
    assert outcome.error is not None and "generator" in str(outcome.error)


def test_a_process_that_dies_costs_its_job_alone_and_is_replaced() -> None:
    deaths = {
        "killed": "__import__('signal').raise_signal(9)",
        "crashed": "__import__('os').abort()",
        "left": "__import__('os')._exit(7)",
    }
    jobs = [asked(PID, f"good {number}") for number in range(6)]
    jobs[1:1] = [asked(death, name) for name, death in deaths.items()]
    found = {outcome.name: outcome for outcome in Processes(2).run(jobs)}
    assert len(found) == 9
    assert all(found[f"good {number}"].error is None for number in range(6))
    errors = {name: found[name].error for name in deaths}
    assert all(isinstance(error, WorkerDied) for error in errors.values())
    assert "killed: its process was ended by signal SIGKILL, most likely for want of memory" in str(errors["killed"])
    assert "SIGABRT" in str(errors["crashed"]) and "exit status 7" in str(errors["left"])
    assert multiprocessing.active_children() == []


def test_a_process_that_leaves_is_not_disturbed(capfd: pytest.CaptureFixture[str]) -> None:
    """Libraries clear up as a process ends, and it may be asked to end at that very moment."""
    asks_itself = f"__import__('atexit').register(__import__('os').kill, {PID}, {signal.SIGTERM:d}) is None"
    (outcome,) = Processes(1).run([asked(asks_itself)])
    assert outcome.error is None
    assert capfd.readouterr().err == ""


def test_jobs_are_asked_for_as_there_is_room() -> None:
    given = 0

    def jobs() -> Iterator[Job[Any]]:
        nonlocal given
        for number in range(1000):
            given += 1
            yield asked("None", str(number))

    for done, _ in enumerate(Processes(2).run(jobs()), 1):
        assert given <= done + 2
    assert done == given == 1000


def test_whoever_stops_early_leaves_nothing_half_written(tmp_path: Path) -> None:
    begun, cleared = tmp_path / "begun", tmp_path / "cleared"
    code = f"""
import time
try:
    open({str(begun)!r}, "w").close()
    time.sleep(60)
finally:
    open({str(cleared)!r}, "w").close()
"""
    jobs = [Job("long", partial(exec, code, {})), asked("None", "short"), *[asked("None", "later")] * 5]
    with closing(Processes(2).run(jobs)) as outcomes:
        assert next(outcomes).name == "short"
        until = time.monotonic() + 300
        while not begun.exists():
            assert time.monotonic() < until
            time.sleep(0.02)
        stopped = time.monotonic()
    assert cleared.exists() and time.monotonic() - stopped < 40  # s, of the 60 that the job takes
    assert multiprocessing.active_children() == []


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="this system blocks no signals")
def test_ctrl_c_does_not_reach_a_process_that_has_only_begun() -> None:
    worker = Worker(asked("7 * 6"))
    (child,) = multiprocessing.active_children()
    assert child.pid is not None
    os.kill(child.pid, signal.SIGINT)  # the interpreter is starting
    assert worker.outcome().result == 42
    worker.ask_to_leave()
    worker.join()
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])  # this process hears as before


def test_the_machine_has_room_for_one_at_least() -> None:
    assert 1 <= usual_count() <= cores() <= (os.cpu_count() or 1)


def test_an_attempt_is_the_same_here() -> None:
    assert attempt(asked("7 * 6")).result == 42
