"""Regions, label maps by nibabel, and image quality against closed forms."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy.integrate import dblquad

from nadenoise_core.errors import BadInputError
from nadenoise_core.quantify.nifti import read_label_map, read_map
from nadenoise_core.quantify.quality import edge_sharpness, estimated_snr
from nadenoise_core.quantify.rois import disc_weights, distance_from, measure, pixel_positions

PIXEL, K_MAX = (2.25, 2.25), 0.5 / 2.25
ROWS, COLUMNS = 6, 9


def test_positions_of_pixels() -> None:
    x, y = pixel_positions((6, 9), (2.0, 3.0))
    assert x.shape == y.shape == (6, 9)
    assert (x[3, 4], y[3, 4]) == (0, 0)
    assert (x[0, 8], y[0, 8]) == (12, -6)
    assert distance_from((3.0, 2.0), (6, 9), (2.0, 3.0))[4, 5] == 0


def test_a_disc_has_its_area() -> None:
    for centre in ((0.0, 0.0), (1.1, -0.7)):
        weights = disc_weights(distance_from(centre, (80, 80), PIXEL), 20.0, PIXEL)
        assert weights.sum() * 2.25**2 == pytest.approx(np.pi * 400, rel=0.01)
        assert weights.min() == 0
        assert weights.max() == 1


def test_mean_and_scatter_of_a_region() -> None:
    image, weights = np.array([[1.0, 5.0, 99.0]]), np.array([[1.0, 0.5, 0.0]])
    region = measure(image, weights)
    assert region.pixels == 1.5
    assert region.mean == pytest.approx((1 + 2.5) / 1.5)
    assert region.std == pytest.approx(np.sqrt(((1 - 7 / 3) ** 2 + 0.5 * (5 - 7 / 3) ** 2) / 1.5))
    with pytest.raises(BadInputError, match="no pixel"):
        measure(image, np.zeros((1, 3)))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
@pytest.mark.parametrize("shape", [(COLUMNS, ROWS, 1), (COLUMNS, ROWS), (COLUMNS, ROWS, 1, 1)])
@pytest.mark.parametrize("name", ["map.nii", "map.nii.gz"])
def test_label_map_round_trip(tmp_path: Path, dtype, shape, name: str) -> None:
    labels = np.random.default_rng(0).integers(0, 6, (ROWS, COLUMNS))
    nibabel.save(nibabel.Nifti1Image(labels.T.reshape(shape).astype(dtype), np.eye(4)), tmp_path / name)
    got = read_label_map(tmp_path / name, (ROWS, COLUMNS))
    assert got.dtype == np.int64
    np.testing.assert_array_equal(got, labels)


def test_a_map_is_read_the_same_way_round(tmp_path: Path) -> None:
    drawn = np.random.default_rng(0).normal(1, 0.1, (ROWS, COLUMNS))
    drawn[2, 3], drawn[4, 1] = np.nan, 0
    nibabel.save(nibabel.Nifti1Image(drawn.T[..., None].astype(np.float32), np.eye(4)), tmp_path / "b1.nii.gz")
    got = read_map(tmp_path / "b1.nii.gz", (ROWS, COLUMNS))
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, drawn, rtol=1e-6)


def save(path: Path, array: np.ndarray) -> Path:
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), path)
    return path


def test_label_maps_of_another_image(tmp_path: Path) -> None:
    for shape, words in (
        ((ROWS, COLUMNS, 1), "6x9x1, the image 9x6x1"),
        ((COLUMNS, ROWS, 2), "9x6x2"),
        ((9,), "is 9,"),
    ):
        for read in (read_label_map, read_map):
            with pytest.raises(BadInputError, match=words):
                read(save(tmp_path / "other.nii", np.zeros(shape, np.int16)), (ROWS, COLUMNS))


def test_images_that_are_no_label_maps(tmp_path: Path) -> None:
    colours = np.zeros((COLUMNS, ROWS, 1), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    for array in (np.full((COLUMNS, ROWS), 0.5, np.float32), np.full((COLUMNS, ROWS), np.nan), colours):
        with pytest.raises(BadInputError, match="not whole numbers"):
            read_label_map(save(tmp_path / "image.nii", array), (ROWS, COLUMNS))
    for array in (np.zeros((COLUMNS, ROWS), np.complex64), colours):
        with pytest.raises(BadInputError, match="map of real numbers"):
            read_map(save(tmp_path / "image.nii", array), (ROWS, COLUMNS))


def test_files_that_are_no_nifti(tmp_path: Path) -> None:
    good = save(tmp_path / "good.nii.gz", np.random.default_rng(0).integers(0, 9, (COLUMNS, ROWS, 1), np.int16))
    (tmp_path / "words.nii").write_text("hello")
    (tmp_path / "words.nii.gz").write_text("hello")
    (tmp_path / "cut.nii.gz").write_bytes(good.read_bytes()[:-20])
    (tmp_path / "zeros.nii").write_bytes(bytes(400))
    for name in ("words.nii", "words.nii.gz", "cut.nii.gz", "zeros.nii", "missing.nii", "."):
        with pytest.raises(BadInputError, match="cannot be read as a NIfTI label map"):
            read_label_map(tmp_path / name, (ROWS, COLUMNS))
        with pytest.raises(BadInputError, match="cannot be read as a NIfTI map"):
            read_map(tmp_path / name, (ROWS, COLUMNS))


@pytest.mark.parametrize("diameter", [20.0, 27.0])
def test_sharpness_of_a_blurred_tube(tube_image, diameter: float) -> None:
    """An edge band-limited at K has the slope 2 K. Central differences over two pixels see this share of it in any
    direction, and their mean over a ring is taken with a Gaussian of half a pixel."""
    ring = PIXEL[0] / 2

    def seen(k: float, angle: float) -> float:
        along = 2 * np.pi * PIXEL[0] * k * np.array([np.cos(angle), np.sin(angle)])
        difference = (np.array([np.cos(angle), np.sin(angle)]) * np.sin(along)).sum() / (2 * np.pi * PIXEL[0] * k)
        return float(difference * np.exp(-2 * (np.pi * ring * k) ** 2))

    left = dblquad(seen, 0, np.pi / 2, 1e-9, K_MAX)[0] / (K_MAX * np.pi / 2)
    rng, got = np.random.default_rng(0), []
    for _ in range(12):
        x, y = rng.uniform(-40, 40, 2)
        got.append(edge_sharpness(tube_image(50.0, (x, y), diameter), (x, y), diameter / 2, PIXEL))
    expected = 50 * 2 * K_MAX * left
    assert np.mean(got) == pytest.approx(expected, rel=0.05)
    np.testing.assert_allclose(got, expected, rtol=0.12)


def test_sharpness_of_a_cone_is_its_slope() -> None:
    centre = (3.0, -8.0)
    cone = 100 - 1.7 * distance_from(centre, (80, 80), PIXEL)
    assert edge_sharpness(cone, centre, 15.0, PIXEL) == pytest.approx(1.7, rel=0.1)
    assert edge_sharpness(2 * cone + 5, centre, 15.0, PIXEL) == pytest.approx(
        2 * edge_sharpness(cone, centre, 15.0, PIXEL)
    )


def test_snr_against_rayleigh_noise() -> None:
    """Magnitude noise has the standard deviation sigma sqrt(2 - pi/2)."""
    noise = 3 * np.random.default_rng(0).standard_normal((300, 300, 2)).view(complex)[..., 0]
    signal = np.zeros((300, 300), bool)
    signal[:100] = True
    snr = estimated_snr(np.abs(noise + 60 * signal), signal, ~signal)
    assert snr == pytest.approx(60 / (3 * np.sqrt(2 - np.pi / 2)), rel=0.02)
