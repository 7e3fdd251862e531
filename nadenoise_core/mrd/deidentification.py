"""De-identification of a scan at its source, the ISMRMRD header: all that is written later is made from what is left.

What is kept is listed, so that what nobody thought of is taken out: numbers of how was measured, and words of known
sets. Identifiers become pseudonyms, by which scans of one patient, and of one study, belong together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import ismrmrd
from lxml import etree

from nadenoise_core.mrd.header import number_of, parse_root
from nadenoise_core.mrd.image import facts_of, put_facts
from nadenoise_core.mrd.pseudonyms import Pseudonyms
from nadenoise_core.mrd.scan import VIRTUAL_SYSTEM
from nadenoise_core.mrd.study_header import POSITIONS

EDITION = "2026c"
"""Of DICOM PS3.15, whose Basic Application Confidentiality Profile is followed."""
REMOVED = "[removed]"
"""What stands in texts for what was taken out."""

Rules: TypeAlias = "Mapping[str, Rules | Callable[[str], str]]"
"""What is kept of an element, by the names of those in it: the text that takes the place of theirs, empty for none."""

_NAMESPACE = "http://www.ismrm.org/ISMRMRD"
_LEAST_WORD = 4  # characters; what is shorter stands in texts by chance
_WHO = ("patientID", "patientName")  # the first that is there is the patient
_IN_TEXTS = {
    "subjectInformation": (*_WHO, "patientBirthdate"),
    "studyInformation": ("studyID", "accessionNumber", "referringPhysicianName", "studyInstanceUID", "studyDate"),
    "acquisitionSystemInformation": ("institutionName", "stationName", "deviceID", "deviceSerialNumber"),
}
_OF_SCAN = ("subjectInformation", "studyInformation", "measurementInformation")
_BEFORE_MEASUREMENT = ("version", "subjectInformation", "studyInformation")  # in ISMRMRD's schema
_TRAJECTORIES = frozenset(("cartesian", "epi", "radial", "goldenangle", "spiral", "other"))
_BODY_PARTS = frozenset(("LEG", "CALF", "LOWERLEG", "LOWER LEG", "KNEE", "THIGH", "ANKLE", "FOOT", "EXTREMITY"))
_COUNTERS = (
    *("kspace_encoding_step_0", "kspace_encoding_step_1", "kspace_encoding_step_2", "average", "slice", "contrast"),
    *("phase", "repetition", "set", "segment", *(f"user_{number}" for number in range(8))),
)


@dataclass(frozen=True)
class Deidentification:
    """What a scan is without its patient.

    Attributes:
        pseudonyms: that were given.
        header_xml: what is left of the header.
        patient: pseudonym; empty where the header names nobody.
        measurement: pseudonym.
        removed, replaced: elements of the header that had a text.
        words: that are taken out of texts, too; they stay out of `repr`.
    """

    pseudonyms: Pseudonyms
    header_xml: bytes
    patient: str
    measurement: str
    removed: tuple[str, ...]
    replaced: tuple[str, ...]
    words: tuple[str, ...] = field(repr=False)

    @property
    def name(self) -> str:
        """For files of the scan."""
        return "_".join(filter(None, (self.patient, self.measurement)))

    def without(self, words: Iterable[str]) -> Deidentification:
        """The same, with further words that are taken out of texts, such as names of files."""
        return replace(self, words=tuple(sorted({*self.words, *filter(None, words)}, key=len, reverse=True)))

    def cleaned(self, value: Any) -> Any:
        """Texts without the words, within lists and dictionaries as well; other values as they are."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping):
            return {name: self.cleaned(part) for name, part in value.items()}
        return type(value)(self.cleaned(part) for part in value) if isinstance(value, list | tuple) else value

    def acquisitions(self, items: Iterable[ismrmrd.Acquisition]) -> Iterator[ismrmrd.Acquisition]:
        """Copies of acquisitions whose heads tell neither the time of day nor the number of the measurement."""
        began: int | None = None
        for item in items:
            head = ismrmrd.AcquisitionHeader.from_buffer_copy(item.getHead())
            began = head.acquisition_time_stamp if began is None else began
            head.acquisition_time_stamp = (head.acquisition_time_stamp - began) % (1 << 32)
            head.measurement_uid = self.pseudonyms.number(head.measurement_uid)
            yield ismrmrd.Acquisition(head, data=item.data, trajectory=item.traj)

    def images(self, items: Iterable[Any]) -> Iterator[Any]:
        """The items of a stream; heads and words of its images are made to tell no more than this does."""
        for item in items:
            facts = facts_of(item)
            if facts is not None:
                item.measurement_uid = self.pseudonyms.number(item.measurement_uid)
                item.acquisition_time_stamp = 0
                comments, history = self.cleaned(facts.comments), self.cleaned(facts.history)
                put_facts(item, replace(facts, comments=comments, history=history))
            yield item

    def _text(self, text: str) -> str:
        for word in self.words:
            text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", REMOVED, text, flags=re.IGNORECASE)
        return text


def deidentified(header_xml: bytes | str, pseudonyms: Pseudonyms) -> Deidentification:
    """De-identify a header.

    Raises:
        RawDataError: it is no ISMRMRD header.
    """
    root = parse_root(header_xml)
    texts = list(_texts(root))
    identity = next((text for name in _WHO for path, text in texts if path == f"subjectInformation/{name}"), "")
    patient = pseudonyms.word("patient", identity) if identity else ""
    which = sorted(f"{path}={text}" for path, text in texts if path.partition("/")[0] in _OF_SCAN)
    measurement = pseudonyms.word("measurement", *which)
    words = _words(texts)

    def name(text: str) -> str:
        identifies = any(word.lower() in text.lower() for word in words) and text != VIRTUAL_SYSTEM
        return "" if identifies else text[:64]

    made = etree.Element(f"{{{_NAMESPACE}}}ismrmrdHeader", nsmap={None: _NAMESPACE})
    _copy(root, made, _rules(lambda _: patient, lambda _: measurement, pseudonyms.uid, name))
    _put_measurement(made, measurement)
    after = dict(_texts(made))
    paths = dict.fromkeys(path for path, _ in texts)
    return Deidentification(
        pseudonyms=pseudonyms,
        header_xml=etree.tostring(made, xml_declaration=True, encoding="utf-8"),
        patient=patient,
        measurement=measurement,
        removed=tuple(path for path in paths if path not in after),
        replaced=tuple(path for path in paths if path in after and path.rpartition("/")[2] in _replaced_names()),
        words=words,
    )


def _rules(
    patient: Callable[[str], str],
    measurement: Callable[[str], str],
    uid: Callable[[str], str],
    name: Callable[[str], str],
) -> Rules:
    """What is kept of a header."""
    axes = dict.fromkeys("xyz", _numbers)
    space = {"matrixSize": axes, "fieldOfView_mm": axes}
    limit = dict.fromkeys(("minimum", "maximum", "center"), _numbers)
    return {
        "version": _numbers,
        "subjectInformation": {"patientID": patient, "patientName": lambda text: f"{patient(text)}^"},
        "studyInformation": {"studyInstanceUID": uid, "bodyPartExamined": _one_of(_BODY_PARTS)},
        "measurementInformation": {
            "measurementID": measurement,
            **dict.fromkeys(("seriesInstanceUIDRoot", "frameOfReferenceUID"), uid),
            "patientPosition": _one_of(POSITIONS),
            "relativeTablePosition": axes,
        },
        "acquisitionSystemInformation": {
            **dict.fromkeys(("systemFieldStrength_T", "relativeReceiverNoiseBandwidth", "receiverChannels"), _numbers),
            **dict.fromkeys(("systemVendor", "systemModel"), name),
        },
        "experimentalConditions": {"H1resonanceFrequency_Hz": _numbers},
        "encoding": {
            **dict.fromkeys(("encodedSpace", "reconSpace"), space),
            "encodingLimits": dict.fromkeys(_COUNTERS, limit),
            "trajectory": _one_of(_TRAJECTORIES),
            "echoTrainLength": _numbers,
        },
        "sequenceParameters": dict.fromkeys(("TR", "TE", "TI", "flipAngle_deg", "echo_spacing"), _numbers),
    }


def _replaced_names() -> frozenset[str]:
    return frozenset((*_WHO, "measurementID", "studyInstanceUID", "seriesInstanceUIDRoot", "frameOfReferenceUID"))


def _numbers(text: str) -> str:
    return text if all(number_of(word) is not None for word in text.split()) else ""


def _one_of(words: frozenset[str]) -> Callable[[str], str]:
    return lambda text: text if text in words or text.upper() in words else ""


def _texts(element: Any, above: str = "") -> Iterator[tuple[str, str]]:
    """Every text of an element, with the names of the elements that lead to it; attributes have none that count."""
    for child in element.iterchildren("*"):
        path = above + etree.QName(child).localname
        text = (child.text or "").strip()
        if text:
            yield path, text
        yield from _texts(child, f"{path}/")


def _words(texts: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """What names the patient and the place, and must not stand in other texts; names by their parts, too."""
    found: set[str] = set()
    for path, text in texts:
        section, _, name = path.partition("/")
        if name in _IN_TEXTS.get(section, ()):
            found |= {text, *(re.split(r"[\s^=,]+", text) if name.endswith("Name") else ())}
    return tuple(sorted((word for word in found if len(word) >= _LEAST_WORD), key=len, reverse=True))


def _copy(element: Any, into: Any, rules: Rules) -> None:
    """Copy what the rules keep, in the order in which it stands."""
    for child in element.iterchildren("*"):
        name = etree.QName(child).localname
        rule = rules.get(name)
        if rule is None:
            continue
        copied = etree.SubElement(into, f"{{{_NAMESPACE}}}{name}")
        if callable(rule):
            copied.text = rule((child.text or "").strip())
        else:
            _copy(child, copied, rule)
        if not len(copied) and not copied.text:
            into.remove(copied)


def _put_measurement(header: Any, measurement: str) -> None:
    """See that the header tells which measurement it is of, whether or not it did."""
    section = header.find("{*}measurementInformation")
    if section is None:
        section = etree.Element(f"{{{_NAMESPACE}}}measurementInformation")
        before = sum(etree.QName(child).localname in _BEFORE_MEASUREMENT for child in header)
        header.insert(before, section)
    if section.find("{*}measurementID") is None:
        identifier = etree.Element(f"{{{_NAMESPACE}}}measurementID")
        identifier.text = measurement
        section.insert(0, identifier)
