"""The cohort measures what the paper's volunteers measured."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from nadenoise_core import paper
from nadenoise_core.errors import BadInputError
from nadenoise_core.quantify.quality import edge_sharpness, estimated_snr
from nadenoise_core.simulate.cohort import Cohort
from nadenoise_core.simulate.measurement import VirtualMeasurement
from nadenoise_core.study.chains import read_chains
from nadenoise_core.study.config import MethodSettings
from nadenoise_core.study.products import make_reference
from nadenoise_core.study.regions import Regions, true_regions
from nadenoise_core.study.subjects import Subject

PIXEL = (2.25, 2.25)


@lru_cache
def regions_of(volunteer: VirtualMeasurement) -> Regions:
    return true_regions(volunteer.calf(), 80)


def measured(volunteer: VirtualMeasurement, averages: int) -> dict[str, float]:
    """What the NUFFT image says; the noise of many averages is that of one with less noise."""
    scan = replace(volunteer, averages=1, half_pulses=False, noise=volunteer.noise / averages**0.5)
    chains = read_chains(MethodSettings())
    with Subject("volunteer", scan).open(chains.average_counter) as source:
        image = make_reference(source, chains).reference
    regions, strongest, atsc = regions_of(volunteer), volunteer.calf().tubes[-1], image.concentration
    assert atsc is not None
    return {
        "muscle": float(atsc[regions.muscle].mean()),
        "skin": float(atsc[regions.skin].mean()),
        "snr": estimated_snr(image.magnitude, regions.muscle, regions.background),
        "sharpness": edge_sharpness(atsc, strongest.centre, strongest.diameter / 2, PIXEL),
    }


@pytest.fixture(scope="module")
def volunteers() -> list[VirtualMeasurement]:
    return list(Cohort().volunteers(10, 2301, 150))


def spread(values: list[float]) -> tuple[float, float]:
    low, middle, high = np.percentile(values, (25, 50, 75))
    return float(middle), float(high - low)


def test_the_reference_measures_what_the_paper_measured(volunteers: list[VirtualMeasurement]) -> None:
    """Medians within a fifth of the paper's range, and ranges within a factor of two of the paper's."""
    rows = [measured(volunteer, 150) for volunteer in volunteers]
    published = {**paper.TABLES_4_5_REFERENCE, **paper.TABLE_2_REFERENCE}
    for name, theirs in published.items():
        middle, across = spread([row[name] for row in rows])
        assert middle == pytest.approx(theirs.middle, abs=0.2 * theirs.spread), name
        assert 0.5 < across / theirs.spread < 2, name


@pytest.mark.parametrize("averages", [50, 20])
def test_nufft_rows_of_table_2_are_the_papers(volunteers: list[VirtualMeasurement], averages: int) -> None:
    rows = [measured(volunteer, averages) for volunteer in volunteers]
    for name, theirs in paper.TABLE_2["NUFFT", averages].items():
        assert spread([row[name] for row in rows])[0] == pytest.approx(theirs.middle, abs=theirs.spread / 2), name


def test_numbers_put_in_have_their_median_and_range() -> None:
    cohort = Cohort(muscle=(20.0, 4.0), tube_tilt=(0.0, 0.0))
    for count in (2, 9, 10):
        made = list(cohort.volunteers(count, 7, 30))
        assert spread([one.muscle or 0 for one in made]) == pytest.approx((20.0, 4.0))
        assert {one.tube_tilt for one in made} == {0.0} and [one.seed for one in made] == list(range(7, 7 + count))
    assert made == list(cohort.volunteers(10, 7, 30))
    with pytest.raises(BadInputError, match="skin: a range of 30 about 5 reaches below 0"):
        list(Cohort(skin=(5.0, 30.0)).volunteers(10, 1, 30))
