"""Regions by the mean of their pixels."""

from __future__ import annotations

import numpy as np
import pytest

from nadenoise_core.quantify.readings import RegionMethod
from nadenoise_core.quantify.region_means import region_means
from nadenoise_core.quantify.uncertainty import Jackknife

VALUES = np.array([[1.0, 3.0, 10.0], [2.0, 10.0, 16.0]])
LABELS = np.array([[2, 2, 7], [0, 7, 7]])


def test_every_label_is_read() -> None:
    first, second = region_means(VALUES, LABELS, RegionMethod.MEAN)
    assert (first.label, first.atsc, first.std, first.pixels) == (2, 2.0, 1.0, 2.0)
    assert (second.label, second.atsc, second.pixels) == (7, 12.0, 3.0)
    assert second.std == pytest.approx(8**0.5)
    assert first.method is RegionMethod.MEAN and np.isnan(first.standard_error)


def test_errors_are_those_of_the_means() -> None:
    """Two groups of equal size: the error is half the difference of what they read apart."""
    without = np.stack([VALUES + 1, VALUES - 1])  # what the other group alone reads
    jackknife = Jackknife(without, np.zeros((2, 0)), 4, (2, 2))
    for region in region_means(VALUES, LABELS, RegionMethod.DENOISED_MEAN, jackknife):
        assert region.standard_error == pytest.approx(1.0)
