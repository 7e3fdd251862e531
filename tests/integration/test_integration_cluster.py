"""A real Dask scheduler with workers: one has another version, one is killed, and the scheduler is started anew."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
FILES = 20


class Cluster:
    """Processes of Dask, each of which can be killed."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.address = f"tcp://127.0.0.1:{port}"
        self.running: list[subprocess.Popen[bytes]] = []

    def scheduler(self) -> subprocess.Popen[bytes]:
        return self._start("scheduler", "--host", "127.0.0.1", "--port", self.port)

    def worker(self, *options: object) -> subprocess.Popen[bytes]:
        folder = ["--local-directory", self.folder / "dask"]
        return self._start("worker", self.address, "--nthreads", 1, "--no-nanny", *folder, *options)

    def wait_for_workers(self) -> None:
        """Wait until all that were started so far are known to the scheduler."""
        until = time.monotonic() + 240
        for number in range(1, len(self.running)):
            while "Registered to:" not in (self.folder / f"dask{number}.log").read_text():
                assert time.monotonic() < until
                time.sleep(0.05)

    def _start(self, *arguments: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", *map(str, arguments), "--no-dashboard"]
        with (self.folder / f"dask{len(self.running)}.log").open("wb") as log:
            self.running.append(subprocess.Popen(command, env=ENVIRONMENT, stdout=log, stderr=log))
        return self.running[-1]


@pytest.fixture
def cluster(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Cluster]:
    made = Cluster(tmp_path, free_port())
    yield made
    for process in made.running:
        process.kill()
        process.wait()


def wait_for(happened: Callable[[], bool], running: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 120
    while not happened():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < until
        time.sleep(0.01)


def test_what_is_killed_costs_no_result(cluster: Cluster, scan_file, chain_file, tmp_path: Path) -> None:
    scans, out = tmp_path / "scans", tmp_path / "out"
    scans.mkdir()
    for number in range(FILES):
        shutil.copy(scan_file(averages=1), scans / f"calf{number:02d}.h5")
    other = tmp_path / "other_version.py"
    other.write_text("import nadenoise_core\nnadenoise_core.__version__ = '0.0.1'\n")
    cluster.scheduler()
    workers = [cluster.worker(), cluster.worker()]
    cluster.worker("--preload", other)
    cluster.wait_for_workers()
    chain = chain_file(["accumulate", "reconstruct", "deliver"])
    command = [sys.executable, "-m", "nadenoise_core.cli.main", "replay", str(scans), "--chain", str(chain)]
    command += ["--out", str(out), "--scheduler", cluster.address]

    def done() -> int:
        return len(list(out.glob("calf*"))) if out.is_dir() else 0

    with subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        wait_for(lambda: done() >= 2, running)
        workers[0].kill()
        workers[0].wait()
        wait_for(lambda: done() >= 5, running)
        cluster.running[0].kill()
        cluster.running[0].wait()
        before = done()
        assert before < FILES
        cluster.scheduler()
        cluster.worker()
        told, errors = running.communicate(timeout=240)
    assert running.returncode == 0 and "failed" not in told, errors
    assert sorted(path.name for path in out.iterdir()) == [f"calf{number:02d}" for number in range(FILES)]
    assert len(told.splitlines()) <= FILES + 1 and "failed" not in told and "results in" in told.splitlines()[-1]
    for folder in out.iterdir():
        assert json.loads((folder / "report.json").read_text())["raw"]["acquisitions"] == 40
        assert len(list((folder / "dicom").iterdir())) == 1
    lines = errors.splitlines()
    assert len(lines) == 1 and "gets no work" in lines[0] and "has nadenoise 0.0.1, and here is" in lines[0], errors


SBATCH = """#!/bin/sh
cp "$1" "$1.job"
bash "$1.job" > "$1.log" 2>&1 &
echo "Submitted batch job $!"
"""


def test_a_batch_system_runs_the_workers(scan_file, chain_file, tmp_path: Path) -> None:
    """The command that takes jobs is ours here, and runs them at once; all else is as with Slurm."""
    commands, scans = tmp_path / "bin", tmp_path / "scans"
    for folder in (commands, scans):
        folder.mkdir()
    for name, text in {"sbatch": SBATCH, "scancel": '#!/bin/sh\nkill "$@"\n'}.items():
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    for name in ("a", "b"):
        shutil.copy(scan_file(averages=1), scans / f"{name}.h5")
    (tmp_path / "cluster.yaml").write_text("jobs: 1\nmemory: 2GB\ninterface: lo\n")
    command = [sys.executable, "-m", "nadenoise_core.cli.main", "replay", str(scans), "--out", str(tmp_path / "out")]
    command += ["--chain", str(chain_file(["accumulate", "reconstruct"]))]
    command += ["--cluster", "slurm", "--cluster-config", str(tmp_path / "cluster.yaml")]
    environment = {**ENVIRONMENT, "PATH": f"{commands}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)}
    ended = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0 and ended.stderr == "", ended
    assert ended.stdout.splitlines()[-1].startswith("2 replayed; ")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "b"]
