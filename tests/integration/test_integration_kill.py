"""Any process of a replay of many files, killed at a random moment, costs at most the file that it had in work.

Two moments, or as many as the environment variable NADENOISE_KILLS says (`make kills` takes twenty).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from nadenoise_core.replay.results import read_images_file

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
MOMENTS = int(os.environ.get("NADENOISE_KILLS", "2"))
FILES = 8


@pytest.fixture
def command(scan_file, chain_file, tmp_path: Path) -> list[str]:
    """Replay eight files in two processes."""
    (tmp_path / "scans").mkdir()
    for number in range(FILES):
        shutil.copy(scan_file(averages=1), tmp_path / "scans" / f"calf{number}.h5")
    chain = chain_file(["accumulate", "reconstruct", "deliver"])
    line = ["replay", str(tmp_path / "scans"), "--chain", str(chain), "--out", str(tmp_path / "out"), "--jobs", "2"]
    return [sys.executable, "-m", "nadenoise_core.cli.main", *line]


def whole(out: Path) -> dict[str, int]:
    """The results that are there, each of which must be whole, and when they were made."""
    found = {}
    for folder in out.glob("calf*") if out.is_dir() else ():
        report = json.loads((folder / "report.json").read_text())
        assert report["raw"]["file"] == f"{folder.name}.h5"
        assert len(read_images_file(folder / "images.h5")[1]) == len(list((folder / "dicom").iterdir())) == 1
        found[folder.name] = (folder / "report.json").stat().st_mtime_ns
    return found


def session(leader: int) -> list[int]:
    """The processes that a command has started, and itself."""
    listed = subprocess.run(["ps", "-o", "pid=", "-s", str(leader)], capture_output=True, text=True, check=False)
    return [int(word) for word in listed.stdout.split()]


def wait_for(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + 120
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_kill_costs_the_file_in_work(moment: int, command: list[str], tmp_path: Path) -> None:
    random, out = Random(moment), tmp_path / "out"
    with subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        wait_for(lambda: running.poll() is not None or len(whole(out)) >= random.choice((0, 1, 2, 3)))
        time.sleep(random.uniform(0, 0.3))
        before = whole(out)
        # The first process by turns with one of the others.
        others = [process for process in session(running.pid) if process != running.pid]
        victim = random.choice(others) if moment % 2 and others else running.pid
        with suppress(ProcessLookupError):  # it was faster
            os.kill(victim, signal.SIGKILL)
        told, errors = running.communicate(timeout=240)
    wait_for(lambda: session(running.pid) == [])  # nobody stays behind
    after = whole(out)
    assert before.items() <= after.items()
    if victim != running.pid:
        lost = FILES - len(after)
        assert lost <= 1 and running.returncode == lost, errors
        assert [line for line in errors.splitlines() if "SIGKILL" in line] == errors.splitlines()[:lost]
    again = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=240, check=True)
    assert sorted(whole(out)) == [f"calf{number}" for number in range(FILES)]
    assert after.items() <= whole(out).items()  # what was whole was not done again
    assert re.search(rf"^{FILES - len(after)} replayed", again.stdout.splitlines()[-1])
    assert [path.name for path in out.iterdir() if path.name.startswith(".")] == []
