from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import jensenshannon
from skimage.metrics import structural_similarity as skimage_ssim

from training.config import LossSettings
from training.fitting.loss import (
    CONTRAST_WEIGHT,
    VISIBLE,
    contrast_error,
    jensen_shannon_distance,
    make_loss,
    mean_square_error,
    multiscale_error,
    paper_loss,
    structural_similarity,
)


def images(count: int = 2, size: int = 20, seed: int = 0) -> torch.Tensor:
    return torch.rand((count, 1, size, size), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_distance_is_zero_for_equal_and_one_for_disjoint_residuals() -> None:
    left = images()
    assert float(jensen_shannon_distance(left, -left)) < 1e-5
    half = torch.zeros_like(left)
    half[..., :10] = left[..., :10]
    assert float(jensen_shannon_distance(half, left - half)) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("per_image", [True, False])
def test_distance_is_symmetric_and_at_most_one(per_image: bool) -> None:
    first, second = images(seed=1) - 0.5, images(seed=2) ** 6
    there = float(jensen_shannon_distance(first, second, per_image))
    back = float(jensen_shannon_distance(second, first, per_image))
    assert there == pytest.approx(back, rel=1e-12) and 0.05 < there <= 1


def test_distance_equals_scipy() -> None:
    first, second = images(seed=1) - 0.5, images(seed=2) ** 6
    p, q = np.abs(first.numpy()), np.abs(second.numpy())
    whole = jensenshannon(p.ravel(), q.ravel(), base=2)
    assert float(jensen_shannon_distance(first, second)) == pytest.approx(whole, rel=1e-6)
    each = np.mean([jensenshannon(a.ravel(), b.ravel(), base=2) for a, b in zip(p, q, strict=True)])
    assert float(jensen_shannon_distance(first, second, per_image=True)) == pytest.approx(each, rel=1e-6)


def test_ssim_equals_scikit_image() -> None:
    first, second = images(seed=1), images(seed=2)
    ours = structural_similarity(first, (first + second) / 2)
    for index in range(2):
        theirs = skimage_ssim(
            first[index, 0].numpy(),
            ((first + second) / 2)[index, 0].numpy(),
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        assert float(ours[index]) == pytest.approx(theirs, abs=1e-7)


def test_the_papers_loss_is_the_weighted_sum_and_vanishes_for_the_truth() -> None:
    noisy, clean = images(seed=1), images(seed=2)
    output = (noisy + 2 * clean) / 3
    distance = jensen_shannon_distance(clean - noisy, output - noisy, per_image=True)
    expected = 1 - structural_similarity(output, clean).mean() + 0.3 * distance
    torch.testing.assert_close(paper_loss(output, clean, noisy), expected)
    assert float(paper_loss(clean, clean, noisy)) < 1e-5


def test_gradients_are_right() -> None:
    noisy, clean = images(1, 13, 1), images(1, 13, 2)
    output = images(1, 13, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda given: paper_loss(given, clean, noisy), (output,))
    assert torch.autograd.gradcheck(lambda given: mean_square_error(given, clean), (output,))


def test_multiscale_error_counts_noise_once_and_bias_by_its_area() -> None:
    clean = torch.zeros((4, 2, 160, 160), dtype=torch.float64)
    clean[:, 0, 0, 0], clean[:, 1, 0, 0] = 6, 8  # a peak of 10
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert float(multiscale_error(clean + noise, clean)) == pytest.approx(1, abs=0.05)
    # Of the peak in the first square, the error changes the contrast too.
    fine = fine_structure(clean[0])[:, :8, :8]
    contrast = CONTRAST_WEIGHT * (0.3 * fine.sum()) ** 2 / (np.square(fine).sum() + 64 * VISIBLE) / 20**2
    expected = 0.09 * (1 + 4 + 16 + 64) / 4 + contrast
    assert float(multiscale_error(clean + 0.3, clean)) == pytest.approx(expected, rel=1e-4)
    assert float(multiscale_error(clean, clean)) == 0


def test_multiscale_error_weighs_an_image_by_the_root_of_its_peak() -> None:
    clean = torch.full((1, 1, 16, 16), 10.0, dtype=torch.float64)  # nothing is fine
    low, high = (float(multiscale_error(scale * clean + 0.1, scale * clean)) for scale in (1, 4))
    assert low == pytest.approx(2 * high, rel=1e-5)


def fine_structure(clean: torch.Tensor) -> NDArray[np.float64]:
    """What a Gaussian of 2 pixels, cut at three of them, takes from each channel of a (channels, ...) image."""
    image = clean.double().numpy()
    return image - np.stack([gaussian_filter(channel, 2, mode="mirror", truncate=3) for channel in image])


def structured(channels: int = 2, size: int = 32, seed: int = 4) -> torch.Tensor:
    """Two images with fine structure everywhere, (2, channels, size, size), of strengths far above the noise."""
    generator = torch.Generator().manual_seed(seed)
    return 10 * torch.rand((2, channels, size, size), generator=generator, dtype=torch.float64)


def test_no_error_is_no_error_of_contrast() -> None:
    clean = structured()
    assert contrast_error(torch.zeros_like(clean), clean).tolist() == [0, 0]


@pytest.mark.parametrize("channels", [1, 2])
def test_lost_contrast_counts_by_its_square_and_the_strength_in_a_square(channels: int) -> None:
    clean = structured(channels)
    fine = np.stack([fine_structure(image) for image in clean])
    squares = np.square(fine).sum(axis=1).reshape(2, 4, 8, 4, 8).mean(axis=(2, 4))  # per pixel of each square
    expected = 64 * np.mean(squares**2 / (squares + VISIBLE), axis=(1, 2))
    for fraction in (-1.0, 0.3):
        error = contrast_error(fraction * torch.from_numpy(fine), clean)
        np.testing.assert_allclose(error.numpy(), fraction**2 * expected, rtol=1e-4)


def test_an_error_across_the_contrast_does_not_count() -> None:
    """Turned by a right angle in the complex plane, or in another square, the structure keeps its strength."""
    clean = structured()
    fine = torch.from_numpy(np.stack([fine_structure(image) for image in clean]))
    turned = torch.stack([-fine[:, 1], fine[:, 0]], dim=1)
    assert contrast_error(turned, clean).tolist() == pytest.approx([0, 0], abs=1e-20)
    clean[..., 8:] = 0
    elsewhere = torch.zeros_like(clean)
    elsewhere[..., 16:] = 1  # more than three Gaussians from what is left
    assert contrast_error(elsewhere, clean).tolist() == pytest.approx([0, 0], abs=1e-20)


@pytest.mark.parametrize("channels", [1, 2])
def test_white_noise_counts_once_in_squares_with_structure(channels: int) -> None:
    generator = torch.Generator().manual_seed(5)
    clean = 10 * torch.rand((8, channels, 160, 160), generator=generator, dtype=torch.float64)
    noise = torch.randn(clean.shape, generator=generator, dtype=torch.float64)
    # 3200 squares, each a square of a normal number, whose variance is 2.
    assert float(contrast_error(noise, clean).mean()) == pytest.approx(1, abs=4 * (2 / 3200) ** 0.5)
    clean[..., 80:] = 0  # the blur reaches 6 pixels, so one of ten empty columns of squares has structure
    assert float(contrast_error(noise, clean).mean()) == pytest.approx(11 / 20, abs=4 * (2 / 1760) ** 0.5 * 11 / 20)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_fine_structure_no_contrast_is_lost(dtype: torch.dtype) -> None:
    clean = torch.full((1, 2, 32, 32), 80.0, dtype=dtype)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(6), dtype=dtype)
    assert float(contrast_error(noise, clean)) < 1e-3


def test_the_gradient_of_contrast_is_right_and_flows() -> None:
    clean = structured(size=16)
    clean[..., 8:] = 3  # squares with and without structure
    error = (structured(size=16, seed=7) - 5).requires_grad_()
    assert torch.autograd.gradcheck(lambda given: contrast_error(given, clean), (error,))
    contrast_error(error, clean).sum().backward()
    assert error.grad is not None and bool(torch.isfinite(error.grad).all())
    assert float(error.grad[..., :8].abs().min()) > 0
    # At the truth there is nothing to gain.
    output = clean.clone().requires_grad_()
    multiscale_error(output, clean).backward()
    assert output.grad is not None and float(output.grad.abs().max()) == 0


def test_losses_go_by_name() -> None:
    noisy, clean = images(seed=1, size=16), images(seed=2, size=16)
    output = (noisy + clean) / 2
    expected = {
        LossSettings(name="mse"): mean_square_error(output, clean),
        LossSettings(name="multiscale"): multiscale_error(output, clean),
        LossSettings(): paper_loss(output, clean, noisy),
        LossSettings(distance="batch", weight=2.0): paper_loss(output, clean, noisy, per_image=False, weight=2.0),
    }
    for settings, loss in expected.items():
        assert float(make_loss(settings)(output, clean, noisy)) == float(loss)
    assert len({float(loss) for loss in expected.values()}) == 4


def test_the_loss_of_a_batch_is_the_mean_over_its_micro_batches() -> None:
    noisy, clean = images(4, 24, 1), images(4, 24, 2)
    output = (noisy + clean) / 2
    for name in ("paper", "mse", "multiscale"):
        loss = make_loss(LossSettings(name=name))
        halves = [loss(output[part], clean[part], noisy[part]) for part in (slice(0, 2), slice(2, 4))]
        torch.testing.assert_close(loss(output, clean, noisy), torch.stack(halves).mean())


def test_the_gradient_at_the_truth_is_finite() -> None:
    noisy, clean = images(seed=1), images(seed=2)
    output = clean.clone().requires_grad_()
    paper_loss(output, clean, noisy).backward()
    assert output.grad is not None and bool(torch.isfinite(output.grad).all())


def test_half_precision_is_widened() -> None:
    noisy, clean = images(seed=1), images(seed=2)
    loss = paper_loss(clean.to(torch.bfloat16), clean.float(), noisy.float())
    assert loss.dtype == torch.float32
    assert mean_square_error(clean.half(), clean.half()).dtype == torch.float32
