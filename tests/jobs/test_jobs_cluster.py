"""What is asked of a cluster: the configuration, the scripts of the batch systems, and how wrong input is told."""

from __future__ import annotations

import logging
import subprocess
from pathlib import Path

import pytest

from nadenoise_core.errors import BadInputError, ConfigError, ConnectionFailed
from nadenoise_core.jobs import cluster
from nadenoise_core.jobs.cluster import ClusterSettings, cluster_of, connected, read_cluster_settings
from nadenoise_core.jobs.software import Software, this_software

CONFIG = """\
jobs: 20
workers: 2
memory: 3GB
walltime: "00:30"
queue: short
account: mri
directives: [--qos=low]
prologue: [module load python]
logs: logs
"""
DIRECTIVES = {  # of each system: its prefix, and what must stand behind it
    "slurm": ("#SBATCH", ["-p short", "-A mri", "-n 1", "--cpus-per-task=2", "--mem=3G", "-t 00:30", "--qos=low"]),
    "pbs": ("#PBS", ["-q short", "-A mri", "-l select=1:ncpus=2:mem=2862MB", "-l walltime=00:30", "--qos=low"]),
    "sge": ("#$", ["-q short", "-P mri", "-l h_rt=00:30", "--qos=low"]),
    "lsf": ("#BSUB", ["-q short", '-P "mri"', "-n 2", "-W 00:30", "--qos=low"]),
}


@pytest.fixture
def settings(tmp_path: Path) -> ClusterSettings:
    (tmp_path / "cluster.yaml").write_text(CONFIG)
    return read_cluster_settings(tmp_path / "cluster.yaml")


@pytest.mark.parametrize("kind", DIRECTIVES)
def test_the_script_of_a_job_is_valid_and_asks_for_what_is_configured(kind: str, settings, tmp_path: Path) -> None:
    with cluster_of(kind, settings) as made:
        script = made.job_script()
    prefix, wanted = DIRECTIVES[kind]
    lines = script.splitlines()
    assert [words for words in wanted if f"{prefix} {words}" not in lines] == []
    *_, prologue, worker = [line for line in lines if line]
    assert prologue == "module load python" and "distributed.cli.dask_worker" in worker
    assert "--nthreads 1" in worker and "--nworkers 2" in worker and str(tmp_path / "logs") in script
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


def test_a_wrong_configuration_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text("jobs: 20\nmemroy: 3GB\n")
    with pytest.raises(ConfigError, match="cluster.yaml:2: there is no key memroy; did you mean 'memory'?"):
        read_cluster_settings(tmp_path / "cluster.yaml")


def test_a_batch_system_that_is_not_there_is_told(settings, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(ConnectionFailed, match="there is no command sbatch here; run this where slurm takes jobs"),
        cluster.started("slurm", settings),
    ):
        pass


def test_a_scheduler_that_is_not_there_is_told(monkeypatch) -> None:
    monkeypatch.setattr(cluster, "_CONNECT", 0.3)
    with (
        pytest.raises(ConnectionFailed, match="scheduler tcp://127.0.0.1:9 cannot be reached"),
        connected("tcp://127.0.0.1:9"),
    ):
        pass
    with pytest.raises(BadInputError, match="--scheduler host: write tcp://host:port"), connected("host"):
        pass
    for name in ("distributed", "distributed.client", "distributed.core"):  # what is wrong, we tell
        assert not logging.getLogger(name).isEnabledFor(logging.ERROR)


def test_without_dask_it_is_told_how_to_install_it(monkeypatch) -> None:
    monkeypatch.setitem(cluster.importlib.sys.modules, "distributed", None)  # type: ignore[attr-defined]
    with pytest.raises(BadInputError, match=r"pip install 'nadenoise\[cluster\]'"), connected("tcp://127.0.0.1:9"):
        pass


def test_software_differs_by_version_and_by_bundles() -> None:
    mine = this_software()
    assert dict(mine.bundles)["noise_aware"] and mine.difference(mine) is None
    assert mine.difference(Software(mine.version, mine.bundles, "elsewhere")) is None
    assert "has nadenoise 0.0.1, and here is" in str(mine.difference(Software("0.0.1", mine.bundles, "")))
    other = tuple((name, "f" * 64 if name == "noise_aware" else sha256) for name, sha256 in mine.bundles)
    assert "another bundle noise_aware: sha256 ffffffffffff" in str(mine.difference(Software(mine.version, other, "")))
    assert "bundle noise_aware: sha256 none" in str(mine.difference(Software(mine.version, other[1:], "")))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--jobs", "2", "--scheduler", "tcp://a:1"], "--jobs and --scheduler exclude each other"),
        (["--cluster", "slurm"], "--cluster and --cluster-config belong together"),
    ],
)
def test_options_that_do_not_go_together_are_told(options, words, capsys, monkeypatch, tmp_path: Path) -> None:
    from nadenoise_core.cli.main import main

    for name in ("a.h5", "b.h5"):
        (tmp_path / name).touch()
    monkeypatch.setattr("sys.argv", ["nadenoise", "replay", str(tmp_path), "--out", str(tmp_path / "out"), *options])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2 and words in capsys.readouterr().err
