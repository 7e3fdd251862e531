"""Whole reconstructions: every method on every shape of image, with coils, and on every device there is."""

from __future__ import annotations

import numpy as np
import pytest

from nadenoise_core.device import Device
from nadenoise_core.errors import BadInputError
from nadenoise_core.phantom import Ellipse, FieldMap, Label, VirtualScan, fourier, labels
from nadenoise_core.recon.reconstruction import Reconstruction
from nadenoise_core.recon.settings import Method, Settings
from nadenoise_core.sampling import PAPER_SPIRAL, SpiralDesign

ALL = sorted(method.value for method in Method)
TIMES = 14.8e-6 * np.arange(510)
LEG = Ellipse((6.0, -9.0), (55.0, 40.0), 0.4, 20.0)


def scan_of(
    ellipses: list[Ellipse], matrix: tuple[int, int], field_of_view: tuple[float, float], design: SpiralDesign
) -> tuple[np.ndarray, np.ndarray]:
    """K-space (1, interleaves, samples) of ellipses and the trajectory in cycles/pixel; sizes as (rows, columns)."""
    k = design.trajectory()
    pixel = np.divide(field_of_view, matrix)
    return fourier(ellipses, k)[None] / pixel.prod(), (k * pixel[::-1]).astype(np.float32)


def inside(ellipse: Ellipse, matrix: tuple[int, int], field_of_view: tuple[float, float], factor: float) -> np.ndarray:
    """(rows, columns) of pixel centres within an ellipse made larger by a factor."""
    y, x = ((np.arange(n) - n // 2) * (size / n) for n, size in zip(matrix, field_of_view, strict=True))
    (cx, cy), (a, b), angle = ellipse.centre, ellipse.semi_axes, ellipse.angle
    dx, dy = x - cx, (y - cy)[:, None]
    along, across = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
    return np.hypot(along / a, across / b) <= factor


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize(
    ("matrix", "field_of_view", "design"),
    [
        ((80, 80), (180.0, 180.0), PAPER_SPIRAL),
        ((81, 81), (180.0, 180.0), PAPER_SPIRAL),
        ((80, 101), (180.0, 180.0), PAPER_SPIRAL),  # pixels that are no squares
        ((80, 75), (180.0, 150.0), PAPER_SPIRAL),  # nor the field of view
        ((24, 24), (180.0, 180.0), SpiralDesign(matrix=24, interleaves=1)),
    ],
    ids=["square", "odd", "oblong pixels", "oblong", "one interleaf"],
)
def test_an_ellipse_comes_out_at_its_value_and_place(matrix, field_of_view, design, method) -> None:
    kspace, k = scan_of([LEG], matrix, field_of_view, design)
    reconstruction = Reconstruction(k, matrix, Settings(method), Device())
    result = reconstruction(kspace, np.full(design.interleaves, 1e-3 * 20 / noise_gain(reconstruction)))
    assert result.image.shape == matrix and result.image.dtype == np.complex64
    assert result.on_device is None
    within = inside(LEG, matrix, field_of_view, 0.75)
    assert within.sum() > 30
    assert result.image[within].real.mean() == pytest.approx(20, rel=0.02)
    assert np.abs(result.image[within].imag).mean() < 0.4
    beyond = ~inside(LEG, matrix, field_of_view, 1.35)
    assert np.abs(result.image[beyond].mean()) < 0.8
    # As sharp as pixels of this size can be: half of the value at the edge, in every direction.
    at_edge = inside(LEG, matrix, field_of_view, 1.06) & ~inside(LEG, matrix, field_of_view, 0.94)
    assert result.image[at_edge].real.mean() == pytest.approx(10, abs=1.5)


def noise_gain(reconstruction: Reconstruction) -> float:
    """Noise of a gridded image for noise of 1 in k-space."""
    return float(np.sqrt(np.sum(reconstruction._weights.astype(float) ** 2)))


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_images_are_single_precision_whatever_is_given(dtype, method, calf_scan, reconstruction) -> None:
    kspace, std = calf_scan(1).noisy(30)
    result = reconstruction(method)(kspace.astype(dtype), std.astype(np.float32))
    assert result.image.dtype == np.complex64
    assert isinstance(result.noise_std, float)
    if result.solution is not None:
        assert all(part.dtype == np.complex64 for start in result.solution.starts for part in start)


@pytest.mark.parametrize("method", ALL)
def test_eight_coils_see_the_object_times_their_common_sensitivity(method, calf_scan, disc) -> None:
    """Noise-free, against the root of the sum of squares of the true sensitivities."""
    scan = calf_scan(3)
    virtual = VirtualScan(scan.calf, PAPER_SPIRAL.trajectory(), 2.25, half_pulses=False, coils=8)
    pixels = 2.25 * np.stack(np.meshgrid(np.arange(80) - 40, np.arange(80) - 40), axis=-1)
    root = np.sqrt(np.sum(np.abs(virtual.sensitivities(pixels)) ** 2, axis=0))
    reconstruction = Reconstruction(
        (PAPER_SPIRAL.trajectory() * 2.25).astype(np.float32), (80, 80), Settings(method), Device()
    )
    image = np.abs(reconstruction(virtual.kspace, np.full(20, 0.01)).image)
    expected = root * np.abs(scan.truth)
    label = labels(scan.calf, 80, 180.0, margin=2.25)
    for region in (label == Label.MUSCLE, label >= Label.TUBE_1):
        assert image[region].mean() == pytest.approx(expected[region].mean(), rel=0.01)
        assert np.std(image[region] / expected[region]) < 0.08


@pytest.mark.parametrize("method", ["gridding", "least_squares"])
def test_noise_of_eight_coils_is_what_is_reported(method, calf_scan, reconstruction, noise, disc) -> None:
    scan = calf_scan(1, coils=8)
    std = scan.noisy(30)[1]
    results = [
        reconstruction(method)(scan.kspace + std[:, None] * noise(8, 20, 510, seed=seed), std) for seed in range(12)
    ]
    scatter = np.stack([result.image for result in results])[:, disc].std(axis=0, ddof=1)
    measured = np.sqrt(np.mean(scatter**2) / 2)
    assert np.mean([result.noise_std for result in results]) == pytest.approx(measured, rel=0.04)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(BadInputError, match="'magic'.*gridding, least_squares, total_variation"):
        Settings("magic")


@pytest.mark.gpu
@pytest.mark.parametrize("coils", [1, 4])
@pytest.mark.parametrize("field_map", [None, FieldMap(10.0, 30.0)])
@pytest.mark.parametrize("method", ALL)
def test_gpu_and_cpu_agree(method, field_map, coils, gpu, calf_scan, relative) -> None:
    kspace, std = calf_scan(1, coils=coils).noisy(30)
    pixels = 2.25 * np.stack(np.meshgrid(np.arange(80) - 40, np.arange(80) - 40), axis=-1)
    frequency = None if field_map is None else field_map.at(pixels)
    k = (PAPER_SPIRAL.trajectory() * 2.25).astype(np.float32)
    on_cpu, on_gpu = (
        Reconstruction(k, (80, 80), Settings(method), device, frequency, TIMES)(kspace, std)
        for device in (Device(), gpu)
    )
    assert isinstance(on_gpu.image, np.ndarray) and on_gpu.image.dtype == np.complex64
    assert relative(on_gpu.image, on_cpu.image) < (5e-3 if method == "total_variation" else 1e-3)
    assert on_gpu.on_device.device.id == gpu.index  # cupy's
    np.testing.assert_array_equal(on_gpu.on_device.get(), on_gpu.image)
    np.testing.assert_allclose(on_gpu.noise_std, on_cpu.noise_std, rtol=1e-3)


def test_what_lies_around_the_image_is_gridded_too() -> None:
    """A ring of pixels beside the image, against the sum over the samples in double precision."""
    matrix, width = (80, 80), 12
    beyond = Ellipse((-88.0, 20.0), (9.0, 12.0), 0.3, 50.0)  # lies over the edge of the field of view
    kspace, k = scan_of([LEG, beyond], matrix, (180.0, 180.0), PAPER_SPIRAL)
    alone = Reconstruction(k, matrix, Settings(Method.GRIDDING), Device())
    both = Reconstruction(k, matrix, Settings(Method.GRIDDING), Device(), surroundings=width)
    std = np.full(PAPER_SPIRAL.interleaves, 0.1)
    result = both(kspace, std)
    np.testing.assert_array_equal(result.image, alone(kspace, std).image)
    assert alone(kspace, std).wide is None
    assert result.wide is not None and result.wide.shape == (104, 104)
    np.testing.assert_allclose(result.wide[width:-width, width:-width], result.image, atol=2e-3)
    weighted = (kspace[0] * alone._weights).ravel()
    for row, column in ((-52, -52), (-45, 3), (20, -43), (51, 51)):
        turns = k[..., 1].ravel().astype(float) * row + k[..., 0].ravel().astype(float) * column
        assert result.wide[row + 52, column + 52] == pytest.approx(
            np.sum(weighted * np.exp(2j * np.pi * turns)), abs=5e-3
        )


@pytest.mark.parametrize("method", [Method.LEAST_SQUARES, Method.TOTAL_VARIATION])
def test_surroundings_are_of_gridding_alone(method) -> None:
    kspace, k = scan_of([LEG], (80, 80), (180.0, 180.0), PAPER_SPIRAL)
    made = Reconstruction(k, (80, 80), Settings(method), Device(), surroundings=12)
    assert made(kspace, np.full(PAPER_SPIRAL.interleaves, 0.1)).wide is None
