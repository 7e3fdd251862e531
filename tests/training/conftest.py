"""A few limbs and the spiral's noise, made once; a small run for processes of its own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import nadenoise_core
from training.config import SyntheticSettings
from training.data.cache import Images
from training.data.images import prepare_image
from training.data.kspace import SpiralNoise
from training.sources import Journal, open_source

torch.set_num_threads(1)

# The second batch is the first that several processes share; matrix and limbs are small to be quick.
SMALL_RUN = """
data:
  source: {kind: synthetic, count: 40, render_size: 64}
  cache: CACHE
  matrix: 32
pairs: {kind: quantitative}
network: {filters: 4, blocks: 1, zero_init: true, momentum: 0.1}
loss: {name: mse}
fit:
  epochs: 12
  batch: 8
  micro_batch: 4
  learning_rate: 1e-2
  schedule: cosine
  averaging: 0.9
  freeze_statistics: 0.3
  device: cpu
  threads: 1
"""


@pytest.fixture(scope="session")
def limbs() -> Images:
    """Forty limbs, one a subject."""
    series = open_source(SyntheticSettings(kind="synthetic", count=40, seed=90)).series(Journal())
    made = [prepare_image(one.slices[0], 80) for one in series]
    return Images(
        np.stack([one.image for one in made]),
        np.stack([one.clearance for one in made]),
        np.stack([one.muscle for one in made if one.muscle is not None]),
        np.arange(len(made), dtype=np.int32),
    )


@pytest.fixture(scope="session")
def noise() -> SpiralNoise:
    return SpiralNoise()


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Configuration of a small run whose cache is prepared."""
    from training.config import load_config
    from training.data.prepare import prepare

    folder = tmp_path_factory.mktemp("small")
    path = folder / "small.yaml"
    path.write_text(SMALL_RUN.replace("CACHE", str(folder / "small.h5")))
    prepare(load_config(path).data, Journal())
    return path


@pytest.fixture
def untold(tmp_path: Path) -> Path:
    """The shipped bundle, as one that does not say how it was made."""
    shipped = Path(nadenoise_core.__file__).parent / "models" / "noise_aware.pt"
    inside = {"metadata.json": ""}
    network = torch.jit.load(str(shipped), _extra_files=inside)  # type: ignore[no-untyped-call]
    metadata = json.loads(inside["metadata.json"])
    del metadata["training"]["configuration"]
    path = tmp_path / "untold.pt"
    torch.jit.save(network, str(path), _extra_files={"metadata.json": json.dumps(metadata)})  # type: ignore[no-untyped-call]
    return path
