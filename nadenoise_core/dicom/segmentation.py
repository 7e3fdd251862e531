"""Outlines of regions as a DICOM Segmentation (PS3.3 A.51), by highdicom."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydicom.dataset import Dataset

from nadenoise_core import __version__
from nadenoise_core.dicom.codes import Code
from nadenoise_core.dicom.derived import concept, identity, made_again
from nadenoise_core.dicom.uids import derived_uid
from nadenoise_core.quantify.plane import SlicePlane
from nadenoise_core.quantify.regions import Regions

TISSUE = Code("85756007", "SCT", "Tissue")
TISSUES: Mapping[str, Code] = {
    "muscle": Code("91727004", "SCT", "Skeletal muscle tissue"),
    "soleus": Code("91727004", "SCT", "Skeletal muscle tissue"),
    "gastrocnemius": Code("91727004", "SCT", "Skeletal muscle tissue"),
    "compartment": Code("91727004", "SCT", "Skeletal muscle tissue"),
    "skin": Code("39937001", "SCT", "Skin"),
    "fat": Code("55603005", "SCT", "Adipose tissue"),
    "tibia": Code("12611008", "SCT", "Tibia"),
    "fibula": Code("87342007", "SCT", "Fibula"),
    "bone": Code("272673000", "SCT", "Bone"),
    "vessel": Code("59820001", "SCT", "Blood vessel"),
}
"""What a region is, by a word in its name."""


def tissue_of(name: str) -> Code:
    """The coded tissue of a region's name."""
    return next((code for word, code in TISSUES.items() if word in name.lower()), TISSUE)


def segmentation(source: Dataset, regions: Regions, plane: SlicePlane) -> tuple[Dataset, dict[str, int]]:
    """One segment a region, on the cells of the regions, which are smaller than pixels.

    The same arguments give the same bytes.

    Args:
        source: the map that the regions were read in.
        regions: where they were read.
        plane: of the map.

    Returns:
        The object, and the number of the segment of each region by name; a region without a whole cell has none.
    """
    import highdicom as hd

    shares = regions.fractions
    best = np.where(shares.max(axis=0) >= 0.5, shares.argmax(axis=0), -1)
    numbers = {regions.names[index]: place for place, index in enumerate(np.unique(best[best >= 0]).tolist(), 1)}
    pixels = np.zeros((1, *best.shape), np.uint8)
    for name, number in numbers.items():
        pixels[0][best == regions.names.index(name)] = number
    descriptions = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=name[:64],
            segmented_property_category=concept(TISSUE),
            segmented_property_type=concept(tissue_of(name)),
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
            tracking_uid=derived_uid(source.SOPInstanceUID, "segment", name),
            tracking_id=name,
        )
        for name, number in numbers.items()
    ]
    x, y = regions.corner
    first = plane.centre + x * plane.directions[0] + y * plane.directions[1]
    made = hd.seg.Segmentation(
        source_images=[source],
        pixel_array=pixels,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=descriptions,
        **identity(source, "segmentation", 10000),
        manufacturer_model_name="nadenoise",
        software_versions=__version__,
        device_serial_number="none",
        pixel_measures=hd.PixelMeasuresSequence((regions.cell, regions.cell), float(source.SliceThickness)),
        plane_positions=[hd.PlanePositionSequence("PATIENT", first.tolist())],
        content_label="REGIONS",
        content_description="Regions in which sodium was read",
        series_description="23Na regions",
    )
    return made_again(made, source), numbers
