"""The signal model against the sums that define it: dense matrices of small images, NUFFT pairs of large ones."""

from __future__ import annotations

import numpy as np
import pytest

from nadenoise_core.device import Device, to_host
from nadenoise_core.phantom import FieldMap
from nadenoise_core.recon.model import SignalModel
from nadenoise_core.recon.nufft import Nufft
from nadenoise_core.sampling import sample_weights
from nadenoise_core.sampling.off_resonance import time_segments

SAMPLES = 40
TIMES = 14.8e-6 * np.arange(SAMPLES) * 10  # 6 ms
MATRICES = [(14, 11), (9, 16), (1, 7)]


def pixels(matrix: tuple[int, int]) -> np.ndarray:
    """(rows, columns, 2) as (x, y) in pixels from pixel N // 2."""
    rows, columns = matrix
    return np.stack(np.meshgrid(np.arange(columns) - columns // 2, np.arange(rows) - rows // 2), axis=-1)


def field_map(matrix: tuple[int, int]) -> np.ndarray:
    """A smooth map of -60 to 100 Hz."""
    return FieldMap(20.0, 80.0, (3, 2), 0.4).at(10.0 * pixels(matrix))


class Small:
    """A small model, and the dense matrix (samples, pixels) of the same: exp(-2 pi i (k.r + f t))."""

    def __init__(self, matrix: tuple[int, int], off_resonance: bool) -> None:
        rng = np.random.default_rng(1)
        k = rng.uniform(-0.5, 0.5, (3, SAMPLES, 2))
        self.weights = rng.uniform(0.2, 1.5, (3, SAMPLES)).astype(np.float32)
        frequency = field_map(matrix) if off_resonance else np.zeros(matrix)
        cycles = k.reshape(-1, 2) @ pixels(matrix).reshape(-1, 2).T + np.outer(np.tile(TIMES, 3), frequency)
        self.dense = np.exp(-2j * np.pi * cycles)
        segments = time_segments(frequency, TIMES) if off_resonance else None
        self.model = SignalModel(k, self.weights, matrix, Device(), segments)

    def normal(self, image: np.ndarray) -> np.ndarray:
        through = self.dense.conj().T @ (self.weights.ravel() * (self.dense @ image.ravel()))
        return through.reshape(image.shape)


@pytest.mark.parametrize("off_resonance", [False, True])
@pytest.mark.parametrize("matrix", MATRICES)
def test_gridding_is_the_weighted_adjoint(matrix, off_resonance, noise, relative) -> None:
    small = Small(matrix, off_resonance)
    kspace = noise(2, 3, SAMPLES)
    images = small.model.grid(kspace)
    assert images.dtype == np.complex64 and images.shape == (2, *matrix)
    for image, one in zip(images, kspace, strict=True):
        expected = small.dense.conj().T @ (small.weights * one).ravel()
        assert relative(image, expected.reshape(matrix)) < 1e-4


@pytest.mark.parametrize("off_resonance", [False, True])
@pytest.mark.parametrize("matrix", MATRICES)
def test_the_normal_operator_is_the_sum_over_samples(matrix, off_resonance, noise, relative) -> None:
    small = Small(matrix, off_resonance)
    image = noise(*matrix).astype(np.complex64)
    through = small.model.normal(image)
    assert through.dtype == np.complex64 and through.shape == matrix
    assert relative(through, small.normal(image)) < 1e-4


@pytest.mark.parametrize("off_resonance", [False, True])
@pytest.mark.parametrize("matrix", MATRICES[:2])
def test_the_normal_operator_of_several_coils(matrix, off_resonance, noise, relative) -> None:
    small, sensitivities = Small(matrix, off_resonance), noise(4, *matrix, seed=2).astype(np.complex64)
    image = noise(*matrix).astype(np.complex64)
    expected = sum(one.conj() * small.normal(one * image) for one in sensitivities)
    assert relative(small.model.normal(image, sensitivities), expected) < 1e-4


@pytest.mark.parametrize("coils", [None, 3])
def test_several_images_at_once(coils, noise) -> None:
    model, images = Small((14, 11), True).model, noise(2, 14, 11).astype(np.complex64)
    sensitivities = None if coils is None else noise(coils, 14, 11, seed=5).astype(np.complex64)
    together = model.normal(images, sensitivities)
    for image, one in zip(images, together, strict=True):
        np.testing.assert_allclose(model.normal(image, sensitivities), one, rtol=1e-4, atol=1e-3)


def test_the_image_that_is_given_is_left_as_it_is(noise) -> None:
    """Transforms may overwrite what they are given, but not what the caller has."""
    image = noise(14, 11).astype(np.complex64)
    given = image.copy()
    Small((14, 11), False).model.normal(image)
    np.testing.assert_array_equal(image, given)


def test_the_normal_operator_is_hermitian_and_not_negative(noise) -> None:
    model = Small((14, 11), True).model
    a, b = noise(14, 11, seed=1).astype(np.complex64), noise(14, 11, seed=2).astype(np.complex64)
    through_a, through_b = model.normal(a), model.normal(b)
    scale = np.linalg.norm(a) * np.linalg.norm(through_b)
    assert abs(np.vdot(through_a, b) - np.vdot(a, through_b)) < 1e-5 * scale
    assert np.vdot(a, through_a).real > 0


@pytest.mark.parametrize("matrix", [(80, 80), (71, 90)])
def test_the_normal_operator_is_a_nufft_pair_on_the_spiral(matrix, noise, relative) -> None:
    from nadenoise_core.sampling import PAPER_SPIRAL

    k = PAPER_SPIRAL.trajectory() * 2.25
    weights = sample_weights(k, matrix)
    nufft = Nufft(k, matrix, eps=1e-6)
    image = noise(*matrix).astype(np.complex64)
    pair = nufft.adjoint(weights.ravel() * nufft.forward(image))
    assert relative(SignalModel(k, weights, matrix, Device()).normal(image), pair) < 1e-5


@pytest.mark.parametrize("matrix", [(14, 11), (9, 16)])
def test_the_circulant_is_the_best_one(matrix) -> None:
    """T. Chan's circulant has the Rayleigh quotients of plane waves for eigenvalues: it is the nearest of all."""
    small = Small(matrix, False)
    rows, columns = matrix
    circulant = small.model.circulant
    assert circulant.dtype == np.float32 and circulant.shape == matrix
    y, x = np.mgrid[:rows, :columns]
    for row, column in [(0, 0), (1, 0), (0, 3), (rows - 2, columns - 1), (rows // 2, columns // 2)]:
        wave = np.exp(2j * np.pi * (row * y / rows + column * x / columns)) / np.sqrt(rows * columns)
        quotient = np.vdot(wave, small.normal(wave)).real
        assert circulant[row, column] == pytest.approx(quotient, rel=1e-4)


def test_the_circulant_of_the_spiral_is_near_one_within_the_measured_disc(reconstruction) -> None:
    """Density compensation makes all of the k-space that is measured weigh alike."""
    circulant = np.fft.fftshift(reconstruction("total_variation")._model.circulant)
    radius = np.hypot(np.arange(80)[:, None] - 40, np.arange(80) - 40)
    # The corners of the image are not where the weights are right, which a periodic model sees as 0.8 to 1.3.
    assert np.abs(circulant[radius < 36] - 1).max() < 0.35
    assert np.abs(circulant[radius > 46]).max() < 0.2


@pytest.mark.gpu
@pytest.mark.parametrize("off_resonance", [False, True])
def test_gpu_and_cpu_agree(gpu, off_resonance, noise, relative) -> None:
    rng = np.random.default_rng(1)
    matrix, k = (14, 11), rng.uniform(-0.5, 0.5, (3, SAMPLES, 2))
    weights = rng.uniform(0.2, 1.5, (3, SAMPLES)).astype(np.float32)
    segments = time_segments(field_map(matrix), TIMES) if off_resonance else None
    on_cpu, on_gpu = (SignalModel(k, weights, matrix, device, segments) for device in (Device(), gpu))
    image, sensitivities = (noise(*shape, *matrix).astype(np.complex64) for shape in ((2,), (3,)))
    kspace = noise(2, 3, SAMPLES)
    with gpu.selected():
        assert relative(to_host(on_gpu.grid(kspace)), on_cpu.grid(kspace)) < 1e-4
        for maps in (None, sensitivities):
            given = None if maps is None else gpu.put(maps)
            assert relative(to_host(on_gpu.normal(gpu.put(image), given)), on_cpu.normal(image, maps)) < 1e-4
        assert relative(to_host(on_gpu.circulant), on_cpu.circulant) < 1e-5
