"""What only processes of their own can show: a kill in the middle of a run, and several processes on one run."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from training.config import load_config
from training.fitting.supervised import fit
from training.network.run import load_best, load_state

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def straight(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run in one process, without a stop."""
    folder = tmp_path_factory.mktemp("straight")
    fit(load_config(small_run), folder, quiet=True)
    return folder


def states(folder: Path) -> dict[str, Any]:
    state = load_state(folder / "checkpoint.pt")
    named = {f"{part}.{name}": value for part in ("network", "ema") for name, value in state[part].items()}
    moments = state["optimiser"]["state"].items()
    return named | {f"adam.{number}.{name}": value for number, one in moments for name, value in one.items()}


def rows(folder: Path) -> list[dict[str, str]]:
    path = folder / "log.csv"
    return list(csv.DictReader(path.read_text().splitlines())) if path.exists() else []


def test_a_killed_run_goes_on_bit_for_bit(small_run: Path, straight: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "training.cli", "fit", str(small_run), "--out", str(tmp_path)]
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 300
        while len(rows(tmp_path)) < 5 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    finally:
        _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors.decode()
    assert 4 <= len(rows(tmp_path)) < 12
    fit(load_config(small_run), tmp_path, quiet=True)
    for name, value in states(straight).items():
        assert torch.equal(states(tmp_path)[name], value), name
    for one, other in zip(rows(straight), rows(tmp_path), strict=True):
        assert {**one, "minutes": ""} == {**other, "minutes": ""}
    assert load_best(tmp_path)[1].validation_loss == load_best(straight)[1].validation_loss


def test_two_processes_give_the_network_of_one(small_run: Path, straight: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", "training.cli", "fit", str(small_run), "--out", str(tmp_path)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert done.stdout.count("best validation loss") == 1
    assert load_best(tmp_path)[1].processes == 2 and load_best(straight)[1].processes == 1
    for name, value in states(straight).items():
        torch.testing.assert_close(states(tmp_path)[name], value, rtol=1e-4, atol=1e-6)
    assert [row["step"] for row in rows(tmp_path)] == [row["step"] for row in rows(straight)]
    # One process goes on with what two began, as with what one did.
    begun_alone = tmp_path / "alone"
    shutil.copytree(straight, begun_alone)
    longer = load_config(small_run, ["fit.epochs=13"])
    for folder in (tmp_path, begun_alone):
        fit(longer, folder, quiet=True)
    assert len(rows(tmp_path)) == len(rows(begun_alone)) == 13 and load_state(tmp_path / "checkpoint.pt")["run"]
    for name, value in states(begun_alone).items():
        torch.testing.assert_close(states(tmp_path)[name], value, rtol=1e-4, atol=1e-6)
