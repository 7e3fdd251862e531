"""Individuals and a trajectory that the phantom's tests share."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from nadenoise_core.phantom import Calf, random_calf


@pytest.fixture(scope="session")
def calf() -> Calf:
    return random_calf(7)


@pytest.fixture(scope="session")
def calves() -> list[Calf]:
    return [random_calf(seed) for seed in range(50)]


@pytest.fixture(scope="session")
def trajectory() -> NDArray[np.float64]:
    """Six centre-out interleaves of 40 samples, up to half a cycle per pixel of 2.25 mm."""
    t = np.linspace(0, 1, 40)
    turn = 2 * np.pi * (2 * t + np.arange(6)[:, None] / 6)
    return (t * 0.5 / 2.25)[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
