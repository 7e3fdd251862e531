"""A product as an MR Image Storage object (DICOM PS3.3 A.4): one function for each module of the object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, ExplicitVRLittleEndian, MRImageStorage

from nadenoise_core import __version__
from nadenoise_core.dicom import codes, text, uids
from nadenoise_core.dicom.product import Geometry, Product, Study
from nadenoise_core.dicom.stored import Stored, store
from nadenoise_core.mrd.facts import Kind, Network

Attributes = dict[str, Any]

_IMAGE_TYPE = {
    Kind.PLAIN: ["ORIGINAL", "PRIMARY", "M"],
    Kind.DENOISED: ["DERIVED", "PRIMARY", "M", "DNCNN"],
    Kind.ATSC: ["DERIVED", "PRIMARY", "OTHER", "ATSC"],
    Kind.ERROR: ["DERIVED", "PRIMARY", "OTHER", "ATSC", "ERROR"],
}
_DERIVATION = {Kind.DENOISED: codes.DENOISING} | dict.fromkeys((Kind.ATSC, Kind.ERROR), codes.CALIBRATION)


def to_dataset(product: Product, geometry: Geometry, study: Study) -> FileDataset:
    """Build the DICOM object of one image.

    The same arguments give the same bytes: nothing is taken from the clock or from chance. What the study does not
    know stays empty, or is left out where DICOM allows.
    """
    stored = store(product)
    attributes = (
        _patient(study)
        | _general_study(study)
        | _general_series(product, geometry, study)
        | _frame_of_reference(study)
        | _equipment(product, study)
        | _general_image(product, study)
        | _image_plane(geometry, *stored.values.shape)
        | _image_pixel(stored)
        | _mr_image(product, study)
        | _units(product, stored)
        | _sop_common(product, study)
    )
    return FileDataset("", _dataset(attributes), preamble=b"\0" * 128, file_meta=_file_meta(product, study))


def _patient(study: Study) -> Attributes:
    """C.7.1.1 Patient, C.7.2.2 Patient Study."""
    sex = text.code(study.patient_sex)
    return {
        "PatientName": text.person(study.patient_name),
        "PatientID": text.identifier(study.patient_id, "the patient's ID"),
        "PatientBirthDate": text.day(study.patient_birth_date),
        "PatientSex": sex if sex in ("M", "F", "O") else "",
    } | _known(PatientWeight=text.decimal(study.patient_weight))


def _general_study(study: Study) -> Attributes:
    """C.7.2.1 General Study."""
    return {
        "StudyInstanceUID": uids.study_uid(study),
        "StudyDate": text.day(study.study_date),
        "StudyTime": text.clock(study.study_time),
        "StudyID": text.identifier(study.study_id, "the study ID", 16),
        "AccessionNumber": text.identifier(study.accession_number, "the accession number", 16),
        "ReferringPhysicianName": text.person(study.referring_physician),
    } | _known(StudyDescription=text.line(study.study_description))


def _general_series(product: Product, geometry: Geometry, study: Study) -> Attributes:
    """C.7.3.1 General Series."""
    return {
        "Modality": "MR",
        "SeriesInstanceUID": uids.series_uid(product, study),
        "SeriesNumber": study.series_number_offset + product.series_code,
        "SeriesDescription": text.line(product.series_description),
        "PatientPosition": text.code(geometry.patient_position),
        **_side(study),
    } | _known(BodyPartExamined=text.code(study.body_part), ProtocolName=text.line(study.protocol_name))


def _side(study: Study) -> Attributes:
    """Laterality of the series knows one side only; the image's own attribute knows both (C.7.3.1, 10.5)."""
    side = text.code(study.laterality)
    if side in ("B", "U"):
        return {"ImageLaterality": side}
    return {"Laterality": side if side in ("L", "R") else ""}


def _frame_of_reference(study: Study) -> Attributes:
    """C.7.4.1 Frame of Reference."""
    return {"FrameOfReferenceUID": uids.frame_of_reference_uid(study), "PositionReferenceIndicator": ""}


def _equipment(product: Product, study: Study) -> Attributes:
    """C.7.5.1 General Equipment, C.12.1 Contributing Equipment Sequence.

    SoftwareVersions is ours: with the scanner's own, dcm2niix takes two series for one.
    """
    contributors = [_scanner(study)] if study.manufacturer else []
    if product.facts.network:
        contributors.append(_network(product.facts.network))
    return {"Manufacturer": text.line(study.manufacturer)} | _known(
        **_scanner_names(study),
        SoftwareVersions=text.line(f"nadenoise {__version__}"),
        ContributingEquipmentSequence=contributors,
    )


def _scanner_names(study: Study) -> Attributes:
    return {
        "InstitutionName": text.line(study.institution),
        "StationName": text.line(study.station, 16),
        "ManufacturerModelName": text.line(study.model),
        "DeviceSerialNumber": text.identifier(study.device_id, "the device ID"),
    }


def _scanner(study: Study) -> Dataset:
    return _dataset(
        {
            "PurposeOfReferenceCodeSequence": [codes.item(codes.ACQUISITION_EQUIPMENT)],
            "Manufacturer": text.line(study.manufacturer),
        }
        | _known(**_scanner_names(study))
    )


def _network(network: Network) -> Dataset:
    return _dataset(
        {
            "PurposeOfReferenceCodeSequence": [codes.item(codes.PROCESSING_EQUIPMENT)],
            "Manufacturer": "nadenoise",
            "ManufacturerModelName": text.line(network.name),
            "DeviceUID": uids.device_uid(network),
        }
        | _known(SoftwareVersions=text.line(network.version))
    )


def _general_image(product: Product, study: Study) -> Attributes:
    """C.7.6.1 General Image, C.12.4 General Reference."""
    acquired = {
        "AcquisitionDate": text.day(study.acquisition_date),
        "AcquisitionTime": text.clock(study.acquisition_time),
    }
    derivation = _DERIVATION.get(product.facts.kind)
    return {
        "ImageType": _IMAGE_TYPE[product.facts.kind],
        "InstanceNumber": int(product.instance_number),
        "AcquisitionNumber": int(product.acquisition_number),
        "ContentDate": acquired["AcquisitionDate"],
        "ContentTime": acquired["AcquisitionTime"],
    } | _known(
        **acquired,
        ImageComments=text.paragraph("; ".join(product.facts.comments), 10240),
        DerivationDescription=text.paragraph(product.derivation, 1024),
        DerivationCodeSequence=[codes.item(derivation)] if derivation else [],
        SourceImageSequence=[_source(*reference) for reference in product.source],
    )


def _source(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    return _dataset(
        {
            "ReferencedSOPClassUID": sop_class_uid,
            "ReferencedSOPInstanceUID": sop_instance_uid,
            "PurposeOfReferenceCodeSequence": [codes.item(codes.SOURCE_IMAGE)],
        }
    )


def _image_plane(geometry: Geometry, rows: int, columns: int) -> Attributes:
    """C.7.6.2 Image Plane."""
    return {
        "ImagePositionPatient": [text.decimal(x) for x in geometry.image_position(rows, columns)],
        "ImageOrientationPatient": [text.decimal(x) for x in geometry.orientation],
        "PixelSpacing": [text.decimal(x) for x in geometry.pixel_spacing(rows, columns)],
        "SliceThickness": text.decimal(geometry.slice_thickness),
        "SliceLocation": text.decimal(geometry.slice_location),
    }


def _image_pixel(stored: Stored) -> Attributes:
    """C.7.6.3 Image Pixel."""
    rows, columns = stored.values.shape
    return {
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": rows,
        "Columns": columns,
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": int(stored.signed),
        "PixelData": stored.values.tobytes(),
    }


def _mr_image(product: Product, study: Study) -> Attributes:
    """C.8.3.1 MR Image; a spiral is none of the named sequences, so it is RM (research mode)."""
    return {
        "ScanningSequence": "RM",
        "SequenceVariant": "NONE",
        "ScanOptions": "",
        "MRAcquisitionType": "2D",
        "RepetitionTime": text.decimal(study.repetition_time),
        "EchoTime": text.decimal(study.echo_time),
        "EchoTrainLength": None,
        "ImagedNucleus": "23NA",
        "NumberOfAverages": int(product.facts.averages),
    } | _known(
        ImagingFrequency=text.decimal(study.imaging_frequency),
        MagneticFieldStrength=text.decimal(study.field_strength),
        FlipAngle=text.decimal(study.flip_angle),
        PixelBandwidth=text.decimal(study.pixel_bandwidth),
        EchoNumbers=product.echo_number or None,
        **_temporal_position(product),
    )


def _temporal_position(product: Product) -> Attributes:
    """C.8.3.1 MR Image: which repetition of several this is."""
    if product.temporal_positions < 2:
        return {}
    return {
        "TemporalPositionIdentifier": product.acquisition_number,
        "NumberOfTemporalPositions": product.temporal_positions,
    }


def _units(product: Product, stored: Stored) -> Attributes:
    """C.11.1 Modality LUT, C.11.2 VOI LUT, C.7.6.16.2.11 Real World Value Mapping.

    The window function is LINEAR_EXACT because magnitudes in small units need a width below 1.
    A concentration carries the rescale as well as the mapping: ITK and dcm2niix do not apply a mapping alone.
    """
    centre, width = stored.window
    concentration = product.facts.kind.is_concentration
    return {
        "RescaleIntercept": text.decimal(0),
        "RescaleSlope": text.decimal(stored.slope),
        "RescaleType": "mmol/L" if concentration else "US",
        "WindowCenter": text.decimal(centre),
        "WindowWidth": text.decimal(width),
        "VOILUTFunction": "LINEAR_EXACT",
    } | _known(RealWorldValueMappingSequence=[_concentration(product, stored)] if concentration else [])


def _concentration(product: Product, stored: Stored) -> Dataset:
    first, last = stored.limits
    mapping = Dataset()
    # The value representation follows the pixels', which pydicom cannot see from inside a sequence item.
    mapping.add_new("RealWorldValueFirstValueMapped", "SS" if stored.signed else "US", first)
    mapping.add_new("RealWorldValueLastValueMapped", "SS" if stored.signed else "US", last)
    mapping.RealWorldValueIntercept = 0.0
    mapping.RealWorldValueSlope = stored.slope
    of_error = product.facts.kind is Kind.ERROR
    mapping.LUTExplanation = ("standard error of " if of_error else "") + "apparent tissue sodium concentration"
    mapping.LUTLabel = "aTSC error" if of_error else "aTSC"
    mapping.MeasurementUnitsCodeSequence = [codes.item(codes.MILLIMOLE_PER_LITRE)]
    return mapping


def _sop_common(product: Product, study: Study) -> Attributes:
    """C.12.1 SOP Common; ContentQualification as in C.8.13.2."""
    return {
        "SpecificCharacterSet": "ISO_IR 192",
        "SOPClassUID": MRImageStorage,
        "SOPInstanceUID": uids.instance_uid(product, study),
        "ContentQualification": "RESEARCH",
    }


def _file_meta(product: Product, study: Study) -> FileMetaDataset:
    """PS3.10 section 7.1."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = uids.instance_uid(product, study)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    return meta


def _known(**attributes: Any) -> Attributes:
    """Attributes that DICOM lets us leave out: only those which have a value."""
    return {keyword: value for keyword, value in attributes.items() if value not in ("", None, [])}


def _dataset(attributes: Mapping[str, Any]) -> Dataset:
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset
