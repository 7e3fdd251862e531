from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.anatomy import draw_limb, power_noise
from training.cache import (
    SPLITS,
    CacheKey,
    Limbs,
    cache_path,
    content_sha256,
    load_limbs,
    render_limbs,
    soft_cap,
)


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


def test_splits_share_no_seed() -> None:
    seeds = [key.seed for key in SPLITS.values()]
    assert len(set(seeds)) == len(seeds) == 3


def test_soft_cap_leaves_low_values_and_presses_high_ones() -> None:
    values = np.array([-0.1, 0.0, 0.2, 1.0, 50.0], np.float32)
    capped = soft_cap(values, 1.3)
    np.testing.assert_allclose(capped[:3], values[:3], rtol=1e-3)
    assert 0.85 < capped[3] < 1.0 and capped[4] == pytest.approx(1.3, rel=1e-3)


def test_the_cache_returns_what_was_rendered_and_is_named_after_its_key(tmp_path: Path) -> None:
    key = CacheKey(seed=4, count=2)
    made, read = load_limbs(key, tmp_path), load_limbs(key, tmp_path)
    assert content_sha256(made) == content_sha256(read) == content_sha256(render_limbs(key))
    assert [path.name for path in tmp_path.iterdir()] == [cache_path(key, tmp_path).name]
    for other in (replace(key, seed=5), replace(key, version=key.version + 1), replace(key, render_size=160)):
        assert cache_path(other, tmp_path) != cache_path(key, tmp_path)


def test_clearance_is_distance_from_the_skin(limbs: Limbs) -> None:
    for clearance, muscle in zip(limbs.clearance, limbs.muscle, strict=True):
        assert clearance.min() == 0 and clearance.max() > 3
        assert clearance[muscle > 0.9].max() == 0
