from __future__ import annotations

import numpy as np
import pytest

from training.sources.anatomy import draw_limb, power_noise


def test_a_seed_gives_the_same_limb_and_another_seed_another() -> None:
    first, again, other = draw_limb((5, 1)), draw_limb((5, 1)), draw_limb((5, 2))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.muscle, again.muscle)
    assert np.abs(first.image - other.image).max() > 0.1


def test_limbs_are_signal_on_a_dark_ground() -> None:
    for seed in range(12):
        limb = draw_limb(seed)
        assert limb.image.shape == (192, 192) and limb.image.dtype == np.float32
        assert limb.image.min() >= 0 and np.isfinite(limb.image).all()
        inside, outside = limb.outline == 1, limb.outline == 0
        assert 0.08 < inside.mean() < 0.75
        assert limb.image[inside].mean() > 10 * limb.image[outside].mean()
        assert limb.muscle.min() >= 0 and limb.muscle.max() <= 1
        assert (limb.muscle > 0.5).mean() > 0.01


def test_muscle_has_the_level_it_is_labelled_with() -> None:
    ratios = []
    for seed in range(20):
        limb = draw_limb(seed)
        ratios.append(limb.image[limb.muscle > 0.99].mean() / limb.muscle_level)
    assert np.mean(ratios) == pytest.approx(1, abs=0.06)


def test_all_three_kinds_occur() -> None:
    assert {draw_limb(seed, size=32).kind for seed in range(30)} == {"calf", "knee", "thigh"}


def test_edges_are_antialiased() -> None:
    outline = draw_limb(3).outline
    partial = (outline > 0.05) & (outline < 0.95)
    assert 100 < partial.sum() < 3000


def test_power_noise_is_normalised_and_smoother_with_a_higher_exponent() -> None:
    rough, smooth = (power_noise(np.random.default_rng(0), 64, exponent) for exponent in (0.5, 2.0))
    for field in (rough, smooth):
        assert field.mean() == pytest.approx(0, abs=1e-5) and field.std() == pytest.approx(1, abs=1e-4)
    assert np.diff(smooth, axis=0).std() < 0.5 * np.diff(rough, axis=0).std()
