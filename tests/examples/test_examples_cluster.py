"""The templates for clusters: Snakemake runs its own; those of Slurm are run with stand-ins for its commands."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "cluster"
OPTIONS = {  # of sbatch, with what may stand behind them
    "array": r"\d+-\d+", "cpus-per-task": r"\d+", "gpus-per-node": r"\d+", "job-name": r"[\w-]+", "mem": r"\d+G",
    "nodes": r"\d+", "ntasks-per-node": r"\d+", "open-mode": "append", "output": r"[\w%.-]+", "requeue": None,
    "signal": r"B:USR1@\d+", "time": r"\d\d:\d\d:\d\d",
}  # fmt: skip


@pytest.fixture
def stand_in(tmp_path: Path) -> Callable[[str, str], None]:
    """A command that is found before any other of its name."""
    (tmp_path / "bin").mkdir()

    def make(name: str, text: str) -> None:
        path = tmp_path / "bin" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    return make


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


def script(name: str, tmp_path: Path) -> Path:
    """A template, with an environment to activate that is there."""
    (tmp_path / "activate").touch()
    path = tmp_path / name
    path.write_text((FOLDER / name).read_text().replace("/shared/nadenoise/bin/activate", str(tmp_path / "activate")))
    return path


@pytest.mark.parametrize("name", ["array.sbatch", "train.sbatch"])
def test_what_slurm_is_asked_for_is_what_it_knows(name: str) -> None:
    text = (FOLDER / name).read_text()
    assert subprocess.run(["bash", "-n"], input=text, text=True, check=False).returncode == 0
    lines = [line for line in text.splitlines() if line.startswith("#SBATCH")]
    head = text[: text.index("set -euo")]
    assert len(lines) >= 7 and all(line.startswith("#") for line in head.splitlines())  # Slurm stops at a command
    for line in lines:
        found = re.fullmatch(r"#SBATCH --([a-z-]+)(?:=(\S+))?", line)
        assert found is not None, line
        option, value = found.groups()
        assert (value is None) if OPTIONS[option] is None else re.fullmatch(OPTIONS[option], value), line


def test_a_task_of_the_array_takes_its_share(stand_in, environment, tmp_path: Path) -> None:
    stand_in("nadenoise", f'echo "$@" > {tmp_path}/asked')
    task = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "40", "SLURM_CPUS_PER_TASK": "4"}
    command = ["bash", script("array.sbatch", tmp_path), "my.yaml", "/shared/study"]
    subprocess.run(command, env=environment | task, check=True)
    assert (tmp_path / "asked").read_text() == "study run my.yaml --out /shared/study --shard 3/40 --jobs 4\n"


def test_a_fit_is_queued_again_before_its_time_is_over(stand_in, environment, tmp_path: Path) -> None:
    stand_in("srun", f'echo "$@" > {tmp_path}/run\nexec sleep 60')
    stand_in("scontrol", f'[ "$1" = show ] && echo node7 || echo "$@" > {tmp_path}/asked')
    job = {"SLURM_JOB_ID": "42", "SLURM_JOB_NODELIST": "node[7-8]", "SLURM_NNODES": "2", "SLURM_GPUS_ON_NODE": "4"}
    command = ["bash", script("train.sbatch", tmp_path), "my.yaml", "runs/my"]
    with subprocess.Popen(command, env=environment | job) as running:
        until = time.monotonic() + 300
        while not (tmp_path / "run").exists() and time.monotonic() < until:
            time.sleep(0.02)
        running.send_signal(signal.SIGUSR1)
        running.wait(50)  # s, of the 60 that the fit would take
    assert (tmp_path / "asked").read_text() == "requeue 42\n"
    words = (tmp_path / "run").read_text().split()
    assert words[:3] == ["torchrun", "--nnodes=2", "--nproc-per-node=4"] and "--rdzv-endpoint=node7:29500" in words
    assert words[-6:] == ["-m", "training.cli", "fit", "my.yaml", "--out", "runs/my"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Snakemake needs Python 3.11")
def test_snakemake_replays_a_folder(stand_in, environment, scan_file, chain_file, tmp_path: Path) -> None:
    snakemake = shutil.which("snakemake", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert snakemake is not None, "pip install -e '.[test]'"
    stand_in("nadenoise", f'exec {sys.executable} -m nadenoise_core.cli.main "$@"')
    scans = tmp_path / "scans"
    scans.mkdir()
    for name in ("a", "b"):
        shutil.copy(scan_file(averages=1), scans / f"{name}.h5")
    chain = chain_file(["accumulate", "reconstruct"])
    command = [snakemake, "-s", FOLDER / "Snakefile", "--cores", "1", "--quiet"]
    command += ["--config", f"scans={scans}", f"out={tmp_path / 'out'}", f"chain={chain}"]
    made = []
    for _ in range(2):  # the second time there is nothing to do
        ended = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=240)
        assert ended.returncode == 0, ended.stderr
        made.append({path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("[ab]/report.json")})
    assert len(made[0]) == 2 and made[0] == made[1]
