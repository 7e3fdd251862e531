"""Facts as meta and back: nothing is lost, and the keys are those that consoles and files know."""

from __future__ import annotations

from dataclasses import replace
from math import nan

import ismrmrd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nadenoise_core.denoise.guard import Residual
from nadenoise_core.errors import RawDataError
from nadenoise_core.mrd.facts import AtscFacts, Corrections, ImageFacts, Kind, Network, Replica
from nadenoise_core.mrd.meta import from_meta, to_meta
from nadenoise_core.quantify.calibration import Line
from nadenoise_core.quantify.precision import Progress
from nadenoise_core.quantify.readings import RegionMethod, RegionReading, Tube
from nadenoise_core.recon.settings import Method

DIRECTIONS = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
TUBES = (Tube(10.0, (1.5, -2.5), 20.0, 12.0, 0.5, 30.0), Tube(25.0, (3.0, 4.0), 20.0, 30.0, 0.25, 31.5))
PLAIN = ImageFacts(Kind.PLAIN, 30, Method.LEAST_SQUARES, noise_std=1 / 3, k_max=0.2222, version="1.2")
NETWORK = replace(PLAIN, kind=Kind.DENOISED, network=Network("tiny", "", "ab"), residual=Residual(1.0, 0.01, 1.1, 3.0))
MAP = AtscFacts(Kind.DENOISED, Line(1.2, 0.0, 0.99), 4.0, TUBES)
EVERY = {
    "plain": replace(PLAIN, denoised_beside=True, comments=("one", "two"), history=("a(b=1)",)),
    "one of each": replace(PLAIN, comments=("one",), history=("a()",), replicas=(Replica(15, 0.5),)),
    "denoised": replace(NETWORK, replicas=(Replica(20, 0.5), Replica(10, 0.25))),
    "whole numbers": replace(PLAIN, rescale=(0.05, -20.0)),
    "map": replace(NETWORK, kind=Kind.ATSC, atsc=MAP),
    "map of replicas": replace(
        NETWORK,
        kind=Kind.ATSC,
        atsc=replace(
            MAP,
            tubes=tuple(replace(tube, standard_error=0.5) for tube in TUBES),
            regions=(RegionReading(3, 20.0, RegionMethod.DENOISED_MEAN, 5.0, 700.0, 0.5),),
            replicas=10,
            corrections=Corrections(0.89, 1.04, ("b1_map", "receive_map"), 0.125),
        ),
    ),
    "map of a fit": replace(
        PLAIN,
        kind=Kind.ATSC,
        atsc=replace(
            MAP,
            source=Kind.PLAIN,
            progress=(Progress("muscle", 0.8, 1.0, 20), Progress("skin, lateral", 3.5, 2.0, 92)),
            regions=(
                RegionReading(1, 21.5, RegionMethod.FIT, standard_error=0.4, name="muscle", area=4000.0, residual=1.02),
                RegionReading(1, 20.5, RegionMethod.MEAN, 5.0, 700.0, name="muscle", area=4000.0),
                RegionReading(7, 12.5, RegionMethod.GTM, standard_error=2.0, name="skin, lateral"),
            ),
        ),
    ),
}


def sent(facts: ImageFacts) -> ismrmrd.Meta:
    return ismrmrd.Meta.deserialize(ismrmrd.Meta(to_meta(facts, DIRECTIONS)).serialize())


@pytest.mark.parametrize("name", EVERY)
def test_facts_come_back(name) -> None:
    # NaN is not equal to itself; the text of a dataclass is.
    assert repr(from_meta(sent(EVERY[name]))) == repr(EVERY[name])


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_come_back_exactly(value) -> None:
    found = from_meta(sent(replace(PLAIN, noise_std=value)))
    assert found is not None and found.noise_std == value


def test_what_is_not_known_is_nan() -> None:
    found = from_meta({"nadenoise_kind": "plain", "nadenoise_averages": "2"})
    assert repr(found) == repr(ImageFacts(Kind.PLAIN, 2, version=""))


def test_meta_of_others_is_not_ours() -> None:
    assert from_meta({}) is None and from_meta({"ImageComment": "theirs", "DataRole": "Image"}) is None


def test_the_keys_of_a_map_stay_what_files_and_consoles_know() -> None:
    meta = to_meta(EVERY["map of replicas"], DIRECTIONS)
    assert {key: value for key, value in meta.items() if not key.startswith("nadenoise_")} == {
        "ImageRowDir": ["1.0", "0.0", "0.0"],
        "ImageColumnDir": ["0.0", "1.0", "0.0"],
        "Keep_image_geometry": "1",
        "ImageType": "ATSC",
        "DataRole": "Quantitative",
        "GADGETRON_DataRole": "Quantitative",
        "SeriesDescription": "23Na aTSC [mmol/L] CNN 30 avg",
        "GADGETRON_SeqDescription": "23Na aTSC [mmol/L] CNN 30 avg",
        **{"WindowCenter": "50.0", "WindowWidth": "100.0"},
        **{"GADGETRON_WindowCenter": "50.0", "GADGETRON_WindowWidth": "100.0"},
    }
    assert {key.removeprefix("nadenoise_"): value for key, value in meta.items() if key.startswith("nadenoise_")} == {
        **{"version": "1.2", "kind": "atsc", "averages": "30", "method": "LS", "k_max": "0.2222"},
        **{"noise_std": "0.3333333333333333", "unit": "mmol/L", "source": "denoised"},
        **{"bundle": "tiny", "bundle_version": "", "bundle_sha256": "ab"},
        **{"residual_size": "1.0", "residual_correlation": "0.01"},
        **{"residual_at_edges": "1.1", "residual_largest_mean": "3.0"},
        **{"slope": "1.2", "intercept": "0.0", "r2": "0.99", "standard_error": "4.0", "replicas": "10"},
        **{"tube_concentration": ["10.0", "25.0"], "tube_signal": ["12.0", "30.0"], "tube_std": ["0.5", "0.25"]},
        **{"tube_pixels": ["30.0", "31.5"], "tube_diameter": ["20.0", "20.0"], "tube_x": ["1.5", "3.0"]},
        **{"tube_y": ["-2.5", "4.0"], "tube_standard_error": ["0.5", "0.5"]},
        **{"region_label": ["3"], "region_mean": ["20.0"], "region_std": ["5.0"], "region_pixels": ["700.0"]},
        **{"region_standard_error": ["0.5"], "saturation_factor": "0.89", "t2_star_factor": "1.04"},
        **{"corrected_by": ["b1_map", "receive_map"], "uncovered": "0.125"},
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "beautiful"),
        ("kind", ["plain", "atsc"]),
        ("averages", "many"),
        ("averages", "nan"),
        ("averages", []),
        ("noise_std", "loud"),
        ("source", "hearsay"),
        ("slope", None),
        ("tube_x", ["1.0"]),
        ("tube_concentration", []),
        ("replicas", "inf"),
    ],
)
def test_what_a_peer_wrote_wrong_is_named(name, value) -> None:
    meta = sent(EVERY["map of replicas"]) | {f"nadenoise_{name}": value}
    with pytest.raises(RawDataError, match=r"the meta of an image has nadenoise_\w+ = .*; check the gadgets"):
        from_meta(meta)


def test_descriptions_are_for_people() -> None:
    described = [facts.description for facts in (PLAIN, NETWORK, EVERY["map"], EVERY["map of a fit"])]
    assert described == [
        "23Na LS 30 avg",
        "23Na CNN 30 avg (AI denoised)",
        "23Na aTSC [mmol/L] CNN 30 avg",
        "23Na aTSC [mmol/L] LS 30 avg",
    ]


def test_the_history_tells_stages_and_parameters() -> None:
    facts = PLAIN.after("reconstruct", {"method": "gridding", "sizes": (1.5, 2.0)}).after("denoise", {})
    assert facts.history == ("reconstruct(method=gridding, sizes=[1.5 2.0])", "denoise()")


def test_a_map_reads_its_tubes_by_its_line() -> None:
    assert [MAP.measured(tube) for tube in TUBES] == pytest.approx([10.0, 25.0])
    assert repr(TUBES[0].standard_error) == repr(nan)
