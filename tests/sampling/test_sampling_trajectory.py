"""Units of a trajectory: found out, converted, or refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nadenoise_core.errors import TrajectoryError
from nadenoise_core.sampling import TRAJECTORY_UNITS, Encoding, normalise_trajectory


def encoding(matrix: tuple[int, int] = (80, 80), fov: tuple[float, float] = (180.0, 180.0)) -> Encoding:
    return Encoding(matrix, fov, matrix, fov)


def spiral(matrix: tuple[int, int], fov: tuple[float, float], reach: float = 0.97) -> np.ndarray:
    """Three arms in cycles/mm, columns (read, phase), that reach a part of the way to the edge of each axis."""
    t = np.linspace(0, 1, 64)
    angle = 2 * np.pi * (3 * t + np.arange(3)[:, None] / 3)
    edge = np.array([matrix[1] / fov[1], matrix[0] / fov[0]]) / 2
    return reach * edge * t[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def in_unit(k: np.ndarray, unit: str, matrix: tuple[int, int], fov: tuple[float, float]) -> np.ndarray:
    """cycles/mm to a unit, written out by hand for (read, phase)."""
    fov_xy = np.array([fov[1], fov[0]])
    pixel_xy = fov_xy / np.array([matrix[1], matrix[0]])
    return {
        "cycles/pixel": k * pixel_xy,
        "radians/pixel": 2 * np.pi * k * pixel_xy,
        "cycles/FOV": k * fov_xy,
        "1/m": k * 1000,
        "1/cm": k * 10,
        "1/mm": k,
        "radians/m": 2 * np.pi * k * 1000,
        "radians/mm": 2 * np.pi * k,
    }[unit]


USUAL = ["cycles/pixel", "radians/pixel", "cycles/FOV", "1/m"]
sides = st.integers(32, 256)
lengths = st.floats(100, 380)


@settings(max_examples=60, deadline=None)
@given(st.tuples(sides, sides), st.tuples(lengths, lengths), st.sampled_from(TRAJECTORY_UNITS))
def test_every_unit_is_found_and_becomes_the_same_array(matrix, fov, unit) -> None:
    k = spiral(matrix, fov)
    for given_unit in (None, unit) if unit in USUAL else (unit,):
        got, found = normalise_trajectory(in_unit(k, unit, matrix, fov), encoding(matrix, fov), given_unit)
        assert found == unit
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, in_unit(k, "cycles/pixel", matrix, fov), atol=1e-6)


@pytest.mark.parametrize("unit", USUAL)
def test_the_density_column_is_left_out(unit: str) -> None:
    values = in_unit(spiral((80, 80), (180, 180)), unit, (80, 80), (180, 180))
    weighted = np.concatenate([values, np.full((*values.shape[:2], 1), 1e6)], axis=-1)
    got, found = normalise_trajectory(weighted, encoding())
    assert found == unit
    assert got.shape == values.shape
    np.testing.assert_array_equal(got, normalise_trajectory(values, encoding())[0])


@pytest.mark.parametrize("unit", USUAL)
@pytest.mark.parametrize(
    ("encoded", "made"),
    [
        (((160, 160), (360.0, 360.0)), ((80, 80), (180.0, 180.0))),  # field of view oversampled
        (((80, 64), (180.0, 160.0)), ((160, 128), (180.0, 160.0))),  # zero-filled
        (((80, 64), (180.0, 160.0)), ((160, 64), (180.0, 160.0))),  # along phase alone
    ],
)
def test_units_refer_to_the_encoded_space(unit: str, encoded, made) -> None:
    k = spiral(*encoded)
    got, found = normalise_trajectory(in_unit(k, unit, *encoded), Encoding(*made, *encoded))
    assert found == unit
    np.testing.assert_allclose(got, in_unit(k, "cycles/pixel", *made), atol=1e-6)


def test_a_trajectory_beyond_the_image_matrix_is_refused() -> None:
    coarse = Encoding((40, 40), (180, 180), (80, 80), (180, 180))
    with pytest.raises(TrajectoryError, match=r"beyond the 0\.5 of matrix 40x40"):
        normalise_trajectory(in_unit(spiral((80, 80), (180, 180)), "1/m", (80, 80), (180, 180)), coarse)
    with pytest.raises(TrajectoryError, match="beyond"):
        normalise_trajectory(spiral((80, 80), (180, 180)) * 180 * 1.2, encoding(), "cycles/FOV")


def test_a_small_overshoot_is_no_reason_to_refuse() -> None:
    k = spiral((80, 80), (180, 180), reach=1.015) * 180
    assert normalise_trajectory(k, encoding())[1] == "cycles/FOV"


def test_ambiguity_is_refused_until_a_unit_is_given() -> None:
    tiny = encoding((6, 6), (180.0, 180.0))  # its edge is 3 cycles/FOV, which passes for pi radians/pixel
    k = spiral((6, 6), (180, 180)) * 180
    with pytest.raises(TrajectoryError, match=r"several units \(radians/pixel, cycles/FOV\).*trajectory_unit"):
        normalise_trajectory(k, tiny)
    assert normalise_trajectory(k, tiny, "cycles/FOV")[1] == "cycles/FOV"


def test_a_unit_that_fits_none_is_refused() -> None:
    with pytest.raises(TrajectoryError, match="fits no unit"):
        normalise_trajectory(spiral((80, 80), (180, 180)) * 1e6, encoding())
    with pytest.raises(TrajectoryError, match=r"unknown trajectory unit 'furlongs'.*cycles/pixel"):
        normalise_trajectory(spiral((80, 80), (180, 180)), encoding(), "furlongs")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    k = spiral((80, 80), (180, 180)) * 180
    k[1, 5, 1] = value
    with pytest.raises(TrajectoryError, match="NaN or infinite"):
        normalise_trajectory(k, encoding(), "cycles/FOV")


@pytest.mark.parametrize("shape", [(3, 64, 1), (3, 64, 4), (3, 0, 2)])
def test_the_number_of_columns_is_checked(shape: tuple[int, ...]) -> None:
    with pytest.raises(TrajectoryError, match="2 or 3 columns"):
        normalise_trajectory(np.ones(shape), encoding(), "cycles/FOV")


@pytest.mark.parametrize(
    ("unit", "found"), [("radians/m", True), ("1/cm", False), ("1/mm", False), ("radians/mm", False)]
)
def test_units_of_simulators_and_field_cameras_at_the_papers_matrix(unit, found) -> None:
    shape = (80, 80), (180.0, 180.0)
    values = in_unit(spiral(*shape), unit, *shape)
    if found:
        assert normalise_trajectory(values, encoding())[1] == unit
    else:
        with pytest.raises(TrajectoryError, match=f"fits several units .*{unit}"):
            normalise_trajectory(values, encoding())


def test_a_third_column_below_0_is_kz() -> None:
    k = in_unit(spiral((80, 80), (180, 180)), "cycles/pixel", (80, 80), (180, 180))
    kz = np.linspace(-0.5, 0.5, k.shape[1]) * np.ones(k.shape[:2])
    with pytest.raises(TrajectoryError, match="third column .* but kz"):
        normalise_trajectory(np.concatenate([k, kz[..., None]], axis=-1), encoding())
