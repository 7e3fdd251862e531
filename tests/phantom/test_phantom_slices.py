"""Tubes that lean in a thick slice: their k-space and rasters against sums of many thin layers."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm, uniform

from nadenoise_core.errors import BadInputError
from nadenoise_core.phantom import (
    Calf,
    Label,
    Physics,
    Relaxation,
    SliceProfile,
    Tube,
    band_limited,
    concentration,
    kspace,
    labels,
    random_calf,
)
from nadenoise_core.phantom.fields import uniform_coil

PIXEL, FOV = 2.25, 180.0


def one_tube(lean: tuple[float, float], **changes: Any) -> Calf:
    tube = Tube(**{"concentration": 80.0, "centre": (31.0, -22.0), "diameter": 20.0, "lean": lean, **changes})
    return Calf(0, "left", FOV, 20.0, 20.0, (), (tube,))


def thin_layers(calf: Calf, count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Depths and shares of many thin layers of a slab whose edges are normal distributions."""
    half, edge = calf.profile.thickness / 2, calf.profile.edge
    depth = np.linspace(-half - 8 * edge, half + 8 * edge, count)
    signal = norm.cdf((depth + half) / edge) - norm.cdf((depth - half) / edge)
    return depth, signal / signal.sum()


@pytest.mark.parametrize("profile", [SliceProfile(30.0, 5.0), SliceProfile(12.0, 1.0), SliceProfile(20.0, 0.0)])
def test_the_profile_is_a_slab_with_normal_edges(profile: SliceProfile) -> None:
    """The sum of a uniform and a normal variable has this density: its characteristic function by quadrature."""
    half = profile.thickness / 2

    def density(z: float) -> float:
        if not profile.edge:
            return float(uniform.pdf(z, -half, 2 * half))
        edges = norm.cdf((z + half) / profile.edge) - norm.cdf((z - half) / profile.edge)
        return float(edges / profile.thickness)

    far = half + 9 * profile.edge
    for frequency in (0.0, 0.013, 0.06):
        expected = 2 * quad(lambda z, f=frequency: density(z) * np.cos(2 * np.pi * f * z), 0, far, limit=400)[0]
        assert profile.transform(frequency) == pytest.approx(expected, abs=1e-8)
        depth, share = profile.layers()
        assert (share * np.cos(2 * np.pi * frequency * depth)).sum() == pytest.approx(expected, abs=1e-6)
    assert 2 * quad(density, 0, profile.reach, limit=400)[0] > 0.999


def test_kspace_of_a_leaning_tube_is_that_of_its_layers() -> None:
    """Each thin layer sees the same ellipse, moved: its k-space is turned in phase."""
    lean = (0.3, -0.21)
    calf = one_tube(lean)
    k = np.random.default_rng(2).uniform(-0.22, 0.22, (40, 2))
    middle = kspace(dataclasses.replace(calf, profile=SliceProfile(1e-9, 0.0)), k, PIXEL)
    depth, share = thin_layers(calf)
    layers = middle * (share * np.exp(-2j * np.pi * np.outer(k @ np.array(lean), depth))).sum(axis=1)
    np.testing.assert_allclose(kspace(calf, k, PIXEL), layers, rtol=0, atol=1e-6 * np.abs(middle).max())


def test_a_tube_that_leans_is_cut_in_a_longer_ellipse() -> None:
    """What is cut is the points whose distance from the axis is a radius."""
    calf = one_tube((0.4, 0.3))  # tangent 0.5
    outline = calf.tubes[0].outline
    assert outline.semi_axes == pytest.approx((10 * math.hypot(1, 0.5), 10))
    axis = np.array([0.4, 0.3, 1.0]) / math.hypot(0.4, 0.3, 1.0)
    for along, turn in ((outline.semi_axes[0], 0.0), (outline.semi_axes[1], math.pi / 2)):
        point = along * np.array([math.cos(outline.angle + turn), math.sin(outline.angle + turn), 0.0])
        assert np.linalg.norm(np.cross(point, axis)) == pytest.approx(10)


def test_the_raster_is_the_mean_over_layers_and_the_k_space_is_its_own() -> None:
    calf = one_tube((0.35, 0.1))
    raster = concentration(calf, 80, FOV, oversampling=6)
    depth, share = thin_layers(calf, 400)
    mean = sum(
        part * concentration(one_tube((0.0, 0.0), centre=(31.0 + 0.35 * z, -22.0 + 0.1 * z)), 80, FOV, oversampling=6)
        for z, part in zip(depth, share, strict=True)
    )
    # The upright tube is not stretched along the lean, by 6 %.
    assert np.abs(raster - mean).max() < 0.06 * 80
    assert raster.sum() == pytest.approx(mean.sum() * math.hypot(1, 0.35, 0.1), rel=2e-3)
    fine = concentration(calf, 480, FOV)
    axis = (np.arange(480) - 240) * FOV / 480
    for kx, ky in ((0.0, 0.0), (0.02, -0.01), (0.0, 0.04)):
        waves = np.outer(np.exp(-2j * np.pi * ky * axis), np.exp(-2j * np.pi * kx * axis))
        total = (fine * waves).sum() * (FOV / 480 / PIXEL) ** 2
        assert abs(total - kspace(calf, [kx, ky], PIXEL)) < 2e-3 * fine.sum() * (FOV / 480 / PIXEL) ** 2


def test_the_image_at_any_resolution_is_that_of_its_layers() -> None:
    """Every layer is the same ellipse, moved: a slice of no thickness with the same lean."""
    lean = (0.2, 0.1)
    calf = one_tube(lean)
    depth, share = thin_layers(calf, 60)
    layers = np.zeros((80, 80))
    for z, part in zip(depth, share, strict=True):
        moved = one_tube(lean, centre=(31.0 + lean[0] * z, -22.0 + lean[1] * z))
        layers += part * band_limited(dataclasses.replace(moved, profile=SliceProfile(1e-9, 0.0)), 80, FOV)
    np.testing.assert_allclose(band_limited(calf, 80, FOV), layers, atol=0.02)


def test_decay_and_lean_multiply() -> None:
    """With one T2* and nothing else, every sample is the still one's, decayed."""
    calf = one_tube((0.3, 0.0))
    trajectory = np.random.default_rng(1).uniform(-0.2, 0.2, (2, 30, 2))
    relaxation = Relaxation(100.0, 90.0, 0.23)
    seen = Physics(14.8, relaxation=relaxation).kspace(calf, uniform_coil(0.0), trajectory, PIXEL)[0]
    decay = relaxation.signal("tube", 14.8e-3 * np.arange(30.0))
    np.testing.assert_allclose(seen, kspace(calf, trajectory, PIXEL) * decay, atol=1e-10)


def test_a_label_holds_for_the_whole_depth_of_the_slice() -> None:
    for lean in ((0.0, 0.0), (0.2, 0.1), (0.36, 0.0)):
        calf = one_tube(lean, concentration=50.0, diameter=36.0)
        label, true = labels(calf, 80, FOV), concentration(calf, 80, FOV, oversampling=8)
        assert (label == Label.TUBE_1).any()
        np.testing.assert_allclose(true[label == Label.TUBE_1], 50.0, rtol=2e-3)
        np.testing.assert_allclose(true[label == Label.BACKGROUND], 0.0, atol=0.1)


def test_individuals_keep_their_anatomy_whatever_their_tubes_do() -> None:
    plain, leaning = random_calf(9), random_calf(9, tube_tilt=12.0, tube_wall=1.0)
    assert [tube.concentration for tube in leaning.tubes] == [tube.concentration for tube in plain.tubes]
    for tube in leaning.tubes:
        assert math.hypot(*tube.lean) == pytest.approx(math.tan(math.radians(12)))
    assert len({tube.lean for tube in leaning.tubes}) == 5 and {tube.lean for tube in plain.tubes} == {(0.0, 0.0)}
    assert Calf.from_dict(json.loads(json.dumps(leaning.to_dict()))) == leaning
    assert random_calf(9, skin_thickness=1.2).tissue("fat").semi_axes == tuple(
        axis - 1.2 for axis in random_calf(9, skin_thickness=1.2).tissue("skin").semi_axes
    )


def test_walls_and_lean_keep_tubes_apart_over_the_slice() -> None:
    for seed in range(20):
        calf = random_calf(seed, tube_tilt=22.0, tube_wall=1.0)
        leg = calf.tissue("skin").outline
        for side in (-15.0, 15.0):
            places = [np.array(tube.centre) + side * np.array(tube.lean) for tube in calf.tubes]
            for one, other in itertools.combinations(places, 2):
                assert math.dist(one, other) > 20 + 2 * 1.0
            for place in places:
                assert math.dist(place, leg.centre) > max(leg.semi_axes) + 10 + 1.0


@pytest.mark.parametrize(
    "changes", [{"tube_tilt": -1.0}, {"tube_tilt": 40.0}, {"tube_wall": -1.0}, {"skin_thickness": 0}]
)
def test_refuses_what_cannot_be(changes: dict[str, float]) -> None:
    with pytest.raises(BadInputError):
        random_calf(0, **changes)
    with pytest.raises(BadInputError):
        SliceProfile(thickness=0.0)
