"""Standard errors of regions, jackknifed through the network, against the errors that scans really make."""

from __future__ import annotations

import json
from dataclasses import dataclass

import nibabel
import numpy as np
import pytest

from nadenoise_core.chain.chain import build
from nadenoise_core.chain.files import find_chain, read_chain
from nadenoise_core.chain.runner import run
from nadenoise_core.mrd.image import known_facts, pixels_of, replicas_of
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.paper import NOISE
from nadenoise_core.phantom import Label, labels
from nadenoise_core.quantify.geometry import nifti_affine
from nadenoise_core.replay.replay import replay
from nadenoise_core.simulate.measurement import VirtualMeasurement

AFFINE = nifti_affine((0.0, 0.0, 0.0), np.eye(3), (2.25, 2.25, 30.0), (80, 80))  # of the virtual scans

SCANS, AVERAGES = 24, 10
MUSCLE, SKIN = 1, 2


@dataclass(frozen=True)
class Reading:
    """Mean aTSC of muscle and skin and their standard errors, mmol/L, by the image that the map was made of."""

    mean: dict[str, list[float]]
    error: dict[str, list[float]]


def write_regions(path, measurement: VirtualMeasurement) -> None:
    calf = measurement.calf()
    regions = np.where(labels(calf, 80, 180.0, margin=2.25) == Label.MUSCLE, MUSCLE, 0)
    regions[labels(calf, 80, 180.0, margin=None) == Label.SKIN] = SKIN
    nibabel.save(nibabel.Nifti1Image(regions.T[..., None].astype(np.int16), AFFINE), path)


def chain_with(path, groups: int):
    chain = read_chain(find_chain("sodium_calf")).with_property("quantify", "maps", "all")
    chain = chain.with_property("quantify", "roi_map", str(path))
    chain = chain.with_property("quantify", "regions", "mean, denoised mean")
    return chain.with_property("accumulate", "jackknife_groups", str(groups))


def read(measurement: VirtualMeasurement, acquisitions, path, groups: int) -> Reading:
    scan = read_scan(measurement.header_xml())
    images = list(run(build(chain_with(path, groups), scan), acquisitions))
    assert all(len(replicas_of(image)) == 0 for image in images)  # used up
    maps = [facts.atsc for facts in map(known_facts, images) if facts.atsc is not None]
    return Reading(
        {atsc.source.value: [region.atsc for region in atsc.regions] for atsc in maps},
        {atsc.source.value: [region.standard_error for region in atsc.regions] for atsc in maps},
    )


@pytest.fixture(scope="module")
def scans(measured, changed, tmp_path_factory) -> list[Reading]:
    """One individual, scanned again and again for 40 seconds with the paper's noise."""
    measurement, noiseless = measured(seed=4, averages=AVERAGES, noise=0.0)
    noisy = measured(seed=4, averages=AVERAGES, noise=NOISE)[1]
    sigma = np.std([(a.data - b.data).real for a, b in zip(noisy, noiseless, strict=True)])
    path = tmp_path_factory.mktemp("regions") / "regions.nii"
    write_regions(path, measurement)
    rng = np.random.default_rng(5)

    def scanned(acquisition):
        noise = sigma * rng.standard_normal((2, *acquisition.data.shape))
        return changed(acquisition, data=(acquisition.data + noise[0] + 1j * noise[1]).astype(np.complex64))

    return [read(measurement, map(scanned, noiseless), path, groups=AVERAGES) for _ in range(SCANS)]


@pytest.mark.parametrize("source", ["plain", "denoised"])
@pytest.mark.parametrize("region", [0, 1])
def test_standard_errors_are_the_spread_of_scans(scans, source: str, region: int) -> None:
    spread = np.std([scan.mean[source][region] for scan in scans], ddof=1)
    predicted = np.sqrt(np.mean([scan.error[source][region] ** 2 for scan in scans]))
    # The spread of 24 scans is itself known to 15 %.
    assert predicted == pytest.approx(spread, rel=0.4)


def test_without_groups_there_is_no_error(measured, tmp_path) -> None:
    measurement, acquisitions = measured(seed=4, averages=2, noise=4.0)
    write_regions(tmp_path / "regions.nii", measurement)
    reading = read(measurement, acquisitions, tmp_path / "regions.nii", groups=0)
    assert np.isnan(reading.error["plain"]).all() and len(reading.mean["plain"]) == 2


def test_the_report_has_the_regions(scan_file, tmp_path) -> None:
    measurement = VirtualMeasurement(seed=3, averages=8, noise=58.0)
    path = tmp_path / "regions.nii"
    write_regions(path, measurement)
    result = replay(scan_file(seed=3, averages=8, noise=58.0), chain_with(path, 4), tmp_path / "out")
    report = json.loads((result.folder / "report.json").read_text())
    maps = [image for image in report["images"] if image["kind"] == "atsc"]
    for described in maps:
        assert [region["label"] for region in described["regions"]] == [MUSCLE, SKIN]
        assert all(region["standard_error"] > 0 for region in described["regions"])
        assert all(tube["standard_error"] > 0 for tube in described["calibration"]["tubes"])
    assert maps


def test_groups_do_not_change_the_image(tmp_path, run_chain, measured) -> None:
    measurement, acquisitions = measured(averages=6, noise=20.0)
    stages = ["accumulate", "reconstruct"], [("accumulate", {"jackknife_groups": "3"}), "reconstruct"]
    (alone,), (image,) = (run_chain(stage, measurement.header_xml(), acquisitions) for stage in stages)
    np.testing.assert_allclose(pixels_of(image), pixels_of(alone), rtol=1e-5, atol=1e-6 * abs(pixels_of(alone)).max())
    # Each replica lacks two of six averages: replicas average to the image.
    np.testing.assert_allclose(
        replicas_of(image).mean(axis=0), pixels_of(image), atol=1e-5 * abs(pixels_of(image)).max()
    )
    facts = known_facts(image)
    assert [replica.averages for replica in facts.replicas] == [4, 4, 4]
    assert [replica.noise_std for replica in facts.replicas] == pytest.approx(
        [facts.noise_std * 1.5**0.5] * 3, rel=0.05
    )
