"""Every correction against a virtual scan with the effect present, through a chain, without noise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from nadenoise_core.mrd.image import known_facts, pixels_of
from nadenoise_core.phantom import Label, labels
from nadenoise_core.quantify.geometry import nifti_affine
from nadenoise_core.quantify.rois import pixel_positions
from nadenoise_core.simulate.measurement import VirtualMeasurement

AFFINE = nifti_affine((0.0, 0.0, 0.0), np.eye(3), (2.25, 2.25, 30.0), (80, 80))  # of the virtual scans

MATRIX, FIELD_OF_VIEW, PIXEL = 80, 180.0, 2.25
QUANTIFY = {"tube_diameter": "20"}
# What relaxes in `VirtualMeasurement(relaxation=True)`, as a physicist would write it into the chain.
RELAXATION = {
    "tissue_t1": "35",
    "tube_t1": "55",
    "tissue_t2_star": "2.5, 15",
    "tissue_short_fraction": "0.6",
    "tube_t2_star": "40",
}


@pytest.fixture
def image_of(measured, run_chain) -> Callable[..., Any]:
    """The images of a noise-free scan: the complex one, and the map."""

    def scan(
        effects: dict[str, Any], accumulate=None, reconstruct=None, quantify=None, **options: Any
    ) -> dict[str, Any]:
        measurement, acquisitions = measured(noise=0.0, averages=1, seed=5, **effects, **options)
        stages = [
            ("accumulate", accumulate or {}),
            ("reconstruct", {"device": "cpu", **(reconstruct or {})}),
            ("quantify", {**QUANTIFY, **(quantify or {})}),
        ]
        images = run_chain(stages, measurement.header_xml(), acquisitions)
        return {known_facts(image).kind.value: pixels_of(image) for image in images}

    return scan


def muscle_error(atsc: np.ndarray) -> float:
    measurement = VirtualMeasurement(seed=5)
    muscle = labels(measurement.calf(), MATRIX, FIELD_OF_VIEW, margin=PIXEL) == Label.MUSCLE
    return float(atsc[muscle].mean() - measurement.truth()["muscle"])


def relative(image: np.ndarray, reference: np.ndarray) -> float:
    """Difference of two images within the disc of the field of view."""
    y, x = np.mgrid[:MATRIX, :MATRIX] - MATRIX // 2
    disc = np.hypot(y, x) <= MATRIX / 2 - 0.5
    return float(np.linalg.norm((image - reference)[disc]) / np.linalg.norm(reference[disc]))


@pytest.mark.parametrize("method", ["gridding", "least_squares"])
@pytest.mark.parametrize("delay", [1.0, 2.0, 4.0])
def test_a_delay_that_is_known_costs_nothing(delay, method, image_of):
    forgotten = image_of({"trajectory_delay": delay}, reconstruct={"method": method})
    corrected = image_of({"trajectory_delay": delay}, {"trajectory_delay": str(delay)}, reconstruct={"method": method})
    assert abs(muscle_error(forgotten["atsc"])) > 0.3
    assert abs(muscle_error(corrected["atsc"])) <= 0.05


def test_a_delay_as_a_gradient_response(image_of, tmp_path):
    frequency = np.arange(0, 34e3, 50.0)
    delayed = np.exp(-2j * np.pi * frequency * 4e-6)
    columns = [frequency, *(part for _ in "xyz" for part in (delayed.real, delayed.imag))]
    path = tmp_path / "girf.csv"
    header = "frequency_Hz,x_re,x_im,y_re,y_im,z_re,z_im"
    np.savetxt(path, np.stack(columns, axis=1), delimiter=",", header=header, comments="", fmt="%.12g")
    corrected = image_of({"trajectory_delay": 4.0, "angles": (20.0, -35.0, 50.0)}, {"girf": str(path)})
    assert abs(muscle_error(corrected["atsc"])) <= 0.05


def field_map_file(measurement: VirtualMeasurement, folder: Path) -> str:
    """The true field map as a physicist would have it: NIfTI, on the image's grid, in Hz."""
    x, y = pixel_positions((MATRIX, MATRIX), (PIXEL, PIXEL))
    frequency = measurement.field_map().at(np.stack([x, y], axis=-1))
    path = folder / "b0.nii"
    nibabel.save(nibabel.Nifti1Image(frequency.T[..., None].astype(np.float32), AFFINE), path)
    return str(path)


@pytest.mark.parametrize("method", ["gridding", "least_squares"])
@pytest.mark.parametrize(
    "effect", [{"off_resonance": 50.0}, {"off_resonance": -25.0, "frequency_offset": 20.0}, {"frequency_offset": 40.0}]
)
def test_off_resonance_that_is_known_is_taken_out(effect, method, image_of, tmp_path):
    path = field_map_file(VirtualMeasurement(seed=5, **effect), tmp_path)
    resonant = image_of({}, reconstruct={"method": method})
    forgotten = image_of(effect, reconstruct={"method": method})
    corrected = image_of(effect, reconstruct={"method": method, "b0_map": path})
    assert relative(forgotten["plain"], resonant["plain"]) > 0.05
    assert relative(corrected["plain"], resonant["plain"]) < 0.2 * relative(forgotten["plain"], resonant["plain"])
    assert abs(muscle_error(corrected["atsc"])) <= 0.1


def test_a_field_map_of_the_other_sign_makes_it_worse(image_of, tmp_path):
    path = field_map_file(VirtualMeasurement(seed=5, off_resonance=-25.0), tmp_path)
    resonant = image_of({})
    forgotten, wrong = (image_of({"off_resonance": 25.0}, reconstruct=given) for given in ({}, {"b0_map": path}))
    assert relative(wrong["plain"], resonant["plain"]) > relative(forgotten["plain"], resonant["plain"])


def test_conjugated_samples_are_turned_back(image_of):
    plain = image_of({})
    corrected = image_of({"conjugate": True}, {"conjugate_kspace": "true"})
    np.testing.assert_array_equal(corrected["plain"], plain["plain"])


def test_relaxation_times_take_out_saturation_and_decay_until_the_echo(image_of):
    forgotten = image_of({"relaxation": True})
    corrected = image_of({"relaxation": True}, quantify=RELAXATION)
    assert muscle_error(forgotten["atsc"]) > 0.8
    # What is left is the decay during the readout, which the factors do not cover.
    assert -0.6 < muscle_error(corrected["atsc"]) < 0


def test_everything_at_once(image_of, tmp_path):
    effects = {"trajectory_delay": 3.0, "off_resonance": 30.0, "frequency_offset": -10.0, "conjugate": True}
    path = field_map_file(VirtualMeasurement(seed=5, **effects), tmp_path)
    accumulate = {"trajectory_delay": "3", "conjugate_kspace": "true"}
    corrected = image_of(effects, accumulate, {"method": "least_squares", "b0_map": path})
    assert abs(muscle_error(corrected["atsc"])) <= 0.1
