"""Rates of the guard with denoisers of which it is known what it must say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from training.evaluation import baselines
from training.evaluation.bench import Entry
from training.evaluation.guard_rates import guard_rates


@pytest.mark.parametrize("context", [0, 12])
def test_a_denoiser_that_does_nothing_is_never_blamed_and_a_missing_disc_always_found(context: int) -> None:
    rates = guard_rates(Entry("plain", baselines.plain, context), 2, 11)
    assert (rates.false_alarms, rates.found, rates.faults) == (0, 1, {})


def test_a_blur_is_always_blamed() -> None:
    def blur(images, std):
        return np.stack([gaussian_filter(image.real, 2.0) + 1j * gaussian_filter(image.imag, 2.0) for image in images])

    rates = guard_rates(Entry("blur", blur), 2, 11)
    assert rates.false_alarms == 1 and "structure was changed" in rates.faults
