"""The coded words that images use (DICOM PS3.16), as code sequence items.

They stand here one by one: pydicom's dictionary of all codes takes longer to load than an image to encode.
"""

from __future__ import annotations

from typing import NamedTuple

from pydicom.dataset import Dataset


class Code(NamedTuple):
    """A coded word: its value, the scheme that it is from, and its meaning."""

    value: str
    scheme_designator: str
    meaning: str


ACQUISITION_EQUIPMENT = Code("109101", "DCM", "Acquisition Equipment")
PROCESSING_EQUIPMENT = Code("109102", "DCM", "Processing Equipment")
SOURCE_IMAGE = Code("121322", "DCM", "Source image for image processing operation")
DENOISING = Code("113087", "DCM", "Smoothing")
CALIBRATION = Code("113053", "DCM", "Pixel by pixel multiplication")
MILLIMOLE_PER_LITRE = Code("mmol/L", "UCUM", "millimole per liter")


def item(code: Code) -> Dataset:
    """One item of a code sequence (DICOM PS3.3 section 8)."""
    entry = Dataset()
    entry.CodeValue = code.value
    entry.CodingSchemeDesignator = code.scheme_designator
    entry.CodeMeaning = code.meaning
    return entry
