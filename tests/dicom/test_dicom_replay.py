"""A replay makes the same objects again, and nothing else does."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.uid import UID

from nadenoise_core.dicom import Product, Study, instance_uid, study_uid, to_dataset, write
from nadenoise_core.errors import BadInputError
from nadenoise_core.mrd.facts import Kind, Network
from nadenoise_core.recon.settings import Method

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", ["plain", "denoised", "atsc"])
def test_two_builds_give_the_same_bytes(kind, make, full_study, geometry, tmp_path):
    first = write(to_dataset(make(kind), geometry, full_study), tmp_path, "first.dcm").read_bytes()
    time.sleep(1.1)  # a clock in seconds would show
    again = write(to_dataset(make(kind), geometry, full_study), tmp_path, "again.dcm").read_bytes()
    assert first == again


def test_another_process_gives_the_same_uid(make, full_study):
    script = (
        "import numpy as np; from nadenoise_core.dicom import *; "
        "from nadenoise_core.mrd.facts import ImageFacts, Kind; "
        "product = Product(ImageFacts(Kind.PLAIN, 30), np.ones((2, 2)), scale=1.0); "
        "print(instance_uid(product, Study(measurement_id='scan')))"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    ours = instance_uid(make("plain", history=()), Study(measurement_id="scan"))
    assert run.stdout.strip() == ours


def test_instance_uid_is_the_one_in_the_object(make, full_study, geometry):
    dataset = to_dataset(make("denoised"), geometry, full_study)
    assert dataset.SOPInstanceUID == instance_uid(make("denoised"), full_study)
    assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID


@pytest.mark.parametrize(
    "changes",
    [
        {"history": ("reconstruct(method=gridding, density=jacobian)",)},
        {"network": Network("calf-resnet-30", "1.2.0", "ba" * 32)},
        {"averages": 31},
        {"method": Method.TOTAL_VARIATION},
        {"kind": Kind.ATSC},
    ],
)
def test_another_origin_is_another_series(changes, make, full_study, geometry):
    products = make("denoised"), make("denoised", **changes)
    known, other = (to_dataset(product, geometry, full_study) for product in products)
    assert known.SeriesInstanceUID != other.SeriesInstanceUID
    assert known.SOPInstanceUID != other.SOPInstanceUID
    assert known.StudyInstanceUID == other.StudyInstanceUID


def test_another_instance_is_another_object_of_the_same_series(make, full_study, geometry):
    first = to_dataset(make("plain"), geometry, full_study)
    second = to_dataset(make("plain", instance_number=2), geometry, full_study)
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID


def test_numbers_that_read_alike_in_a_row_do_not_collide(make, full_study):
    """1 average, instance 11 and 11 averages, instance 1."""
    assert instance_uid(make("plain", averages=1, instance_number=11), full_study) != instance_uid(
        make("plain", averages=11, instance_number=1), full_study
    )


@pytest.mark.parametrize("field", ["measurement_id", "patient_id", "study_instance_uid"])
def test_another_measurement_or_patient_is_another_object(field, make, full_study):
    other: Study = replace(full_study, **{field: "1.2.3"})
    assert instance_uid(make("plain"), full_study) != instance_uid(make("plain"), other)


def test_study_uid_of_the_header_is_kept_and_a_broken_one_is_replaced(full_study):
    assert study_uid(full_study) == full_study.study_instance_uid
    broken = replace(full_study, study_instance_uid="study 7")
    made = study_uid(broken)
    assert UID(made).is_valid and made == study_uid(replace(broken, measurement_id="another scan"))
    assert study_uid(Study(measurement_id="a")) != study_uid(Study(measurement_id="b"))


def test_an_empty_measurement_id_is_refused():
    with pytest.raises(BadInputError, match="measurement_id"):
        Study(measurement_id=" ")


def test_a_number_that_is_not_finite_is_refused():
    with pytest.raises(BadInputError, match="echo_time"):
        Study(measurement_id="scan", echo_time=float("nan"))


def test_a_network_without_a_hash_is_refused():
    with pytest.raises(BadInputError, match="sha256"):
        Network("calf-resnet-30", "1.0", "")


def test_three_objects_take_a_few_milliseconds_each(make, full_study, geometry, tmp_path):
    products: list[Product] = [make(kind) for kind in ("plain", "denoised", "atsc")]

    def three() -> float:
        start = time.process_time()
        for number, product in enumerate(products):
            write(to_dataset(product, geometry, full_study), tmp_path, f"{number}.dcm")
        return (time.process_time() - start) / 3

    three()
    assert min(three() for _ in range(10)) < 0.025  # seconds of CPU; about 4 ms on a laptop core
