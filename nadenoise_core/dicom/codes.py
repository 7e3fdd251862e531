"""The coded words that images use (DICOM PS3.16), as code sequence items."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

ACQUISITION_EQUIPMENT: Code = codes.DCM.AcquisitionEquipment
PROCESSING_EQUIPMENT: Code = codes.DCM.ProcessingEquipment
SOURCE_IMAGE: Code = codes.DCM.SourceImageForImageProcessingOperation
DENOISING: Code = codes.cid7203.Smoothing
CALIBRATION: Code = codes.cid7203.PixelByPixelMultiplication
MILLIMOLE_PER_LITRE = Code("mmol/L", "UCUM", "millimole per liter")


def item(code: Code) -> Dataset:
    """One item of a code sequence (DICOM PS3.3 section 8)."""
    entry = Dataset()
    entry.CodeValue = code.value
    entry.CodingSchemeDesignator = code.scheme_designator
    entry.CodeMeaning = code.meaning
    return entry
