"""The jackknife against closed forms: for a mean it is the classical standard error."""

from __future__ import annotations

import numpy as np
import pytest

from nadenoise_core.quantify.calibration import Line
from nadenoise_core.quantify.readings import Tube
from nadenoise_core.quantify.uncertainty import Jackknife, jackknife_error


def left_out(values, groups, of=np.mean):
    """Values without every group in turn, groups dealt out in turn."""
    dealt = np.arange(len(values)) % groups
    replicas = np.array([of(values[dealt != group], axis=0) for group in range(groups)])
    return replicas, [int((dealt != group).sum()) for group in range(groups)]


def test_one_average_a_group_gives_the_standard_error_of_the_mean():
    values = np.random.default_rng(1).normal(3, 2, 12)
    replicas, left = left_out(values, 12)
    assert jackknife_error(values.mean(), replicas, 12, left) == pytest.approx(values.std(ddof=1) / 12**0.5)


def test_equal_groups_give_the_standard_error_of_the_means_of_groups():
    values = np.random.default_rng(2).normal(0, 1, (30, 4))
    replicas, left = left_out(values, 10)
    means = values.reshape(3, 10, 4).mean(axis=0)
    expected = means.std(axis=0, ddof=1) / 10**0.5
    np.testing.assert_allclose(jackknife_error(values.mean(axis=0), replicas, 30, left), expected)


@pytest.mark.parametrize(("averages", "groups"), [(12, 10), (14, 10), (33, 7)])
def test_unequal_groups_are_unbiased(averages, groups):
    rng = np.random.default_rng(3)
    variances = []
    for _ in range(2000):
        values = rng.normal(0, 1, averages)
        replicas, left = left_out(values, groups)
        variances.append(float(jackknife_error(values.mean(), replicas, averages, left)) ** 2)
    assert np.mean(variances) == pytest.approx(1 / averages, rel=0.05)


def test_a_smooth_function_of_the_mean():
    rng = np.random.default_rng(4)
    errors, values = [], []
    for _ in range(400):
        sample = rng.normal(5, 1, 40)
        replicas, left = left_out(sample, 10, of=lambda x, axis: np.exp(x.mean(axis)))
        values.append(np.exp(sample.mean()))
        errors.append(float(jackknife_error(values[-1], replicas, 40, left)))
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(values), rel=0.15)


def test_one_group_tells_nothing():
    assert np.isnan(jackknife_error(1.0, np.zeros((1,)), 5, [4]))
    assert np.isnan(jackknife_error(np.ones(3), np.zeros((0, 3)), 5, [])).all()


def test_errors_of_regions_and_tubes_are_those_of_their_values() -> None:
    random = np.random.default_rng(3)
    maps, tubes, left = random.normal(20, 1, (4, 6, 5)), random.normal(50, 1, (4, 2)), (9, 9, 9, 9)
    jackknife = Jackknife(maps, tubes, 12, left)
    region = np.zeros((6, 5), bool)
    region[1:4, 2:] = True
    expected = jackknife_error(20.0, maps[:, 1:4, 2:].mean(axis=(1, 2)), 12, left)
    assert jackknife.error_of_mean(20.0, region.astype(float)) == pytest.approx(float(expected))
    known = (Tube(10.0, (0.0, 0.0), 20.0, 25.0, 1.0, 40.0), Tube(50.0, (1.0, 0.0), 20.0, 105.0, 1.0, 40.0))
    errors = [tube.standard_error for tube in jackknife.with_errors(known, Line(2.0, 5.0, 1.0))]
    assert errors == pytest.approx(jackknife_error(np.array([10.0, 50.0]), tubes, 12, left).tolist())
