from __future__ import annotations

import numpy as np
import pytest

from training.data.images import foreground, pad_square, prepare_image, soft_cap
from training.errors import DataError
from training.sources import Slice
from training.sources.anatomy import draw_limb


def leg(rows: int = 160, columns: int = 160, radius: float = 40.0) -> np.ndarray:
    y, x = np.indices((rows, columns))
    disc = 1 / (1 + np.exp(np.hypot(y - rows // 2, x - columns // 2) - radius))
    return (300 * disc + 1).astype(np.float32)


def test_the_short_side_is_padded_by_reflection() -> None:
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    square = pad_square(image)
    np.testing.assert_array_equal(square, np.pad(image, ((0, 1), (0, 0)), mode="reflect"))
    tall = pad_square(image.T)
    assert tall.shape == (4, 4)
    np.testing.assert_array_equal(tall[:, 0], image.T[:, 0])


def test_pixels_that_are_not_square_make_a_square_field_of_view() -> None:
    assert pad_square(np.ones((50, 200), np.float32), (2.0, 1.0)).shape == (100, 200)
    flat = leg(100, 200, 30)[:, ::1]  # a disc squeezed along rows
    y, x = np.indices((100, 200))
    flat = (np.hypot(2 * (y - 50), x - 100) < 60).astype(np.float32)
    small = prepare_image(Slice(flat, (2.0, 1.0)), 50).image
    rows, columns = ((small > 0.5).any(axis=axis).sum() for axis in (1, 0))
    assert rows == pytest.approx(columns, abs=1) and rows == pytest.approx(30, abs=2)


def test_an_image_of_any_source_gets_level_and_clearance() -> None:
    made = prepare_image(Slice(leg()), 80)
    assert made.image.shape == (80, 80) and made.image.dtype == np.float32 and made.muscle is None
    assert made.image[40, 40] == pytest.approx(1, abs=0.02)
    assert made.clearance[40, 40] == 0 and made.clearance[40, 2] == pytest.approx(18, abs=1.5)


def test_the_level_does_not_depend_on_the_scanners_units() -> None:
    first, second = (prepare_image(Slice(scale * leg()), 80).image for scale in (np.float32(1), np.float32(1e-4)))
    np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5)


def test_the_body_of_random_limbs_is_found() -> None:
    likeness = []
    for seed in range(12):
        limb = draw_limb((5, seed))
        found = foreground(prepare_image(Slice(limb.image), 80).image)
        true = prepare_image(Slice(limb.image, outline=limb.outline), 80).clearance == 0
        likeness.append(2 * (found & true).sum() / (found.sum() + true.sum()))
    assert min(likeness) > 0.85 and np.median(likeness) > 0.93


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (leg(60, 70), "70 x 60 pixels, fewer than the matrix of 80 x 80"),
        (np.full((100, 100), np.nan, np.float32), "not finite"),
        (np.zeros((100, 100), np.float32), "empty"),
    ],
)
def test_what_cannot_be_used_is_refused(image: np.ndarray, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        prepare_image(Slice(image), 80)


def test_soft_cap_leaves_low_values_and_presses_high_ones() -> None:
    values = np.array([-0.1, 0.0, 0.2, 1.0, 50.0], np.float32)
    capped = soft_cap(values, 1.3)
    np.testing.assert_allclose(capped[:3], values[:3], rtol=1e-3)
    assert 0.85 < capped[3] < 1.0 and capped[4] == pytest.approx(1.3, rel=1e-3)
