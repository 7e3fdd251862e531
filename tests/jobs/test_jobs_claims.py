"""Claims in a shared folder: one process a job, and the claim of a dead one goes to the next."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nadenoise_core.errors import OutputError
from nadenoise_core.jobs.claims import Claimed, Claims
from nadenoise_core.jobs.owner import has_died, owner_mark

CLAIMING = """
import sys, time
from pathlib import Path
from nadenoise_core.jobs.claims import Claims
with Claims(Path(sys.argv[1])).claim("calf") as mine:
    print(mine, flush=True)
    time.sleep(60)
"""


def test_one_of_many_has_a_job_at_a_time(tmp_path: Path) -> None:
    claims, holders = Claims(tmp_path), []

    def work() -> bool:
        holders.append(1)
        alone = len(holders) == 1
        time.sleep(0.002)
        holders.pop()
        return alone

    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda _: Claimed(work, "calf", claims)(), range(200)))
    assert True in results and False not in results  # None: another had it
    assert list(tmp_path.iterdir()) == []


def test_a_job_that_is_claimed_is_left_alone_and_others_are_not(tmp_path: Path) -> None:
    claims = Claims(tmp_path)
    with claims.claim("calf") as mine, claims.claim("calf") as again, claims.claim("other") as other:
        assert (mine, again, other) == (True, False, True)
    with claims.claim("calf") as later:
        assert later


def test_the_claim_of_a_killed_process_of_this_machine_is_free_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CLAIMING, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "True\n"
        with Claims(tmp_path).claim("calf") as mine:
            assert not mine
        other.kill()
        other.wait()
    with Claims(tmp_path).claim("calf") as mine:
        assert mine
    assert list(tmp_path.iterdir()) == []


def claim_of_elsewhere(folder: Path, age: float) -> Path:
    """A claim that another machine made some seconds ago."""
    owner = folder / "calf" / "owner"
    owner.parent.mkdir(parents=True)
    owner.write_text(".12@far-away@0123abcd")
    os.utime(owner, (time.time() - age,) * 2)
    return owner


@pytest.mark.parametrize(("age", "free"), [(5.0, False), (700.0, True)])
def test_another_machine_is_dead_when_it_has_been_silent_for_long(age: float, free: bool, tmp_path: Path) -> None:
    owner = claim_of_elsewhere(tmp_path, age)
    with Claims(tmp_path).claim("calf") as mine:
        assert mine is free
    assert owner.exists() is not free


def test_who_lives_shows_it(tmp_path: Path) -> None:
    claims = Claims(tmp_path, silence=0.5)
    with claims.claim("calf") as mine:
        assert mine
        owner = tmp_path / "calf" / "owner"
        before = owner.stat().st_mtime_ns
        until = time.monotonic() + 20
        while owner.stat().st_mtime_ns == before and time.monotonic() < until:
            time.sleep(0.02)
        assert owner.stat().st_mtime_ns > before


def test_who_was_thought_dead_takes_no_claim_away_at_its_end(tmp_path: Path) -> None:
    with Claims(tmp_path).claim("calf") as mine:
        assert mine
        owner = tmp_path / "calf" / "owner"
        owner.write_text(".12@far-away@0123abcd")  # another took it over
    assert owner.exists()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write .*file: Not a directory"), Claims(tmp_path / "file").claim("a"):
        pass


def test_marks_tell_the_dead_of_this_machine_alone() -> None:
    mine = owner_mark()
    process, node, _ = mine.split("@")
    assert not has_died(mine) and owner_mark() != mine
    with subprocess.Popen([sys.executable, "-c", ""]) as other:
        other.wait()
    assert has_died(f"{other.pid}@{node}@0") and not has_died(f"{other.pid}@{node}-2@0") and not has_died("nonsense")
