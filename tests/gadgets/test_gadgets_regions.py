"""Regions that `quantify` reads in a chain: by the fit to k-space, on the image, by means; pose, precision, merging."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from gadgets.quantify import Quantify
from nadenoise_core.errors import BadInputError, ChainError
from nadenoise_core.mrd.facts import Kind
from nadenoise_core.mrd.image import known_facts
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.quantify.geometry import nifti_affine
from nadenoise_core.quantify.readings import RegionMethod

SCAN = {"seed": 5, "averages": 4, "noise": 4.0}  # as little noise as 200 of the paper's averages have
HEAD = ["accumulate", "reconstruct"]
TUBES = {"tube_diameter": "20"}


@pytest.fixture
def maps_of(run_chain, measured, label_file, names_file):
    """The facts of the aTSC maps of a chain, by the kind of their image."""

    def read(stages=(), labels=None, staged=False, scan=SCAN, **properties):
        measurement, items = measured(**scan)
        given = {"roi_map": str(labels or label_file(measurement)), "roi_names": str(names_file), **TUBES, **properties}
        if staged:
            items = list(run_chain(HEAD, measurement.header_xml(), items))
            for image in items:
                image.attachments = None  # as over a wire
            images = list(Quantify(Quantify.Parameters(**given), read_scan(measurement.header_xml())).process(items))
        else:
            images = run_chain([*HEAD, *stages, ("quantify", given)], measurement.header_xml(), items)
        facts = [known_facts(image) for image in images]
        return {one.atsc.source: one for one in facts if one.atsc is not None}

    return read


def values(facts, method: RegionMethod = RegionMethod.FIT) -> dict[str, float]:
    return {region.name: region.atsc for region in facts.atsc.regions if region.method is method}


def test_regions_are_fitted_by_default(maps_of, measured) -> None:
    calf = measured(**SCAN)[0].calf()
    facts = maps_of()[Kind.PLAIN]
    read = values(facts)
    assert list(read) == ["muscle", "skin", "fat", "bone", "vessel"]
    assert read["muscle"] == pytest.approx(calf.muscle, abs=0.5)
    assert read["skin"] == pytest.approx(calf.skin, abs=1.5)
    assert all(region.standard_error > 0 and region.label_error > 0 for region in facts.atsc.regions)
    assert facts.atsc.pose is None


def test_the_fit_does_not_change_with_the_method_of_reconstruction_or_a_network(maps_of, smoothing_chain) -> None:
    plain = values(maps_of()[Kind.PLAIN])
    network = smoothing_chain[2]
    denoised = maps_of([network])
    assert list(denoised) == [Kind.DENOISED]
    assert values(denoised[Kind.DENOISED]) == pytest.approx(plain, abs=0.1)
    both = maps_of([network], maps="all", regions="fit, mean, denoised mean")
    assert values(both[Kind.PLAIN]) == pytest.approx(plain, abs=0.1)
    assert [r.method.value for r in both[Kind.DENOISED].atsc.regions] == ["denoised mean"] * 5
    assert {r.method.value for r in both[Kind.PLAIN].atsc.regions} == {"fit", "mean"}
    assert values(both[Kind.DENOISED], RegionMethod.DENOISED_MEAN)["skin"] < plain["skin"] - 2


def test_the_map_of_errors_is_that_of_repeated_scans(run_chain, measured) -> None:
    """A noisy map less that without noise, in units of its error: 1 on the average over the pixels."""
    given = {**TUBES, "error_map": "true"}
    maps = {}
    for noise in (40.0, 0.01):
        measurement, items = measured(seed=5, averages=4, noise=noise)
        images = run_chain([*HEAD, ("quantify", given)], measurement.header_xml(), items)
        maps[noise] = {known_facts(image).kind: np.asarray(image.data[0, 0]) for image in images}
    off = maps[40.0][Kind.ATSC] - maps[0.01][Kind.ATSC]
    assert np.sqrt(np.mean((off / maps[40.0][Kind.ERROR]) ** 2)) == pytest.approx(1.0, abs=0.07)
    assert list(maps[40.0]) == [Kind.PLAIN, Kind.ATSC, Kind.ERROR]


def test_a_denoised_image_has_a_map_of_errors_by_the_jackknife_alone(run_chain, measured, smoothing_chain) -> None:
    measurement, _ = measured(**SCAN)
    for groups, kinds in ((0, []), (4, [Kind.ERROR])):
        head = [("accumulate", {"jackknife_groups": str(groups)}), "reconstruct", smoothing_chain[2]]
        stages = [*head, ("quantify", {**TUBES, "error_map": "true"})]
        images = list(run_chain(stages, measurement.header_xml(), measured(**SCAN)[1]))
        facts = [known_facts(image) for image in images]
        assert [one.kind for one in facts if one.kind is Kind.ERROR] == kinds
        told = [text for one in facts for text in one.comments if "no map of standard errors" in text]
        assert bool(told) == (not kinds)


def test_a_node_without_kspace_reads_the_image_and_says_so(maps_of) -> None:
    here, there = maps_of()[Kind.PLAIN], maps_of(staged=True)[Kind.PLAIN]
    assert {region.method for region in there.atsc.regions} == {RegionMethod.GTM}
    assert any("k-space is not in this node" in comment for comment in there.comments)
    assert values(there, RegionMethod.GTM)["muscle"] == pytest.approx(values(here)["muscle"], abs=0.5)
    assert values(there, RegionMethod.GTM)["skin"] == pytest.approx(values(here)["skin"], abs=1.5)


def test_a_pose_is_fitted_and_told(maps_of, measured, label_file, tmp_path) -> None:
    image = nibabel.load(label_file(measured(**SCAN)[0]))
    affine = image.affine.copy()
    affine[:2, 3] += (-1.5, -1.2)  # RAS: +1.5 mm along columns, +1.2 along rows
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), affine), tmp_path / "moved.nii")
    off, shift = (maps_of(labels=tmp_path / "moved.nii", pose=pose)[Kind.PLAIN] for pose in ("off", "shift"))
    straight = values(maps_of()[Kind.PLAIN])
    assert shift.atsc.pose.shift == pytest.approx((-1.5, -1.2), abs=0.25)
    assert any(comment.startswith("labels moved by (-1.") for comment in shift.comments)
    assert values(shift)["skin"] == pytest.approx(straight["skin"], abs=1)
    assert values(off)["skin"] < straight["skin"] - 1.5
    assert any("wrongly outlined" in comment for comment in off.comments)


def test_regions_are_merged_and_targets_followed(maps_of) -> None:
    facts = maps_of(merge="tissue=muscle+fat", precision="muscle 10, skin 0.1")[Kind.PLAIN]
    read, areas = values(facts), {region.name: region.area for region in facts.atsc.regions}
    weights = np.array([areas["muscle"], areas["fat"]])
    assert read["tissue"] == pytest.approx(np.average([read["muscle"], read["fat"]], weights=weights))
    (reached,) = [comment for comment in facts.comments if comment.startswith("muscle: 95 %")]
    assert reached.endswith("10 wanted: reached")
    (needed,) = [comment for comment in facts.comments if comment.startswith("skin: 95 %")]
    skin = next(region for region in facts.atsc.regions if region.name == "skin")
    expected = np.ceil(4 * (1.96 * skin.standard_error / 0.1) ** 2)
    assert int(needed.split("wanted: ")[1].split()[0]) == pytest.approx(expected, rel=0.01)


def test_labels_that_cannot_be_fitted_become_means_of_the_plain_image(maps_of, measured, tmp_path) -> None:
    far = np.zeros((80, 80), np.int16)
    far[60:70, 20:30] = 2
    affine = nifti_affine((0.0, 0.0, 0.0), np.eye(3), (2.25, 2.25, 30.0), (80, 80))
    nibabel.save(nibabel.Nifti1Image(far.T[..., None], affine), tmp_path / "far.nii")
    facts = maps_of(labels=tmp_path / "far.nii", pose="similarity")[Kind.PLAIN]
    assert [region.method for region in facts.atsc.regions] == [RegionMethod.MEAN]
    assert any(comment.startswith("regions are not fitted, but are means: ") for comment in facts.comments)


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"regions": "magic"}, "regions"),
        ({"pose": "affine"}, "pose is 'affine'"),
        ({"merge": "muscle"}, "'muscle' merges nothing"),
        ({"precision": "muscle"}, "'muscle' is no target"),
        ({"label_uncertainty": "-1"}, "label_uncertainty"),
    ],
)
def test_what_cannot_be_is_told_before_the_scan(properties, words, maps_of) -> None:
    with pytest.raises(ChainError, match=words):
        maps_of(**properties)


def test_labels_that_lie_elsewhere_stop_the_scan_with_the_distance(maps_of, measured, label_file, tmp_path) -> None:
    image = nibabel.load(label_file(measured(**SCAN)[0]))
    affine = image.affine.copy()
    affine[2, 3] += 42
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), affine), tmp_path / "above.nii")
    with pytest.raises(BadInputError, match=r"above.nii: its labels lie 12.0 mm outside of the slice"):
        maps_of(labels=tmp_path / "above.nii")
