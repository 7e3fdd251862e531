"""A small run on scenes, through every verb: what the shipped network was made with."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from nadenoise_core.denoise.bundle import Bundle
from nadenoise_core.errors import ConfigError
from training import cli
from training.network.run import load_best
from training.network.start import open_start

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")

RUN = """
data:
  source: {kind: synthetic, count: 12, render_size: 64}
  cache: CACHE
  matrix: 32
  objects: {calves: 3, leaves: 2, shapes: 8}
pairs: {kind: scenes, context: 4}
network: {levels: [4, 6], depths: [1, 1]}
loss: {name: cross}
fit: {epochs: 1, batch: 8, averaging: 0.9, device: cpu, threads: 1}
"""


def call(*words: object) -> Result:
    return CliRunner().invoke(cli.program(), [str(word) for word in words], catch_exceptions=False)


def test_scenes_are_prepared_fitted_gone_on_with_and_exported(tmp_path: Path) -> None:
    config = tmp_path / "scenes.yaml"
    config.write_text(RUN.replace("CACHE", str(tmp_path / "scenes.h5")))
    here = ("--set", "fit.validation_images=8", "--set", "fit.learning_rate=1e-3")
    assert "images of 12 subjects" in call("prepare", config).stdout
    assert "500 steps" in call("fit", config, "--out", tmp_path / "run", *here).stdout
    network, run = load_best(tmp_path / "run")
    exported = call("export", tmp_path / "run", "--name", "small", "--calves", 1, "--images", 2)
    assert exported.exit_code == 0 and not (tmp_path / "run" / "small.pt2").exists()
    bundle = Bundle(tmp_path / "run" / "small.pt")
    assert bundle.metadata.input.context == 4 and "U-shaped" in bundle.metadata.description
    assert "Trained on virtual calves" in bundle.metadata.description
    assert "No implant" in (tmp_path / "run" / "small.md").read_text()
    start = open_start(bundle.path)
    assert start.config == run.config
    for name, value in network.state_dict().items():
        assert torch.equal(value, start.weights[name])
    with pytest.raises(ConfigError, match="set fit.workers to 0"):
        call("fit", config, "--out", tmp_path / "run", "--set", "fit.workers=1")
    with pytest.raises(ConfigError, match="TorchScript alone"):
        call("export", tmp_path / "run", "--only", "exported")
