"""Images as BIDS derivatives, by the validator of BIDS, and their numbers."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

import nadenoise_core as nd
from nadenoise_core.chain.files import read_chain
from nadenoise_core.errors import BadInputError, OutputError
from nadenoise_core.replay.bids import bids_folder, check_bids, write_bids
from nadenoise_core.replay.replay import replay

OPTIONS = {"averages": 2, "slices": 2, "repetitions": 2, "echo_times": (0.23, 9.0)}


@pytest.fixture(scope="module")
def results(scan_file, chain_text, smoothing_chain, tmp_path_factory) -> Path:
    """A replay of two slices, echoes and repetitions at one and at two averages."""
    folder = tmp_path_factory.mktemp("results")
    stages = [("accumulate", {"emit_at": "1, 2"}), *smoothing_chain[1:]]
    (folder / "chain.xml").write_text(chain_text(stages))
    return replay(scan_file(**OPTIONS), read_chain(folder / "chain.xml"), folder / "out").folder


@pytest.fixture(scope="module")
def dataset(results, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bids") / "dataset"
    assert write_bids(folder, "sub-07_ses-2_calf", results) == folder / "sub-07" / "ses-2"
    write_bids(folder, "calf 8", results)
    return folder


def test_the_validator_finds_nothing(dataset, bids_errors):
    assert bids_errors(dataset) == []


def test_the_validator_finds_nothing_in_images_by_names_that_bids_knows(dataset, bids_errors):
    assert bids_errors(dataset, known_names=True) == []


def test_the_validator_is_one(dataset, bids_errors, tmp_path):
    """What is wrong is found: a file that BIDS has no rule for, and a sidecar without what it must say."""
    import shutil

    copy = Path(shutil.copytree(dataset, tmp_path / "copy"))
    (copy / "sub-07" / "notes.txt").write_text("")
    for path in copy.rglob("*.json"):
        path.write_text(path.read_text().replace("SkullStripped", "SkulStripped"))
    codes = {error.split()[0] for error in bids_errors(copy, known_names=True)}
    assert {"NOT_INCLUDED", "SIDECAR_KEY_REQUIRED"} <= codes


def test_every_image_is_there(dataset, results):
    images = nd.read_images(results)
    assert len(images) == 2 * 2 * 2 * (2 + 3)  # slices, echoes, repetitions; one average tells no noise to denoise by
    for scan in ("sub-07/ses-2", "sub-calf8"):
        assert len(list((dataset / scan / "anat").glob("*.nii.gz"))) == len(images)


def test_numbers_places_and_units(dataset, results):
    images = [image for image in nd.read_images(results) if image.facts.averages == 2]
    name = "sub-calf8_acq-2avgecho1_nuc-23Na_rec-nufft_run-2_chunk-2_desc-denoised_TSCmap"
    found = nibabel.load(dataset / "sub-calf8" / "anat" / f"{name}.nii.gz")
    (expected,) = [
        image
        for image in images
        if image.kind == "atsc" and "CNN" in image.facts.description
        and (image.item.repetition, image.item.contrast, image.item.slice) == (1, 0, 1)
    ]  # fmt: skip
    np.testing.assert_array_equal(np.asarray(found.dataobj)[..., 0].T, expected.array)
    np.testing.assert_allclose(found.affine, expected.affine, atol=1e-6)
    said = json.loads((dataset / "sub-calf8" / "anat" / f"{name}.json").read_text())
    assert said["Units"] == "mmol/L" and said["ResonantNucleus"] == "23Na" and said["NumberOfAverages"] == 2
    assert said["RepetitionTime"] == pytest.approx(0.1) and said["EchoTime"] == pytest.approx(0.23e-3)
    assert [tube["concentration"] for tube in said["Nadenoise"]["calibration"]["tubes"]] == [10, 25, 50, 75, 100]


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("sub-07_ses-pre_calf", "sub-07/ses-pre"),
        ("sub-07", "sub-07"),
        ("sub-07_calf", "sub-07"),
        ("meas_MID00042 calf", "sub-measMID00042calf"),
        ("sub-a_b", "sub-a"),
    ],
)
def test_the_name_of_a_raw_file_names_the_subject(name, folder):
    assert bids_folder(Path("d"), name) == Path("d") / folder


class TestRefused:
    def test_names_that_would_be_one_subject(self, tmp_path):
        with pytest.raises(BadInputError, match="'a-1' and another scan would both be .*sub-a1"):
            check_bids(tmp_path, ["a-1", "a_1"])

    def test_a_name_without_a_letter(self, tmp_path):
        with pytest.raises(BadInputError, match="no letter or digit"):
            check_bids(tmp_path, ["_"])

    def test_a_scan_that_is_there(self, dataset, results):
        before = {path: path.stat().st_mtime_ns for path in dataset.rglob("*")}
        with pytest.raises(OutputError, match="sub-calf8: exists already"):
            write_bids(dataset, "calf8", results)
        assert {path: path.stat().st_mtime_ns for path in dataset.rglob("*")} == before

    @pytest.mark.parametrize(
        ("name", "text", "words"),
        [
            ("notes.txt", "", "is no BIDS dataset, and not empty"),
            ("dataset_description.json", '{"Name": "raw", "BIDSVersion": "1.9.0"}', "that nadenoise did not make"),
            ("dataset_description.json", "[", "that nadenoise did not make"),
        ],
    )
    def test_a_folder_of_others(self, name, text, words, results, tmp_path):
        (tmp_path / name).write_text(text)
        with pytest.raises(OutputError, match=words):
            write_bids(tmp_path, "calf", results)
        assert [path.name for path in tmp_path.iterdir()] == [name]


def test_overwritten_when_told(results, tmp_path):
    stale = write_bids(tmp_path, "calf", results) / "anat" / "stale.json"
    stale.write_text("{}")
    write_bids(tmp_path, "calf", results, overwrite=True)
    assert not stale.exists() and len(list(tmp_path.rglob("*.nii.gz"))) == 40
