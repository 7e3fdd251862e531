"""The independent legs and what is measured on them, with denoisers whose effect is known."""

from __future__ import annotations

import numpy as np
import pytest

from nadenoise_core.paper import NOISE
from training.data.kspace import SpiralNoise
from training.evaluation import baselines, others
from training.evaluation.frontier import Bench, Lesion, ObjectBench, independent_legs, phantom_legs
from training.evaluation.independent import Box, draw_leg, pixel_points, transform
from training.evaluation.methods import BASELINES, baseline


def test_the_transform_of_a_box_is_the_sum_over_its_points() -> None:
    box = Box((4.0, -7.0), (9.0, 2.5), 0.6, 3.0)
    axis = np.arange(-16, 16, 0.02) + 0.01
    x, y = np.meshgrid(axis, axis)
    along, across = np.cos(0.6) * (x - 4) + np.sin(0.6) * (y + 7), np.cos(0.6) * (y + 7) - np.sin(0.6) * (x - 4)
    inside = (np.abs(along) < 9) & (np.abs(across) < 2.5)
    k = np.array([[0.0, 0.0], [0.03, -0.02], [0.11, 0.07]])
    summed = [3.0 * 0.02**2 * np.exp(-2j * np.pi * (kx * x + ky * y))[inside].sum() for kx, ky in k]
    np.testing.assert_allclose(transform([box], k), summed, atol=0.3)


def test_legs_hold_their_levels(noise: SpiralNoise) -> None:
    bench = Bench(noise, independent_legs((1, 2)), 104, lesions=(), places=0)
    for leg, clean in zip(bench.legs, bench.cropped(bench.clean), strict=True):
        image = (clean * np.exp(-1j * leg.phase)).real
        uniform = leg.muscle_mask(80, noise.pixel, 4.5)
        assert uniform.sum() > 200
        assert image[uniform].mean() == pytest.approx(leg.level, rel=0.02)
        for mask, tube in zip(leg.tube_masks(80, noise.pixel), leg.tubes, strict=True):
            assert image[mask].mean() == pytest.approx(tube.value, rel=0.06, abs=0.5)


def test_a_denoiser_that_does_nothing_keeps_all_and_leaves_the_noise(noise: SpiralNoise) -> None:
    bench = Bench(
        noise, independent_legs((3,)), 96, lesions=(Lesion("r5", 5, 10), Lesion("line", 1, 15, length=30)), places=1
    )
    row = bench.row(baselines.plain, 30)
    assert row.lesions == pytest.approx({"r5": 1, "line": 1}, abs=1e-4)
    assert row.snr == 1 and row.rmse == pytest.approx(NOISE / 30**0.5, rel=0.08)
    assert abs(row.muscle[0]) < 0.6 and row.false_structure > 3


def test_the_truth_is_perfect_and_half_of_it_is_half(noise: SpiralNoise) -> None:
    bench = Bench(noise, independent_legs((3, 4)), 96, lesions=(), places=0)
    perfect = bench.row(lambda images, std: bench.clean, 30)
    assert perfect.rmse < 1e-4 and perfect.edge == pytest.approx(0, abs=1e-3) and perfect.false_structure == 0
    half = bench.row(lambda images, std: 0.5 * bench.clean, 30)
    assert half.muscle[0] == pytest.approx(-np.mean([leg.level for leg in bench.legs]) / 2, rel=0.03)
    assert half.edge == pytest.approx(-50, abs=1)


def test_other_objects_have_their_error(noise: SpiralNoise) -> None:
    k = noise.trajectory / noise.pixel
    shapes = {name: getattr(others, name)() for name in ("cartilage", "brain", "points", "bars")}
    samples = {name: transform(given, k).ravel() / noise.pixel**2 for name, given in shapes.items()}
    bench = ObjectBench(noise, samples, 96)
    errors = bench.errors(baselines.plain, 30, seed=1, repeats=1)
    assert set(errors) == set(shapes)
    for error in errors.values():
        assert error == pytest.approx(NOISE / 30**0.5, rel=0.1)
    smooth = bench.errors(baselines.gaussian, 30, seed=1, repeats=1)
    assert smooth["brain"] < errors["brain"] * 1.1 and smooth["cartilage"] > errors["cartilage"]


@pytest.mark.parametrize("name", sorted(set(BASELINES) - {"plain"}))
def test_baselines_take_noise_away(name: str, noise: SpiralNoise) -> None:
    draw = noise.draw(np.random.default_rng(1))
    assert baseline(name)(draw[None], 1.0).std() < 0.7 * draw.std()


def test_a_leg_lies_within_the_field_and_off_its_tubes() -> None:
    for seed in range(20):
        leg = draw_leg(seed)
        points = pixel_points(80, 2.25)
        assert not (leg.leg_mask(80, 2.25) & np.any(leg.tube_masks(80, 2.25), axis=0)).any()
        assert np.hypot(*np.abs(points[leg.leg_mask(80, 2.25)]).T).max() < 66


def test_the_virtual_calf_is_measured_as_a_leg(noise: SpiralNoise) -> None:
    bench = Bench(noise, phantom_legs((7,)), 96, lesions=(Lesion("r3", 3, 10),), places=2)
    row = bench.row(baselines.plain, 50)
    assert row.lesions == pytest.approx({"r3": 1}, abs=1e-4) and row.rmse == pytest.approx(NOISE / 50**0.5, rel=0.08)
    leg = bench.legs[0]
    image = (bench.cropped(bench.clean)[0] * np.exp(-1j * leg.phase)).real
    assert image[leg.muscle_mask(80, noise.pixel)].mean() == pytest.approx(leg.level, rel=0.04)
    for mask, tube in zip(leg.tube_masks(80, noise.pixel), leg.tubes, strict=True):
        assert image[mask].mean() == pytest.approx(tube.value, rel=0.06, abs=0.5)
