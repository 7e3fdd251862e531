"""What the objects that highdicom makes of an image have in common: who they are, and the same at every replay."""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset

from nadenoise_core.dicom.codes import Code
from nadenoise_core.dicom.uids import derived_uid


def identity(source: Dataset, what: str, series_offset: int) -> dict[str, Any]:
    """The arguments of highdicom that tell an object and its series from others, which follow from those of its image.

    Args:
        source: the image that it is made of.
        what: of an image, one object.
        series_offset: added to the image's series number.
    """
    return {
        "series_instance_uid": derived_uid(source.SeriesInstanceUID, what),
        "series_number": int(source.SeriesNumber) + series_offset,
        "sop_instance_uid": derived_uid(source.SOPInstanceUID, what),
        "instance_number": int(source.InstanceNumber),
        "manufacturer": "nadenoise",
    }


def made_again(made: Any, source: Dataset) -> Dataset:
    """The same object without what came from the clock or from chance, so that a replay makes it again."""
    for day, time in (("ContentDate", "ContentTime"), ("SeriesDate", "SeriesTime")):
        setattr(made, day, source.get("ContentDate") or "19000101")
        setattr(made, time, source.get("ContentTime") or "000000")
    for keyword in ("InstanceCreationDate", "InstanceCreationTime", "TimezoneOffsetFromUTC"):
        if keyword in made:
            delattr(made, keyword)
    for equipment in made.get("ContributingEquipmentSequence", []):
        if "ContributionDateTime" in equipment:
            del equipment.ContributionDateTime
    organisation = derived_uid(made.SOPInstanceUID, "dimensions")
    for item in [*made.get("DimensionOrganizationSequence", []), *made.get("DimensionIndexSequence", [])]:
        item.DimensionOrganizationUID = organisation
    return made


def concept(code: Code) -> Any:
    """A code as highdicom takes it."""
    from highdicom.sr import CodedConcept

    return CodedConcept(code.value, code.scheme_designator, code.meaning)
