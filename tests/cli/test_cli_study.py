"""`nadenoise study`: run, list, export, and how bad input is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]

CONFIG = """\
subjects: {kind: virtual, count: 3, averages: 8, noise: [15, 0], off_resonance: [0, 0]}
methods: {averages: [4]}
"""


def test_run_writes_the_report_and_says_what_it_found(command, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(CONFIG)
    out, results = tmp_path / "out", tmp_path / "results.md"
    first = command("study", "run", tmp_path / "my.yaml", "--out", out, "--jobs", 1, "--results", results)
    assert first.status == 0 and first.err == ""
    for words in ("against the reference, mmol/L", "3 volunteers", "report.html"):
        assert words in first.out
    assert (out / "report.html").is_file() and json.loads((out / "report.json").read_text())["virtual"]
    assert f"```sh\nnadenoise study run {tmp_path / 'my.yaml'} --out {out}" in results.read_text()
    again = command("study", "run", tmp_path / "my.yaml", "--out", out, "--jobs", 1)
    assert again.status == 0 and "3 done before" in again.out


def test_a_wrong_configuration_is_one_line(command, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(CONFIG.replace("count", "cuont"))
    command("study", "run", tmp_path / "my.yaml", "--out", tmp_path / "out").is_refused(
        "my.yaml:1: there is no key subjects.cuont; did you mean 'count'?"
    )
    assert not (tmp_path / "out").exists()
    command("study", "run", "papr").is_refused("no shipped configuration 'papr'; did you mean 'paper'?")


def test_a_network_that_is_not_there_is_one_line(command, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(CONFIG.replace("[4]", "[4], bundle: best"))
    command("study", "run", tmp_path / "my.yaml", "--out", tmp_path / "out").is_refused("unknown bundle 'best'")


@pytest.mark.parametrize("given", ["0/3", "4/3", "3", "a/b", "-1/3"])
def test_a_wrong_share_is_told(given: str, command, tmp_path: Path) -> None:
    command("study", "run", "paper", "--shard", given, "--out", tmp_path / "out").is_refused("shard", "/")
    assert not (tmp_path / "out").exists()


def test_shards_leave_the_report_to_merge(command, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(CONFIG.replace("count: 3", "count: 2"))
    given = (tmp_path / "my.yaml", "--out", tmp_path / "out")
    command("study", "merge", *given).is_refused("no volunteer of the study is done there")
    outcome = command("study", "run", *given, "--shard", "2/2", "--jobs", 1)
    assert outcome.status == 0 and "shard 2/2: 2 evaluated; " in outcome.out
    assert not (tmp_path / "out" / "report.html").exists()
    merged = command("study", "merge", *given)
    assert merged.status == 0 and "2 volunteers" in merged.out and (tmp_path / "out" / "report.html").is_file()


def test_list_names_the_shipped_study(command) -> None:
    outcome = command("study", "list")
    assert outcome.status == 0 and "paper" in outcome.out


def test_export_writes_what_itk_snap_opens(command, scan_file, tmp_path: Path) -> None:
    raw = scan_file(averages=3, position=(10.0, -20.0, 30.0))
    outcome = command("study", "export", raw, "--out", tmp_path / "nifti")
    assert outcome.status == 0
    names = sorted(path.name for path in (tmp_path / "nifti").iterdir())
    assert names == ["labels.txt", "scan_003.nii.gz", "scan_003_atsc.nii.gz"]
    image = nibabel.load(tmp_path / "nifti" / "scan_003.nii.gz")
    assert image.shape == (80, 80, 1)
    np.testing.assert_allclose(image.affine @ [40, 40, 0, 1], [-10, 20, 30, 1], atol=1e-4)  # RAS of LPS 10, -20, 30
    command("study", "export", tmp_path / "no.h5").is_refused("no.h5: no such file")


def test_an_interrupt_leaves_whole_volunteers_and_the_same_command_goes_on(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(CONFIG.replace("count: 3", "count: 8"))
    volunteers = tmp_path / "out" / "volunteers"
    line = [sys.executable, "-m", "nadenoise_core.cli.main", "study", "run", str(tmp_path / "my.yaml")]
    line += ["--out", str(tmp_path / "out"), "--jobs", "2"]
    # A group of its own, which gets the signal as from a terminal; a job in the background would be deaf to it.
    with subprocess.Popen(
        line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as running:  # fmt: skip
        while running.poll() is None and not (volunteers.is_dir() and any(volunteers.glob("[!.]*"))):
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGINT)
        told, _ = running.communicate(timeout=300)
    assert running.returncode == 130 and "Traceback" not in told, told
    left = [path.name for path in volunteers.iterdir()]
    assert 1 <= len(left) < 8 and not any(name.startswith(".") for name in left)
    assert all((volunteers / name / "record.json").is_file() for name in left)
    again = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=600, check=True)
    assert f"8 volunteers, {len(left)} done before" in again.stdout
