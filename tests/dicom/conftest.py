"""One measurement as the scanner would describe it, one that says next to nothing, and the products of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nadenoise_core.dicom import Geometry, Product, Study, instance_uid
from nadenoise_core.mrd.facts import AtscFacts, ImageFacts, Kind, Network
from nadenoise_core.quantify.calibration import Line
from nadenoise_core.recon.settings import Method

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
ROWS, COLUMNS = 80, 80


@pytest.fixture(scope="session")
def full_study() -> Study:
    return Study(
        measurement_id="45123_66021_1_42",
        patient_name="Müller^Jörg",
        patient_id="CALF-007",
        patient_birth_date="1980-02-03",
        patient_sex="M",
        patient_weight=71.5,
        study_instance_uid="1.2.826.0.1.3680043.9.1",
        study_id="7",
        study_date="2024-01-31",
        study_time="12:34:56.5",
        accession_number="ACC-1",
        referring_physician="Doe^Jane",
        study_description="Sodium of the calf",
        frame_of_reference_uid="1.2.826.0.1.3680043.9.2",
        laterality="R",
        institution="Children's Hospital",
        station="MR3",
        manufacturer="Siemens",
        model="Prisma",
        device_id="67001",
        field_strength=2.89,
        series_number_offset=42000,
        protocol_name="spiral_23Na",
        repetition_time=100.0,
        echo_time=0.23,
        flip_angle=90.0,
        imaging_frequency=32.5834,
        pixel_bandwidth=1600.0,
        acquisition_date="2024-01-31",
        acquisition_time="12:40:00",
    )


@pytest.fixture(scope="session")
def bare_study() -> Study:
    return Study(measurement_id="unknown scan of 12:40")


@pytest.fixture(scope="session")
def geometry() -> Geometry:
    """An oblique slice away from the origin, with different field of view along read and phase."""
    read = np.array([0.8, 0.6, 0.0])
    phase = np.array([0.0, 0.0, -1.0])
    return Geometry(
        position=(12.5, -40.25, 333.0),
        read_dir=read,
        phase_dir=phase,
        slice_dir=np.cross(read, phase),
        field_of_view=(180.0, 200.0),
        slice_thickness=30.0,
        patient_position="FFS",
    )


@pytest.fixture(scope="session")
def network() -> Network:
    return Network("calf-resnet-30", "1.2.0", "ab" * 32)


@pytest.fixture(scope="session")
def make(network: Network) -> Callable[..., Product]:
    """A product of each kind; keywords replace its fields, or those of its facts."""
    magnitude = np.random.default_rng(5).rayleigh(2.0, (ROWS, COLUMNS))
    facts = ImageFacts(Kind.PLAIN, 30, history=("reconstruct(method=gridding)",))
    known = AtscFacts(Kind.PLAIN, Line(1.5, 0.0, 0.999), 1.0, ())
    products = {
        "plain": Product(facts, magnitude, scale=1e-3),
        "denoised": Product(
            replace(facts, kind=Kind.DENOISED, network=network, comments=("AI denoised",)), magnitude, scale=1e-3
        ),
        "atsc": Product(replace(facts, kind=Kind.ATSC, atsc=known), 20 * magnitude - 30),
    }

    def product(name: str, /, **changes: Any) -> Product:
        made = products[name]
        known = {name: changes.pop(name) for name in list(changes) if hasattr(made.facts, name)}
        return replace(made, facts=replace(made.facts, **known), **changes)

    return product


@pytest.fixture(scope="session")
def series_set(make: Callable[..., Product], network: Network) -> Callable[[Study], list[Product]]:
    """What one scan delivers: every image with its aTSC map, at two numbers of averages, and compressed sensing."""

    def products(study: Study) -> list[Product]:
        delivered = []
        for averages in (10, 30):
            image = make("plain", averages=averages)
            source = ((MR_IMAGE, str(instance_uid(image, study))),)
            denoised = make("denoised", averages=averages, source=source)
            of_denoised = AtscFacts(Kind.DENOISED, Line(1.5, 0.0, 0.999), 1.0, ())
            delivered += [
                image,
                denoised,
                make("atsc", averages=averages, source=source),
                make(
                    "atsc",
                    averages=averages,
                    network=network,
                    atsc=of_denoised,
                    source=((MR_IMAGE, str(instance_uid(denoised, study))),),
                ),
            ]
        return [
            *delivered,
            make("plain", method=Method.TOTAL_VARIATION),
            make("atsc", method=Method.TOTAL_VARIATION),
        ]

    return products
