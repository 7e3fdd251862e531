"""Individuals: anatomy, tubes, reproducibility, and their description in JSON."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import numpy as np
import pytest
from scipy.spatial import cKDTree

from nadenoise_core.errors import BadInputError
from nadenoise_core.phantom import TUBE_CONCENTRATIONS, Calf, Ellipse, inside, random_calf
from nadenoise_core.phantom.shapes import outline
from nadenoise_core.phantom.tubes import place_tubes

DENSE = 400


def edge_gap(first: Ellipse, second: Ellipse) -> float:
    """Shortest distance between two edges, between many points of each."""
    return float(cKDTree(outline(first, DENSE)).query(outline(second, DENSE))[0].min())


def test_children_lie_inside_their_parents(calves: list[Calf]) -> None:
    for calf in calves:
        for tissue in calf.tissues[1:]:
            assert tissue.parent is not None
            parent = calf.tissue(tissue.parent).outline
            assert inside(parent, outline(tissue.outline, DENSE)).all(), (calf.seed, tissue.name)
            assert edge_gap(parent, tissue.outline) > 0.35, (calf.seed, tissue.name)


def test_siblings_do_not_overlap(calves: list[Calf]) -> None:
    for calf in calves:
        for first, second in itertools.combinations(calf.tissues, 2):
            if first.parent != second.parent:
                continue
            names = (calf.seed, first.name, second.name)
            assert not inside(first.outline, outline(second.outline, DENSE)).any(), names
            assert not inside(second.outline, outline(first.outline, DENSE)).any(), names
            assert edge_gap(first.outline, second.outline) > 0.35, names


def test_skin_is_a_thin_rim_of_even_thickness(calves: list[Calf]) -> None:
    for calf in calves:
        fat = outline(calf.tissue("fat").outline, DENSE)
        thickness = cKDTree(outline(calf.tissue("skin").outline, 4 * DENSE)).query(fat)[0]
        assert 1.49 < thickness.min() <= thickness.max() < 2.51
        assert np.ptp(thickness) < 0.05


def test_proportions_are_those_of_a_calf(calves: list[Calf]) -> None:
    for calf in calves:
        skin, fat, muscle = (calf.tissue(name).outline for name in ("skin", "fat", "muscle"))
        assert all(46 <= axis <= 58.1 for axis in skin.semi_axes)
        assert 0.9 < min(skin.semi_axes) / max(skin.semi_axes) < 1
        assert 0.55 < muscle.area / skin.area < 0.9
        thickness = cKDTree(outline(muscle, DENSE)).query(outline(fat, DENSE))[0]
        assert 3 < thickness.min() < thickness.max() < 20
        bone = sum(calf.tissue(name).outline.area for name in ("tibia", "fibula"))
        assert 0.06 < bone / muscle.area < 0.14
        assert calf.tissue("tibia").outline.area > 3 * calf.tissue("fibula").outline.area
        for tissue in calf.tissues:
            if tissue.kind == "vessel":
                assert tissue.semi_axes[0] == tissue.semi_axes[1]
                assert 2 <= 2 * tissue.semi_axes[0] <= 5, tissue.name
                assert 70 < tissue.concentration < 90
            if tissue.kind == "bone":
                assert 0 < tissue.concentration < 10
            if tissue.kind == "muscle":
                assert tissue.concentration == pytest.approx(calf.muscle, rel=0.1)


def test_tibia_is_anterior_and_medial_and_fibula_lateral(calves: list[Calf]) -> None:
    for calf in calves:
        tibia, fibula, muscle = (np.array(calf.tissue(n).centre) for n in ("tibia", "fibula", "muscle"))
        medial = 1 if calf.side == "right" else -1
        assert tibia[1] < muscle[1] - 5, "the front of the leg is at the top"
        assert medial * (tibia - fibula)[0] > 15
    assert {calf.side for calf in calves} == {"left", "right"}


def test_individuals_differ_and_have_the_population_of_the_paper(calves: list[Calf]) -> None:
    people = [*calves, *map(random_calf, range(50, 150))]
    muscle, skin = np.array([calf.muscle for calf in people]), np.array([calf.skin for calf in people])
    assert muscle.mean() == pytest.approx(21.5, abs=0.5) and muscle.std() == pytest.approx(2.2, abs=0.4)
    assert skin.mean() == pytest.approx(18.8, abs=0.9) and skin.std() == pytest.approx(3.8, abs=0.6)
    assert len({calf.tissue("skin").semi_axes for calf in calves}) == len(calves)


@pytest.mark.parametrize(
    ("radius", "diameter", "field_of_view"),
    [(74, 20, 180), (92, 20, 180), (81, 20, 180), (85, 20, 180), (74, 15, 180), (110, 25, 220), (300, 200, 2000)],
)
def test_tubes_touch_nothing_and_lie_in_the_field_of_view(radius: float, diameter: float, field_of_view: float) -> None:
    for seed in range(20):
        calf = random_calf(seed, tube_radius=radius, tube_diameter=diameter, field_of_view=field_of_view)
        assert [tube.concentration for tube in calf.tubes] == list(TUBE_CONCENTRATIONS)
        for tube in calf.tubes:
            assert math.hypot(*tube.centre) == pytest.approx(radius)
            assert tube.diameter == diameter
            assert max(map(abs, tube.centre)) + diameter / 2 <= field_of_view / 2 + 1e-9
            assert edge_gap(tube.outline, calf.tissue("skin").outline) >= 1.99
            assert not inside(calf.tissue("skin").outline, tube.centre)
        for first, second in itertools.combinations(calf.tubes, 2):
            assert math.dist(first.centre, second.centre) - diameter >= 2 - 1e-9


@pytest.mark.parametrize("radius", [74.0, 80.0, 80.05, 83.0, 95.0])
def test_tubes_never_touch_each_other(radius: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(1000):
        tubes = place_tubes(rng, TUBE_CONCENTRATIONS, 20, radius, 180)
        assert max(abs(c) for tube in tubes for c in tube.centre) <= 80 + 1e-9
        assert min(math.dist(a.centre, b.centre) for a, b in itertools.combinations(tubes, 2)) >= 22 - 1e-9


def test_default_tubes_lie_in_the_inscribed_circle(calves: list[Calf]) -> None:
    reach = max(math.hypot(*tube.centre) + tube.diameter / 2 for calf in calves for tube in calf.tubes)
    assert reach <= 90


def test_tubes_stand_in_random_order(calves: list[Calf]) -> None:
    def order(calf: Calf) -> tuple[float, ...]:
        around = sorted(calf.tubes, key=lambda tube: math.atan2(tube.centre[1], tube.centre[0]))
        start = [tube.concentration for tube in around].index(10)
        return tuple(tube.concentration for tube in (*around[start:], *around[:start]))

    assert len({order(calf) for calf in calves}) > 12, "of the 24 cyclic orders"


def test_the_seed_alone_decides() -> None:
    np.random.seed(1)  # noqa: NPY002
    first = random_calf(11)
    np.random.seed(2)  # noqa: NPY002
    assert random_calf(11) == first
    assert random_calf(12) != first


def test_concentrations_can_be_chosen_without_changing_the_anatomy() -> None:
    own, chosen = random_calf(5), random_calf(5, muscle=30, skin=12)
    assert (chosen.muscle, chosen.skin) == (30, 12)
    assert chosen.tissue("skin").concentration == 12
    assert [t.outline.semi_axes for t in own.tissues] == [t.outline.semi_axes for t in chosen.tissues]
    assert own.tubes == chosen.tubes


def test_muscle_is_the_mean_by_area(calves: list[Calf]) -> None:
    for calf in calves:
        total = area = 0.0
        for tissue in (t for t in calf.tissues if t.kind == "muscle"):
            own = tissue.outline.area - sum(c.outline.area for c in calf.tissues if c.parent == tissue.name)
            total, area = total + own * tissue.concentration, area + own
        assert total / area == pytest.approx(calf.muscle, rel=1e-12)
        assert len({t.concentration for t in calf.tissues if t.kind == "muscle"}) == 7


@pytest.mark.parametrize(
    "arguments",
    [
        {"seed": -1},
        {"seed": 1.5},
        {"muscle": 0},
        {"muscle": math.nan},
        {"skin": -3},
        {"skin": math.inf},
        {"tube_diameter": 0},
        {"tube_radius": 60},
        {"tube_radius": 110},
        {"tube_radius": 92, "tube_diameter": 30},
        {"tube_diameter": 200},
        {"tube_radius": 300, "tube_diameter": 400, "field_of_view": 2000},
        {"field_of_view": 100},
        {"field_of_view": 10},
    ],
)
def test_refuses_what_cannot_be(arguments: dict[str, Any]) -> None:
    with pytest.raises(BadInputError):
        random_calf(**{"seed": 0, **arguments})


def test_json_round_trip_is_exact(calves: list[Calf]) -> None:
    for calf in calves:
        again = Calf.from_dict(json.loads(json.dumps(calf.to_dict())))
        assert again == calf
        assert hash(again) == hash(calf)
        assert again.ellipses == calf.ellipses


def test_from_dict_refuses_what_is_no_calf(calf: Calf) -> None:
    good = json.loads(json.dumps(calf.to_dict()))
    missing = {name: value for name, value in good.items() if name != "tubes"}
    unordered = {**good, "tissues": good["tissues"][::-1]}
    twice = {**good, "tissues": [*good["tissues"], good["tissues"][-1]]}
    wrong_kind = {**good, "tissues": [{**good["tissues"][0], "kind": "wood"}]}
    flat = {**good, "tubes": [{**good["tubes"][0], "diameter": 0}]}
    for bad in ({}, missing, {**good, "shoe": 43}, unordered, twice, wrong_kind, flat, {**good, "tissues": [1]}):
        with pytest.raises(BadInputError):
            Calf.from_dict(bad)


def test_an_unknown_tissue_is_named(calf: Calf) -> None:
    with pytest.raises(BadInputError, match="femur"):
        calf.tissue("femur")
