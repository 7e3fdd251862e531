"""De-identified DICOM objects: the Basic Application Confidentiality Profile (DICOM PS3.15 annex E).

Objects are made from a header that is de-identified already. Here the profile's table of attributes is gone through, as
`dicomanonymizer` has it from the standard, so that no attribute is left that it takes out. What nadenoise itself wrote,
texts (Clean Descriptors Option) and measurements (Clean Structured Content Option), stays, without what names somebody.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from pydicom.dataset import Dataset

from nadenoise_core import __version__
from nadenoise_core.dicom.codes import Code, item
from nadenoise_core.mrd.deidentification import EDITION, Deidentification

_PROFILE = (
    Code("113100", "DCM", "Basic Application Confidentiality Profile"),
    Code("113104", "DCM", "Clean Structured Content Option"),
    Code("113105", "DCM", "Clean Descriptors Option"),
)
_PSEUDONYMS = ("PatientName", "PatientID")
_OUR_TEXTS = ("SeriesDescription", "DerivationDescription", "ImageComments", "ContributionDescription")
_OUR_CONTENT = ("ContentSequence",)
_DUMMIES = {"DA": "19000101", "TM": "000000", "DT": "19000101000000", "SQ": [], "DS": "0", "IS": "0"}
_DUMMY = "none"


def deidentify(dataset: Dataset, deidentification: Deidentification) -> None:
    """Apply the profile to an object of ours, in place, and let it say so.

    Unique identifiers stay: they were made from pseudonyms.
    """
    dataset.remove_private_tags()
    for inside, element in list(_elements(dataset)):
        if element.VR in ("LO", "LT", "SH", "ST", "UC", "UT"):
            texts = [deidentification.cleaned(text) for text in (element.value if element.VM > 1 else [element.value])]
            element.value = texts if element.VM > 1 else texts[0]
        action = _actions().get((element.tag.group, element.tag.element), "")
        if element.keyword in (*_PSEUDONYMS, *_OUR_TEXTS, *_OUR_CONTENT) or action in ("", "U_TAGS", "X_Z_U_STAR_TAGS"):
            continue
        if action == "X_TAGS":
            del inside[element.tag]
        elif action in ("Z_TAGS", "X_Z_TAGS"):
            element.clear()
        elif not element.is_empty:  # a value that may be needed (D)
            element.value = _DUMMIES.get(element.VR, _DUMMY)
    dataset.PatientIdentityRemoved = "YES"
    dataset.LongitudinalTemporalInformationModified = "REMOVED"
    dataset.DeidentificationMethod = f"nadenoise {__version__}, PS3.15 {EDITION}"
    dataset.DeidentificationMethodCodeSequence = [item(code) for code in _PROFILE]


def _elements(dataset: Dataset) -> Iterator[tuple[Dataset, Any]]:
    """Every element, with the data set that holds it."""
    for element in dataset:
        yield dataset, element
        if element.VR == "SQ":
            for part in element.value:
                yield from _elements(part)


@lru_cache(maxsize=1)
def _actions() -> dict[tuple[int, int], str]:
    """What the profile asks for, by tag: the names of its actions, as "X_TAGS" for the removal of an attribute."""
    from dicomanonymizer.dicom_anonymization_databases import dicomfields_2026c as table

    names = [name for name in vars(table) if name.endswith("_TAGS") and name != "ALL_TAGS"]
    return {(tag[0], tag[1]): name for name in names for tag in getattr(table, name) if len(tag) == 2}
