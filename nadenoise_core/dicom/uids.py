"""Unique identifiers that a replay of the same measurement makes again (DICOM PS3.5 section 9)."""

from __future__ import annotations

import logging

from pydicom.config import IGNORE
from pydicom.uid import UID, generate_uid

from nadenoise_core.dicom.product import Product, Study
from nadenoise_core.mrd.facts import Network

_log = logging.getLogger("nadenoise.dicom")


def study_uid(study: Study) -> UID:
    """The header's StudyInstanceUID, else one for this measurement."""
    return _given_or_made(study.study_instance_uid, "study", study)


def frame_of_reference_uid(study: Study) -> UID:
    """The header's FrameOfReferenceUID, else one for this measurement."""
    return _given_or_made(study.frame_of_reference_uid, "frame of reference", study)


def series_uid(product: Product, study: Study) -> UID:
    """One series for each product of a measurement, a chain and a model."""
    return _make("series", *_origin(product, study))


def instance_uid(product: Product, study: Study) -> UID:
    """The SOPInstanceUID that `to_dataset` gives this product; no pixels are looked at."""
    return _make("instance", *_origin(product, study), product.instance_number)


def device_uid(network: Network) -> UID:
    """The identifier of a network, the same wherever its file is used."""
    return _make("network", network.sha256)


def _origin(product: Product, study: Study) -> tuple[object, ...]:
    facts = product.facts
    model = facts.network.sha256 if facts.network else ""
    echo = (product.echo_number,) if product.echo_number > 1 else ()  # each echo is a series
    image = (facts.kind.value, facts.method.label, facts.averages, *echo)
    return (*_measurement(study), product.chain_sha256, model, *image)


def _measurement(study: Study) -> tuple[str, ...]:
    # Some scanners count measurements from 1 for each patient, so the study and the patient are part of the identity.
    return (
        study.measurement_id,
        study.study_instance_uid,
        study.patient_id,
        study.study_date,
        study.study_time,
    )


def _given_or_made(given: str, what: str, study: Study) -> UID:
    uid = UID(given.strip(), validation_mode=IGNORE)
    if uid.is_valid:
        return uid
    if uid:
        _log.warning("DICOM: the header's UID of the %s is no UID, and is replaced by one that is made of it", what)
    return _make(what, uid) if uid else _make(what, *_measurement(study))


def _make(*parts: object) -> UID:
    # pydicom ignores the entropy when the prefix is None, and joins the sources without a separator.
    return generate_uid(entropy_srcs=[repr([str(part) for part in parts])])


def derived_uid(uid: str, *what: object) -> UID:
    """The identifier of what was made of an object with this one."""
    return _make("derived", uid, *what)
