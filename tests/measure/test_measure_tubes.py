"""Control charts of the reference tubes, against numbers worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nadenoise_core.measure.tube_quality import (
    TubeQuality,
    by_date,
    common_slope,
    control_chart,
    tube_quality,
    write_tubes,
)
from nadenoise_core.mrd.facts import AtscFacts, Kind
from nadenoise_core.quantify.calibration import Line, Slope
from nadenoise_core.quantify.readings import Tube


def test_limits_are_shewharts() -> None:
    """Moving ranges 2, 1, 4, 3, 0: mean 2; limits at 12 +- 2.66 x 2."""
    chart = control_chart("slope", [11.0, 13.0, 14.0, 10.0, 13.0, 13.0 - 0.0])
    assert chart.centre == pytest.approx(74 / 6)
    assert chart.high - chart.centre == pytest.approx(2.66 * 2.0) == chart.centre - chart.low
    assert chart.outside == ()


def test_a_scan_that_left_the_others_is_told_and_a_gap_is_not() -> None:
    values = [10.0, 10.2, 9.9, 10.1, float("nan"), 10.0, 10.2, 9.8, 10.1, 13.0]
    assert control_chart("slope", values).outside == (9,)


def test_few_scans_have_no_limits() -> None:
    chart = control_chart("slope", [1.0, 2.0, 9.0])
    assert np.isnan(chart.low) and np.isnan(chart.high) and chart.outside == ()


def test_the_numbers_of_a_scan() -> None:
    """Signals 2 c + 6: as concentrations 3 mmol/L above zero; on the line 2 c the tubes read 3 mmol/L high each."""
    tubes = tuple(Tube(c, (0.0, 0.0), 20.0, 2 * c + 6, 0.1, 50) for c in (10.0, 25.0, 50.0, 75.0, 100.0))
    facts = AtscFacts(Kind.PLAIN, Line(2.0, 0.0, 0.99), 1.0, tubes, fit_slope=Slope(2.1, 0.02))
    made = tube_quality("scan", "2024-01-31", 30, facts)
    assert made.intercept == pytest.approx(3.0) and made.residual == pytest.approx(3.0 * (5 / 4) ** 0.5)
    assert (made.slope, made.fit_slope, made.fit_slope_error) == (2.0, 2.1, 0.02)


def test_scans_stand_in_the_order_of_their_dates(tmp_path: Path) -> None:
    scans = [
        TubeQuality(name, date, 30, 1.0, 0.0, 0.5)
        for name, date in (("c", ""), ("b", "2024-02-01"), ("a", "2024-03-01"))
    ]
    assert [one.scan for one in by_date(scans)] == ["b", "a", "c"]
    write_tubes(tmp_path / "tubes.csv", by_date(scans))
    lines = (tmp_path / "tubes.csv").read_text().splitlines()
    assert lines[0].startswith("scan,date,averages,slope") and lines[1] == "b,2024-02-01,30,1,0,0.5,,"


def test_the_slope_that_scans_share_has_the_spread_of_their_true_slopes() -> None:
    rng = np.random.default_rng(4)
    true = 1.0 + rng.normal(0, 0.01, 4000)
    errors = rng.uniform(0.005, 0.02, 4000)
    scans = [
        TubeQuality("s", "", 10, 1.0, 0.0, 0.5, slope + error * rng.normal(), error)
        for slope, error in zip(true, errors, strict=True)
    ]
    mean, spread = common_slope(scans)
    assert mean == pytest.approx(1.0, abs=0.001) and spread == pytest.approx(0.01, rel=0.05)
    assert common_slope(scans[:4]) is None
