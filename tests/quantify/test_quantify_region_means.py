"""Regions by the mean of their pixels."""

from __future__ import annotations

import numpy as np
import pytest

from nadenoise_core.quantify.plane import SlicePlane
from nadenoise_core.quantify.readings import RegionMethod
from nadenoise_core.quantify.region_means import region_means
from nadenoise_core.quantify.regions import Regions
from nadenoise_core.quantify.uncertainty import Jackknife

VALUES = np.array([[1.0, 3.0, 10.0], [2.0, 10.0, 16.0]])
LABELS = np.array([[2, 2, 7], [0, 7, 7]])
PLANE = SlicePlane(np.zeros(3), np.eye(3), (1.0, 1.0), (2, 3), 5.0)


def regions(*shares: np.ndarray, numbers=((2,), (7,))) -> Regions:
    """Cells that are pixels."""
    return Regions(("skin", "muscle"), numbers, np.stack(shares).astype(np.float32), (-1.0, -1.0), 1.0)


def test_every_label_is_read() -> None:
    first, second = region_means(VALUES, regions(LABELS == 2, LABELS == 7), PLANE, RegionMethod.MEAN)
    assert (first.label, first.name, first.atsc, first.std, first.pixels) == (2, "skin", 2.0, 1.0, 2.0)
    assert (second.label, second.atsc, second.pixels, second.area) == (7, 12.0, 3.0, 3.0)
    assert second.std == pytest.approx(8**0.5)
    assert first.method is RegionMethod.MEAN and np.isnan(first.standard_error)


def test_pixels_count_that_a_region_fills_by_half() -> None:
    filled = np.where(LABELS == 2, 0.6, 0.0) + np.where(LABELS == 0, 0.4, 0.0)
    thin = np.where(LABELS == 7, [[0, 0, 0.4], [0, 0.4, 0.2]], 0)
    first, second = region_means(VALUES, regions(filled, thin), PLANE, RegionMethod.MEAN)
    assert (first.atsc, first.pixels) == (2.0, 2.0)
    assert second.atsc == pytest.approx((0.4 * 10 + 0.4 * 10 + 0.2 * 16) / 1.0)


def test_tissue_without_a_label_is_not_read() -> None:
    read = region_means(VALUES, regions(LABELS == 2, LABELS == 7, numbers=((2,), ())), PLANE, RegionMethod.MEAN)
    assert [reading.label for reading in read] == [2]


def test_errors_are_those_of_the_means() -> None:
    """Two groups of equal size: the error is half the difference of what they read apart."""
    without = np.stack([VALUES + 1, VALUES - 1])  # what the other group alone reads
    jackknife = Jackknife(without, np.zeros((2, 0)), 4, (2, 2))
    both = regions(LABELS == 2, LABELS == 7)
    for region in region_means(VALUES, both, PLANE, RegionMethod.DENOISED_MEAN, jackknife):
        assert region.standard_error == pytest.approx(1.0) and region.freedom == 1
        assert region.interval == pytest.approx((region.atsc - 12.706, region.atsc + 12.706), abs=1e-3)  # Student's t


@pytest.mark.parametrize("groups", [3, 5, 10])
def test_intervals_of_few_groups_hold_the_truth(groups) -> None:
    """Normal averages, in groups that are left out in turn."""
    random = np.random.default_rng(groups)
    held = 0
    for _ in range(2000):
        averages = random.normal(20.0, 4.0, (groups, 6))
        whole = averages.mean()
        left = np.array([np.delete(averages, group, axis=0).mean() for group in range(groups)])
        jackknife = Jackknife(left[:, None, None], np.zeros((groups, 0)), 6 * groups, (6 * (groups - 1),) * groups)
        values, everywhere = (
            np.array([[whole]]),
            Regions(("muscle",), ((1,),), np.ones((1, 1, 1), np.float32), (0.0, 0.0), 1.0),
        )
        plane = SlicePlane(np.zeros(3), np.eye(3), (1.0, 1.0), (1, 1), 5.0)
        (reading,) = region_means(values, everywhere, plane, RegionMethod.MEAN, jackknife)
        low, high = reading.interval
        held += low < 20.0 < high
    assert 0.935 < held / 2000 < 0.965
