"""Exact images of calves and tubes, and gridded images with noise, made once."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pytest

from nadenoise_core.device import Device
from nadenoise_core.phantom import Calf, Tube, band_limited, kspace, random_calf
from nadenoise_core.recon.model import SignalModel
from nadenoise_core.sampling import PAPER_SPIRAL, sample_weights

PIXEL = (2.25, 2.25)
K_MAX = 0.5 / 2.25

MakeTube = Callable[[float, tuple[float, float], float], np.ndarray]
Scan = Callable[..., np.ndarray]


@pytest.fixture(scope="session")
def tube_image() -> MakeTube:
    """Band-limited image of one tube: concentration, centre, diameter."""

    def make(concentration: float, centre: tuple[float, float], diameter: float) -> np.ndarray:
        tube = Tube(concentration, centre, diameter)
        return band_limited(Calf(0, "left", 180.0, 20.0, 20.0, (), (tube,)), 80, 180.0)

    return make


@pytest.fixture(scope="session")
def scanned() -> Scan:
    """Gridded image (complex) of a calf with the paper's spiral and the noise of so many averages; None: no noise.

    The image noise is 58 / sqrt(averages) mmol/L.
    """
    k = PAPER_SPIRAL.trajectory()
    weights = sample_weights(k * 2.25, (80, 80))
    model = SignalModel(k * 2.25, weights, (80, 80), Device())
    gain = np.sqrt(np.sum(weights.astype(float) ** 2))

    @lru_cache(maxsize=64)
    def clean(calf: Calf) -> np.ndarray:
        return model.grid(kspace(calf, k, 2.25)[None])[0]

    def scan(calf: Calf | int, averages: int | None, seed: int = 0) -> np.ndarray:
        image = clean(random_calf(calf) if isinstance(calf, int) else calf)
        if averages is None:
            return image
        noise = np.random.default_rng(seed).standard_normal((1, *weights.shape, 2)).view(complex)[..., 0]
        return image + model.grid(noise * (58 / np.sqrt(averages) / gain))[0]

    return scan
