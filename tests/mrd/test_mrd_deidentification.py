"""De-identification at the source: what of a header stays, and that nothing else does."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace

import ismrmrd
import numpy as np
import pytest
from lxml import etree

from nadenoise_core.errors import BadInputError, RawDataError
from nadenoise_core.mrd.deidentification import deidentified
from nadenoise_core.mrd.pseudonyms import Pseudonyms, read_pseudonyms
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.mrd.study_header import StudyHeader

KEY = Pseudonyms(b"the secret of one study")
NAMESPACE = "http://www.ismrm.org/ISMRMRD"
WHO = {
    "subjectInformation": {
        "patientName": "Mustermann^Erika",
        "patientWeight_kg": "61.5",
        "patientHeight_m": "1.71",
        "patientID": "4711-0815",
        "patientBirthdate": "1964-08-12",
        "patientGender": "F",
    },
    "studyInformation": {
        "studyDate": "2026-03-04",
        "studyTime": "10:11:12",
        "studyID": "S-20260304",
        "accessionNumber": "ACC99881",
        "referringPhysicianName": "Sauerbruch^Ferdinand",
        "studyDescription": "calf of Mrs Mustermann",
        "studyInstanceUID": "1.2.276.0.99.1",
        "bodyPartExamined": "LEG",
    },
    "measurementInformation": {
        "measurementID": "45387_4711_98",
        "seriesDate": "2026-03-04",
        "seriesTime": "10:20:30",
        "patientPosition": "FFS",
        "protocolName": "na_Mustermann",
        "frameOfReferenceUID": "1.2.276.0.99.7",
    },
    "acquisitionSystemInformation": {
        "systemVendor": "VENDOR",
        "systemModel": "Scanner 3T",
        "systemFieldStrength_T": "3",
        "institutionName": "Charite",
        "stationName": "MRC45387",
        "deviceID": "45387",
    },
}
SECRETS = {
    *("Mustermann", "Erika", "61.5", "1.71", "4711", "1964", "2026", "10:11", "S-2026", "ACC99881", "Sauerbruch"),
    *("Ferdinand", "Mrs", "1.2.276", "45387", "Charite", "na_", "private"),
}


@pytest.fixture(scope="module")
def header(measured) -> bytes:
    """A virtual scan's header of a patient, with all that the standard knows, and things that it does not."""
    root = etree.fromstring(measured()[0].header_xml().encode())
    for name, values in reversed(WHO.items()):
        for old in root.findall("{*}" + name):
            root.remove(old)
        section = etree.Element(f"{{{NAMESPACE}}}{name}")
        for part, text in values.items():
            etree.SubElement(section, f"{{{NAMESPACE}}}{part}").text = text
        root.insert(0, section)
    for parameter, value in (("PatientBirthName", "Mustermann"), ("privateNote", "private")):
        user = etree.SubElement(root, f"{{{NAMESPACE}}}userParameters")
        entry = etree.SubElement(user, f"{{{NAMESPACE}}}userParameterString", note="private")
        etree.SubElement(entry, f"{{{NAMESPACE}}}name").text = parameter
        etree.SubElement(entry, f"{{{NAMESPACE}}}value").text = value
    etree.SubElement(root, "unheardOf").text = "private"
    root.append(etree.Comment("private"))
    return bytes(etree.tostring(root))


def test_nothing_is_left_that_tells_who_when_or_where(header):
    left = deidentified(header, KEY).header_xml.decode()
    assert not [secret for secret in SECRETS if secret.lower() in left.lower()]


def test_what_is_measured_stays(header):
    before, after = read_scan(header), read_scan(deidentified(header, KEY).header_xml)
    assert after.patient_position == "FFS" and after.study.body_part == "LEG" and after.study.manufacturer == "VENDOR"
    same = dict.fromkeys(("study", "measurement_id", "fingerprint"))
    assert replace(before, **same) == replace(after, **same)
    timing = ("repetition_time", "echo_time", "flip_angle", "field_strength", "imaging_frequency", "model")
    assert [getattr(before.study, name) for name in timing] == [getattr(after.study, name) for name in timing]


def test_of_the_words_nothing_but_pseudonyms_is_left(header):
    done = deidentified(header, KEY)
    words = read_scan(done.header_xml).study
    kept = ("body_part", "manufacturer", "model", "field_strength", "repetition_time", "echo_time", "flip_angle")
    told = {name: value for name, value in vars(words).items() if value and value != getattr(StudyHeader(), name)}
    assert words.patient_id == done.patient != "" and words.patient_name == f"{done.patient}^"
    assert set(told) - {*kept, "imaging_frequency"} == {
        *("patient_id", "patient_name", "study_instance_uid", "frame_of_reference_uid")
    }


def test_the_report_names_elements_and_no_values(header):
    done = deidentified(header, KEY)
    assert "subjectInformation/patientBirthdate" in done.removed and "unheardOf" in done.removed
    assert "userParameters/userParameterString/value" in done.removed
    assert set(done.replaced) == {
        *("subjectInformation/patientName", "subjectInformation/patientID", "studyInformation/studyInstanceUID"),
        *("measurementInformation/measurementID", "measurementInformation/frameOfReferenceUID"),
    }
    assert not [secret for secret in SECRETS if secret in repr(done)]


def test_pseudonyms_are_hmac_of_the_key():
    made = KEY.word("patient", "4711-0815")
    told = json.dumps(["patient", "4711-0815"]).encode()
    assert made == "P" + hmac.new(KEY.key, told, hashlib.sha256).hexdigest()[:16]
    uid = KEY.uid("1.2.276.0.99.1")
    assert uid.startswith("2.25.") and len(uid) <= 64 and int(uid[5:]) < 2**128
    assert "secret" not in repr(KEY)


def test_one_patient_has_one_pseudonym_in_a_study_and_another_in_the_next(header):
    other_day = header.replace(b"2026-03-04", b"2026-05-06").replace(b"45387_4711_98", b"45387_4711_99")
    first, second = deidentified(header, KEY), deidentified(other_day, KEY)
    assert first.patient == second.patient and first.measurement != second.measurement
    assert deidentified(header, KEY) == first
    elsewhere = deidentified(header, Pseudonyms(b"the secret of another study"))
    assert elsewhere.patient != first.patient and elsewhere.measurement != first.measurement
    assert deidentified(header.replace(b"4711-0815", b"4711-0816"), KEY).patient != first.patient


def test_a_header_that_names_nobody_gets_no_patient(measured):
    root = etree.fromstring(measured()[0].header_xml().encode())
    for name in ("subjectInformation", "studyInformation", "measurementInformation"):
        for section in root.findall("{*}" + name):
            root.remove(section)
    done = deidentified(etree.tostring(root), KEY)
    scan = read_scan(done.header_xml)
    assert done.patient == "" == scan.study.patient_id and done.name == done.measurement == scan.measurement_id


@pytest.mark.parametrize("text", ["Mustermann 3T", "x" * 200, "Charite"])
def test_a_model_that_tells_who_or_where_is_taken_out(text, header):
    left = read_scan(deidentified(header.replace(b"Scanner 3T", text.encode()), KEY).header_xml).study.model
    assert left == ("x" * 64 if text.startswith("x") else "")


@pytest.mark.parametrize(
    "path", ["encoding/trajectory", "sequenceParameters/TR", "measurementInformation/patientPosition"]
)
def test_words_where_numbers_or_known_words_should_be_are_taken_out(path, header):
    root = etree.fromstring(header)
    root.find("/".join("{*}" + part for part in path.split("/"))).text = "Erika"
    done = deidentified(etree.tostring(root), KEY)
    assert b"Erika" not in done.header_xml and path in done.removed


def test_no_place_of_a_header_lets_words_through(header):
    """Texts, tails, attributes, comments and new elements anywhere; the names of vendor and model alone do."""
    secret = "Zq7 Hidden"
    count = len(list(etree.fromstring(header).iter("*")))
    for number in range(count):
        for way in ("text", "tail", "attribute", "comment", "element", "name"):
            root = etree.fromstring(header)
            element = list(root.iter("*"))[number]
            if way == "tail" and element is root:
                continue
            if way in ("text", "tail"):
                setattr(element, way, secret)
            elif way == "attribute":
                element.set("note", secret)
            elif way == "comment":
                element.append(etree.Comment(secret))
            elif way == "element":
                etree.SubElement(element, "note").text = secret
            else:
                etree.SubElement(element, "Zq7_Hidden").text = "1"
            left = deidentified(etree.tostring(root), KEY).header_xml.decode()
            named = etree.QName(element).localname in ("systemVendor", "systemModel") and way == "text"
            assert ("Hidden" in left) == named, (way, element.tag)


def test_texts_lose_names_but_not_their_sense(header):
    done = deidentified(header, KEY).without(["/data/Erika_4711.h5", "Erika_4711.h5"])
    assert done.cleaned("/data/Erika_4711.h5: 3 of 40 readouts") == "[removed]: 3 of 40 readouts"
    assert done.cleaned({"a": ["of ERIKA", 4711, ("x", "Mustermanns")]}) == {
        "a": ["of [removed]", 4711, ("x", "Mustermanns")]
    }


def test_acquisitions_tell_neither_the_time_of_day_nor_the_measurement(header):
    items = []
    for ticks in (14_400_000, 14_400_040):
        item = ismrmrd.Acquisition.from_array(np.full((2, 5), 1 + 2j, np.complex64))
        item.acquisition_time_stamp, item.measurement_uid = ticks, 45387
        items.append(item)
    first, second = deidentified(header, KEY).acquisitions(items)
    assert (first.acquisition_time_stamp, second.acquisition_time_stamp) == (0, 40)
    assert first.measurement_uid == second.measurement_uid == KEY.number(45387) != 45387
    assert items[0].acquisition_time_stamp == 14_400_000 and np.array_equal(first.data, items[0].data)


def test_what_is_no_header_is_told():
    with pytest.raises(RawDataError):
        deidentified(b"<nothing/>", KEY)


def test_a_virtual_scan_stays_one(measured):
    assert read_scan(deidentified(measured()[0].header_xml(), KEY).header_xml).is_virtual


def test_a_key_is_made_once_for_its_owner_alone(tmp_path):
    path = tmp_path / "study.key"
    made = read_pseudonyms(path)
    assert len(made.key) >= 32 and path.stat().st_mode & 0o777 == 0o600
    assert read_pseudonyms(path) == made != read_pseudonyms(tmp_path / "other.key")


@pytest.mark.parametrize("content", [b"", b"short\n", None])
def test_what_is_no_key_is_told(content, tmp_path):
    path = tmp_path / "study.key"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(BadInputError, match="study.key: the key"):
        read_pseudonyms(path)
