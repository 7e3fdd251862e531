"""The objects obey the DICOM standard: judged by dciodvfy and dcentvfy, not by us."""

from __future__ import annotations

import shutil
import subprocess
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.sr.codedict import codes

from nadenoise_core.dicom import Study, text, to_dataset, write
from nadenoise_core.dicom import codes as our_codes
from nadenoise_core.mrd.facts import Network
from nadenoise_core.recon.settings import Method

KINDS = ("plain", "denoised", "atsc")
TYPE_2_EMPTY = {
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "AccessionNumber", "ReferringPhysicianName", "Manufacturer", "PatientPosition", "Laterality",
    "PositionReferenceIndicator", "ContentDate", "ContentTime", "ScanOptions", "RepetitionTime", "EchoTime",
    "EchoTrainLength",
}  # fmt: skip


def errors_of(tool: str, *paths: Path) -> list[str]:
    if not shutil.which(tool):
        pytest.skip(f"{tool} (dicom3tools) is not installed")
    run = subprocess.run([tool, *paths], check=False, capture_output=True, text=True)
    return [line for line in (run.stdout + run.stderr).splitlines() if line.startswith("Error")]


@pytest.fixture(params=["full_study", "bare_study"])
def study(request: pytest.FixtureRequest) -> Study:
    found: Study = request.getfixturevalue(request.param)
    return found


def test_dciodvfy_finds_no_error(series_set, study, geometry, tmp_path):
    for number, product in enumerate(series_set(study)):
        path = write(to_dataset(product, geometry, study), tmp_path, f"{number}.dcm")
        assert errors_of("dciodvfy", path) == [], product.kind


@pytest.mark.parametrize(
    "changes",
    [
        {"laterality": "B"},
        {"laterality": "U", "body_part": "HEAD"},
        {"laterality": "left", "body_part": "lower leg, left"},
        {"patient_name": "a" * 90, "institution": "b" * 90, "station": "c" * 30, "model": "d\\e\n" * 30},
        {"patient_id": "1" * 65, "accession_number": "2" * 17, "study_id": "3" * 40, "device_id": "4" * 80},
        {"patient_birth_date": "1980-02-30", "patient_sex": "unknown", "acquisition_time": "25:00:00"},
        {"study_time": "12:34:56.1234567+01:00", "study_date": "2024-01-31Z", "study_instance_uid": "none"},
        {"field_strength": 1 / 3, "imaging_frequency": np.pi * 10, "echo_time": 1e-17, "patient_weight": 0.0},
        {"patient_name": "Yamada^Tarou=山田^太郎=やまだ^たろう", "frame_of_reference_uid": "1.02.x"},
    ],
)
def test_awkward_headers_still_make_valid_objects(changes, make, full_study, geometry, tmp_path):
    study = replace(full_study, **changes)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = write(to_dataset(make("denoised"), geometry, study), tmp_path, "image.dcm")
    assert errors_of("dciodvfy", path) == []


def test_dciodvfy_would_find_an_error(make, full_study, geometry, tmp_path):
    dataset = to_dataset(make("plain"), geometry, full_study)
    del dataset.ImageType
    assert errors_of("dciodvfy", write(dataset, tmp_path, "image.dcm"))


def test_dcentvfy_finds_the_series_set_consistent(series_set, study, geometry, tmp_path):
    paths = [
        write(to_dataset(product, geometry, study), tmp_path, f"{number}.dcm")
        for number, product in enumerate(series_set(study))
    ]
    assert errors_of("dcentvfy", *paths) == []


def test_dcentvfy_would_find_an_inconsistency(make, full_study, geometry, tmp_path):
    dataset = to_dataset(make("plain"), geometry, full_study)
    other = to_dataset(make("denoised"), geometry, full_study)
    other.PatientBirthDate = "19810101"
    assert errors_of("dcentvfy", write(dataset, tmp_path, "1.dcm"), write(other, tmp_path, "2.dcm"))


def test_each_product_is_a_series_with_its_own_name_number_and_uid(series_set, study, geometry):
    datasets = [to_dataset(product, geometry, study) for product in series_set(study)]
    for keyword in ("SeriesInstanceUID", "SOPInstanceUID", "SeriesNumber", "SeriesDescription"):
        counts = Counter(str(dataset[keyword].value) for dataset in datasets)
        assert set(counts.values()) == {1}, (keyword, counts)
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID"):
        assert len({dataset[keyword].value for dataset in datasets}) == 1


def test_no_warning_is_given(make, study, geometry, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in KINDS:
            write(to_dataset(make(kind), geometry, study), tmp_path, "image.dcm")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_unknown_is_empty_and_nothing_is_invented(kind, make, bare_study, geometry):
    dataset = to_dataset(make(kind), replace(geometry, patient_position=""), bare_study)
    assert {element.keyword for element in dataset if element.is_empty} == TYPE_2_EMPTY
    for keyword in (
        "PatientWeight", "AcquisitionDate", "AcquisitionTime", "InstanceCreationDate", "MagneticFieldStrength",
        "ImagingFrequency", "FlipAngle", "InstitutionName", "ManufacturerModelName", "ProtocolName",
    ):  # fmt: skip
        assert keyword not in dataset


def test_the_header_is_carried_over(make, full_study, geometry):
    dataset = to_dataset(make("plain"), geometry, full_study)
    expected = {
        "PatientName": "Müller^Jörg", "PatientID": "CALF-007", "PatientBirthDate": "19800203", "PatientSex": "M",
        "PatientWeight": 71.5, "StudyInstanceUID": "1.2.826.0.1.3680043.9.1", "StudyDate": "20240131",
        "StudyTime": "123456.5", "StudyID": "7", "AccessionNumber": "ACC-1", "ReferringPhysicianName": "Doe^Jane",
        "FrameOfReferenceUID": "1.2.826.0.1.3680043.9.2", "Laterality": "R", "BodyPartExamined": "LEG",
        "Manufacturer": "Siemens", "ManufacturerModelName": "Prisma", "DeviceSerialNumber": "67001",
        "MagneticFieldStrength": 2.89, "SeriesNumber": 42301, "RepetitionTime": 100, "EchoTime": 0.23,
        "FlipAngle": 90, "ImagingFrequency": 32.5834, "AcquisitionDate": "20240131", "PatientPosition": "FFS",
        "ImagedNucleus": "23NA", "NumberOfAverages": 30, "ContentQualification": "RESEARCH",
        "SoftwareVersions": "nadenoise 0.1.0",
    }  # fmt: skip
    assert {keyword: dataset[keyword].value for keyword in expected} == expected


def test_names_survive_a_file(make, full_study, geometry, tmp_path):
    name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    dataset = to_dataset(make("plain"), geometry, replace(full_study, patient_name=name))
    assert pydicom.dcmread(write(dataset, tmp_path, "image.dcm")).PatientName == name


def test_image_types_and_descriptions(make, full_study, geometry):
    def words(product):
        dataset = to_dataset(product, geometry, full_study)
        return "\\".join(dataset.ImageType), dataset.SeriesDescription

    assert words(make("plain", method=Method.TOTAL_VARIATION)) == ("ORIGINAL\\PRIMARY\\M", "23Na CS 30 avg")
    assert words(make("denoised"))[0] == "DERIVED\\PRIMARY\\M\\DNCNN"
    assert words(make("atsc"))[0] == "DERIVED\\PRIMARY\\OTHER\\ATSC"


def test_provenance_of_a_denoised_image(make, network, full_study, geometry):
    source = (("1.2.840.10008.5.1.4.1.1.4", "1.2.3"),)
    dataset = to_dataset(make("denoised", source=source), geometry, full_study)
    scanner, model = dataset.ContributingEquipmentSequence
    assert scanner.PurposeOfReferenceCodeSequence[0].CodeValue == "109101"
    assert (scanner.Manufacturer, scanner.ManufacturerModelName) == ("Siemens", "Prisma")
    assert model.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    assert (model.ManufacturerModelName, model.SoftwareVersions) == (network.name, network.version)
    assert model.DeviceUID.is_valid
    (reference,) = dataset.SourceImageSequence
    assert reference.ReferencedSOPInstanceUID == "1.2.3"
    assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"


@pytest.mark.parametrize(("kind", "value"), [("denoised", "113087"), ("atsc", "113053")])
def test_derivation_is_coded_from_cid_7203(kind, value, make, full_study, geometry):
    (derivation,) = to_dataset(make(kind), geometry, full_study).DerivationCodeSequence
    allowed = {code.value: code.meaning for code in (getattr(codes.cid7203, name) for name in codes.cid7203.dir())}
    assert derivation.CodeValue == value
    assert allowed[value] == derivation.CodeMeaning
    assert "DerivationCodeSequence" not in to_dataset(make("plain"), geometry, full_study)


def test_long_derivation_is_cut_after_a_word(make, full_study, geometry):
    network = Network("calibration " * 200, "1", "ab")
    dataset = to_dataset(make("denoised", network=network), geometry, full_study)
    assert len(dataset.DerivationDescription) <= 1024
    assert dataset.DerivationDescription.endswith("calibration ...")
    assert text.paragraph("x" * 2000, 1024) == "x" * 1020 + " ..."


def test_an_identifier_that_does_not_fit_is_left_empty_and_its_text_is_not_logged(make, geometry, caplog):
    study = Study(measurement_id="scan", patient_id="secret" * 20, accession_number="12345678901234567")
    dataset = to_dataset(make("plain"), geometry, study)
    assert (dataset.PatientID, dataset.AccessionNumber) == ("", "")
    assert "patient's ID" in caplog.text and "accession number" in caplog.text
    assert "secret" not in caplog.text


def test_the_patient_stays_out_of_logs(full_study):
    for private in ("Müller", "CALF-007", "1980", "ACC-1", "Doe"):
        assert private not in repr(full_study)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (our_codes.ACQUISITION_EQUIPMENT, codes.DCM.AcquisitionEquipment),
        (our_codes.PROCESSING_EQUIPMENT, codes.DCM.ProcessingEquipment),
        (our_codes.SOURCE_IMAGE, codes.DCM.SourceImageForImageProcessingOperation),
        (our_codes.DENOISING, codes.cid7203.Smoothing),
        (our_codes.CALIBRATION, codes.cid7203.PixelByPixelMultiplication),
    ],
)
def test_codes_are_those_of_the_dictionary(ours, theirs):
    assert ours == (theirs.value, theirs.scheme_designator, theirs.meaning)
