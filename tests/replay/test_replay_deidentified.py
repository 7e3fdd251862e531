"""A de-identified replay: no file of it, and no name of a file, tells who was scanned."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest
from lxml import etree
from pydicom import dcmread
from pydicom.sr.codedict import codes

from nadenoise_core.chain.files import read_chain
from nadenoise_core.mrd.pseudonyms import Pseudonyms
from nadenoise_core.mrd.rawfile import write_raw_file
from nadenoise_core.replay.bids import write_bids
from nadenoise_core.replay.replay import ReplayResult, replay
from nadenoise_core.replay.results import read_images_file

KEY = Pseudonyms(b"the secret of one study")
SECRETS = (b"Mustermann", b"Erika", b"4711", b"1964", b"20260304", b"2026-03-04", b"1.2.276", b"Sauerbruch", b"Charite")
TOLD = {
    "subjectInformation": {"patientName": "Mustermann^Erika", "patientID": "4711", "patientBirthdate": "1964-08-12"},
    "studyInformation": {
        "studyDate": "2026-03-04",
        "referringPhysicianName": "Sauerbruch^Ferdinand",
        "studyInstanceUID": "1.2.276.0.99.1",
    },
}


def of_somebody(header_xml: str) -> bytes:
    root = etree.fromstring(header_xml.encode())
    for name, values in TOLD.items():
        section = etree.Element(f"{{{root.nsmap[None]}}}{name}")
        for old in root.findall("{*}" + name):
            root.remove(old)
        for part, text in values.items():
            etree.SubElement(section, f"{{{root.nsmap[None]}}}{part}").text = text
        root.insert(0, section)
    system = root.find("{*}acquisitionSystemInformation")
    etree.SubElement(system, f"{{{root.nsmap[None]}}}institutionName").text = "Charite"
    return bytes(etree.tostring(root))


@pytest.fixture(scope="module")
def raw(measured, tmp_path_factory) -> Path:
    measurement, acquisitions = measured(averages=3, noise=1.0)
    path = tmp_path_factory.mktemp("raw") / "Mustermann_4711.h5"
    write_raw_file(path, of_somebody(measurement.header_xml()), acquisitions)
    return path


@pytest.fixture(scope="module")
def results(raw, smoothing_chain, chain_text, measured, label_file, tmp_path_factory) -> ReplayResult:
    folder = tmp_path_factory.mktemp("deidentified")
    labels = folder / "Mustermann_labels.nii.gz"
    shutil.copy(label_file(measured(averages=3, noise=1.0)[0]), labels)
    stages = [
        stage if stage[0] != "quantify" else ("quantify", {**stage[1], "roi_map": str(labels)})
        for stage in smoothing_chain
    ]
    (folder / "chain.xml").write_text(chain_text(stages))
    before = os.umask(0)
    try:
        return replay(raw, read_chain(folder / "chain.xml"), folder / "out", pseudonyms=KEY)
    finally:
        os.umask(before)


def files(results: ReplayResult) -> list[Path]:
    return sorted(path for path in results.folder.rglob("*") if path.is_file())


def test_no_file_tells_who(results):
    assert results.folder.name == f"{KEY.word('patient', '4711')}_{results.report['deidentification']['measurement']}"
    found = files(results)
    assert len([path for path in found if path.suffix == ".dcm"]) == 5  # three images, outlines, a report
    for path in found:
        content = path.read_bytes()
        assert not [secret for secret in SECRETS if secret in content or secret.decode() in path.name], path


def test_no_file_can_be_read_by_others(results):
    for path in (results.folder, *results.folder.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_objects_say_how_they_were_deidentified_and_belong_together(results):
    objects = [dcmread(path) for path in files(results) if path.suffix == ".dcm"]
    patient = KEY.word("patient", "4711")
    for made in objects:
        assert (
            made.PatientID == patient
            and str(made.PatientName) == f"{patient}^"
            and made.PatientIdentityRemoved == "YES"
        )
        assert made.StudyInstanceUID == KEY.uid("1.2.276.0.99.1")
        assert made.LongitudinalTemporalInformationModified == "REMOVED" and made.StudyDate == ""
        profile = [(item.CodeValue, item.CodeMeaning) for item in made.DeidentificationMethodCodeSequence]
        told = codes.DCM.BasicApplicationConfidentialityProfile
        assert profile[0] == (told.value, told.meaning)
        assert profile[1] == ("113104", codes.DCM.CleanStructuredContentOption.meaning)
        assert profile[2] == ("113105", codes.DCM.CleanDescriptorsOption.meaning)
    images = {made.SOPInstanceUID for made in objects}
    sources = [
        made.SourceImageSequence[0].ReferencedSOPInstanceUID for made in objects if "SourceImageSequence" in made
    ]
    assert sources and set(sources) <= images
    assert {made.SeriesDescription for made in objects} >= {"23Na NUFFT 3 avg", "23Na aTSC [mmol/L] CNN 3 avg"}


def test_dciodvfy_finds_no_error(results):
    if not shutil.which("dciodvfy"):
        pytest.skip("dciodvfy (dicom3tools) is not installed")
    for path in results.folder.glob("dicom/*.dcm"):
        run = subprocess.run(["dciodvfy", path], check=False, capture_output=True, text=True)
        assert not [line for line in (run.stdout + run.stderr).splitlines() if line.startswith("Error")], path.name


def test_the_report_tells_what_was_taken_out(results):
    told = json.loads((results.folder / "report.json").read_text())["deidentification"]
    assert told["profile"].startswith("DICOM PS3.15") and told["patient"] == KEY.word("patient", "4711")
    assert "subjectInformation/patientBirthdate" in told["removed"]
    assert "subjectInformation/patientID" in told["replaced"]


def test_pixels_are_those_of_the_patient(results, raw, tmp_path):
    chain = read_chain(results.folder.parents[1] / "chain.xml")
    plain = replay(raw, chain, tmp_path)
    (header, hidden), (_, open_) = (read_images_file(one.folder / "images.h5") for one in (results, plain))
    assert b"Mustermann" not in header and len(hidden) == len(open_) == 3
    for ours, theirs in zip(hidden, open_, strict=True):
        np.testing.assert_array_equal(ours.data, theirs.data)
        assert ours.measurement_uid == KEY.number(theirs.measurement_uid)


def test_texts_in_hdf5_are_not_packed_away(results):
    """What `test_no_file_tells_who` reads is all there is: no text of images.h5 is compressed."""

    def look(name, item):
        assert not isinstance(item, h5py.Dataset) or item.compression is None, name

    with h5py.File(results.folder / "images.h5") as file:
        file.visititems(look)


def test_nor_does_a_dataset_of_bids(results, tmp_path):
    write_bids(tmp_path, results.folder.name, results.folder)
    found = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(found) > 6
    for path in found:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        assert not [secret for secret in SECRETS if secret in content + str(path.relative_to(tmp_path)).encode()], path
