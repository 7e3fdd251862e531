"""Gadgets that other packages offer."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import nadenoise_core as nd
from nadenoise_core.chain import registry
from nadenoise_core.chain.registry import GROUP, gadget_class, gadget_names
from nadenoise_core.errors import ChainError

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "gadget_package"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The environment of a process in which the example package is installed."""
    target = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source")
    for path in EXAMPLE.iterdir():
        (source / path.name).write_bytes(path.read_bytes())
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", target, source], check=True, capture_output=True)
    return {**os.environ, "PYTHONPATH": f"{target}{os.pathsep}{ROOT}"}


def nadenoise(environment, *arguments) -> str:
    command = [sys.executable, "-m", "nadenoise_core.cli.main", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=ROOT).stdout


class TestExamplePackage:
    def test_its_gadget_is_described(self, installed):
        described = json.loads(nadenoise(installed, "chain", "describe", "smooth", "--json"))
        assert described["smooth"]["properties"]["width"]["unit"] == "mm"

    def test_its_gadget_runs_in_a_chain(self, installed, chain_file, scan_file, tmp_path):
        stages = ["accumulate", "reconstruct"]
        raw = scan_file(averages=2)
        chain = chain_file([*stages, ("smooth", {"width": "9"})])
        nadenoise(installed, "replay", raw, "--chain", chain, "--out", tmp_path / "out")
        (smoothed,) = nd.read_images(tmp_path / "out" / "scan")
        (plain,) = nd.Chain(stages).run(raw)
        expected = gaussian_filter(plain.array, 9 / 2.3548 / 2.25)
        np.testing.assert_allclose(smoothed.array, expected, atol=1e-5 * np.abs(expected).max())
        assert smoothed.facts.history[-1].startswith("smooth(") and np.isnan(smoothed.facts.noise_std)
        (metadata,) = Path(installed["PYTHONPATH"].split(os.pathsep)[0]).glob("*.dist-info/METADATA")
        metadata.write_text(re.sub(r"(?m)^Version: .*", "Version: 99.0", metadata.read_text()))
        with pytest.raises(subprocess.CalledProcessError) as refused:  # of another version, they are not taken for it
            nadenoise(installed, "replay", raw, "--chain", chain, "--out", tmp_path / "out")
        assert "exists already, and not from this raw file, chain and version" in refused.value.stderr


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("other", "no_such_package_here:Other", "ModuleNotFoundError"),
        ("other", "json:loads", "is no Gadget of this name"),
        ("other", "gadgets.denoise:Denoise", "is no Gadget of this name"),
    ],
)
def test_what_is_no_gadget_is_told(name, value, words, monkeypatch):
    monkeypatch.setattr(registry, "_offered", lambda: {name: EntryPoint(name, value, GROUP)})
    assert name in gadget_names()
    with pytest.raises(ChainError, match=f"'{name}'.*{words}"):
        gadget_class(name)


def test_a_package_cannot_take_the_place_of_a_gadget_of_ours(monkeypatch):
    points = [EntryPoint("denoise", "json:loads", GROUP), EntryPoint("mine", "json:loads", GROUP)]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    registry._offered.cache_clear()
    try:
        assert list(registry._offered()) == ["mine"] and gadget_class("denoise").__module__ == "gadgets.denoise"
    finally:
        registry._offered.cache_clear()
