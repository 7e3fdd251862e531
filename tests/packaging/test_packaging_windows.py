"""Without what Python has on POSIX alone, everything can be imported, and a raw file is replayed to the same images."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nadenoise_core as nd

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("without_posix.py")


@pytest.fixture(scope="module")
def ended(scan_file, tmp_path_factory):
    out = tmp_path_factory.mktemp("windows")
    command = [sys.executable, PROGRAM, scan_file(averages=2), out]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    outcome = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=out, check=False)
    assert outcome.returncode == 0, outcome.stderr
    return out, outcome.stdout


def test_every_module_is_imported(ended):
    rooms = ("nadenoise_core", "gadgets", "training")
    modules = {path for room in rooms for path in (ROOT / room).rglob("*.py") if path.name != "__main__.py"}
    assert ended[1].splitlines()[-1] == f"{len(modules) - len(rooms)} modules"  # the rooms themselves are not counted


def test_the_replay_gives_the_same_images(ended, scan_file):
    found = nd.read_images(ended[0] / "scan")
    expected = nd.Chain.named("sodium_calf").run(scan_file(averages=2))
    assert [image.kind for image in found] == [image.kind for image in expected]
    for image, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(image.array, other.array, rtol=1e-5, atol=1e-5 * np.abs(other.array).max())


def test_every_name_in_the_results_is_one_that_windows_takes(ended):
    names = {part for path in ended[0].rglob("*") for part in path.relative_to(ended[0]).parts}
    assert len(names) > 5
    assert not [name for name in names if set(name) & set('<>:"|?*\\') or name.endswith((" ", "."))]
