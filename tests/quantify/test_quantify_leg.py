"""The leg as a whole: its median, and an error that repeated noise bears out."""

from __future__ import annotations

import numpy as np
import pytest

from nadenoise_core.quantify.calibration import Line
from nadenoise_core.quantify.leg import read_leg
from nadenoise_core.quantify.readings import RegionMethod, Tube
from nadenoise_core.quantify.rois import distance_from

PIXEL = (2.25, 2.25)
LINE = Line(2.0, 0.0, 1.0)
TUBES = tuple(Tube(c, (60.0, y), 20.0, 2 * c, 1.0, 30.0) for c, y in ((10.0, -40.0), (50.0, 0.0), (100.0, 40.0)))


def leg(concentration: float = 20.0) -> np.ndarray:
    image = np.where(distance_from((-10.0, 0.0), (80, 80), PIXEL) < 45, concentration, 0.0)
    for tube in TUBES:
        image[distance_from(tube.centre, (80, 80), PIXEL) < 10] = tube.concentration
    return image


def test_tubes_and_air_are_left_out() -> None:
    reading = read_leg(leg(), PIXEL, TUBES, LINE, 0.0, RegionMethod.MEAN)
    assert reading is not None and reading.atsc == 20.0 and reading.title == "leg"
    assert reading.area == pytest.approx(np.pi * 45**2, rel=0.01)
    assert reading.standard_error == 0.0
    assert read_leg(leg(0.0), PIXEL, TUBES, LINE, 1.0, RegionMethod.MEAN) is None


def test_the_error_is_that_of_repeated_noise() -> None:
    """Noise that fills a disc of k-space, as the scans have it."""
    random = np.random.default_rng(4)
    ky, kx = np.meshgrid(np.fft.fftfreq(80), np.fft.fftfreq(80), indexing="ij")
    disc = np.hypot(ky, kx) <= 0.5
    found, told = [], []
    for _ in range(200):
        noise = np.fft.ifft2(np.fft.fft2(random.standard_normal((80, 80))) * disc).real
        noise *= 3.0 / noise.std()
        reading = read_leg(leg() + noise, PIXEL, TUBES, LINE, 3.0 * LINE.slope, RegionMethod.MEAN)
        assert reading is not None
        found.append(reading.atsc)
        told.append(reading.standard_error)
    assert np.std(found) == pytest.approx(np.mean(told), rel=0.25)


def test_a_line_that_the_tubes_do_not_keep_is_an_error_too() -> None:
    tubes = tuple(
        Tube(t.concentration, t.centre, 20.0, t.signal * f, 1.0, 30.0)
        for t, f in zip(TUBES, (1, 1.04, 0.99), strict=True)
    )
    reading = read_leg(leg(), PIXEL, tubes, LINE, 0.0, RegionMethod.MEAN)
    scatter = np.array([0.0, 4.0, -2.0])
    expected = 20 * np.sqrt(np.sum(scatter**2) / 2 / (100 + 2500 + 10000)) / 2
    assert reading is not None and reading.standard_error == pytest.approx(expected)


def test_unknown_noise_gives_no_error() -> None:
    reading = read_leg(leg(), PIXEL, TUBES, LINE, float("nan"), RegionMethod.MEAN)
    assert reading is not None and np.isnan(reading.standard_error)
