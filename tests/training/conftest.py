"""A few limbs and the spiral's noise, made once."""

from __future__ import annotations

import pytest
import torch

from training.cache import CacheKey, Limbs, render_limbs
from training.kspace import SpiralNoise

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def limbs() -> Limbs:
    return render_limbs(CacheKey(seed=90, count=40))


@pytest.fixture(scope="session")
def noise() -> SpiralNoise:
    return SpiralNoise()
