"""What holds for every bundle that ships, and for the next one too."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from nadenoise_core.denoise.bundle import Bundle, shipped_bundles
from nadenoise_core.denoise.network import Denoiser

BUNDLES = shipped_bundles()
LARGEST_FILE = 5_000_000  # bytes
every_bundle = pytest.mark.parametrize("bundle", BUNDLES, ids=lambda bundle: bundle.name)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    """A disc with a tube beside it, noise of standard deviation 1 in its real and in its imaginary part."""
    rows, columns = np.mgrid[-40:40, -40:40]
    random = np.random.default_rng(5)
    signal = 4.0 * (np.hypot(rows, columns) < 22) + 15.0 * (np.hypot(rows - 30, columns) < 5)
    noise = random.normal(size=(2, 80, 80))
    return (signal + noise[0] + 1j * noise[1]).astype(np.complex64)


def is_complex(bundle: Bundle) -> bool:
    return bundle.metadata.input.channels == "complex"


@every_bundle
def test_it_can_be_trusted_and_explains_itself(bundle: Bundle) -> None:
    sums = (bundle.path.parent / "SHA256SUMS").read_text()
    assert f"{hashlib.sha256(bundle.content).hexdigest()}  {bundle.path.name}" in sums
    assert len(bundle.content) < LARGEST_FILE
    card = bundle.path.with_suffix(".md").read_text()
    assert bundle.metadata.version in card and "## Limits" in card
    assert bundle.metadata.training, "how it was made"
    assert bundle.metadata.metrics, "what it reaches"


@every_bundle
def test_shape_and_type(bundle: Bundle, image: np.ndarray) -> None:
    given = image[: bundle.metadata.matrix[0], : bundle.metadata.matrix[1]]
    denoised = Denoiser(bundle)(given, 1.0)
    assert denoised.shape == given.shape
    assert denoised.dtype == (np.complex64 if is_complex(bundle) else np.float32)
    assert np.isfinite(denoised).all()


@every_bundle
def test_it_comes_closer_to_the_signal(bundle: Bundle, image: np.ndarray) -> None:
    inside = np.s_[32:48, 32:48]
    denoised = np.abs(Denoiser(bundle)(image, 1.0))[inside]
    assert denoised.std() < 0.75 * np.abs(image)[inside].std()
    assert denoised.mean() == pytest.approx(4.0, abs=0.4)


@every_bundle
@pytest.mark.parametrize("scale", [1e-3, 250.0])
def test_the_unit_of_the_scanner_does_not_matter(bundle: Bundle, image: np.ndarray, scale: float) -> None:
    denoiser = Denoiser(bundle)
    plain, scaled = denoiser(image, 1.0), denoiser(image * np.float32(scale), scale)
    np.testing.assert_allclose(scaled / scale, plain, atol=2e-3 * np.abs(plain).max())


@every_bundle
def test_several_images_at_once_are_those_one_by_one(bundle: Bundle, image: np.ndarray) -> None:
    denoiser = Denoiser(bundle)
    images, noise = np.stack([image, image[::-1], image.T]), [1.0, 1.1, 0.9]
    together = denoiser.batch(images, noise)
    for one, std, batched in zip(images, noise, together, strict=True):
        np.testing.assert_allclose(batched, denoiser(one, std), atol=1e-3 * np.abs(image).max())


@every_bundle
def test_the_same_image_gives_the_same_bytes(bundle: Bundle, image: np.ndarray) -> None:
    denoiser = Denoiser(bundle)
    np.testing.assert_array_equal(denoiser(image, 1.0), denoiser(image, 1.0))


@every_bundle
def test_the_image_that_is_given_stays_as_it_is(bundle: Bundle, image: np.ndarray) -> None:
    before = image.copy()
    Denoiser(bundle)(image, 1.0)
    np.testing.assert_array_equal(image, before)
