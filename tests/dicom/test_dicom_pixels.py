"""Numbers survive: what a reader gets back is what was measured."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from nadenoise_core.dicom import to_dataset, write
from nadenoise_core.errors import BadInputError
from nadenoise_core.mrd.facts import Kind, Network


def read_with_itk(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[0]


def test_itk_reads_atsc_in_mmol_per_litre_and_never_doubled(make, full_study, geometry, tmp_path):
    pixels = np.linspace(-327.0, 327.0, 80 * 80).reshape(80, 80)
    path = write(to_dataset(make("atsc", pixels=pixels), geometry, full_study), tmp_path, "atsc.dcm")
    np.testing.assert_allclose(read_with_itk(path), pixels, atol=0.0051)


def test_rescale_and_real_world_mapping_agree(make, full_study, geometry, tmp_path):
    path = write(to_dataset(make("atsc"), geometry, full_study), tmp_path, "atsc.dcm")
    dataset = pydicom.dcmread(path)
    (mapping,) = dataset.RealWorldValueMappingSequence
    assert mapping["RealWorldValueFirstValueMapped"].VR == mapping["RealWorldValueLastValueMapped"].VR == "SS"
    assert dataset.PixelRepresentation == 1
    assert (mapping.RealWorldValueFirstValueMapped, mapping.RealWorldValueLastValueMapped) == (-32768, 32767)
    assert mapping.RealWorldValueSlope == dataset.RescaleSlope == 0.01
    assert mapping.RealWorldValueIntercept == dataset.RescaleIntercept == 0
    (unit,) = mapping.MeasurementUnitsCodeSequence
    assert (unit.CodeValue, unit.CodingSchemeDesignator) == ("mmol/L", "UCUM")


@pytest.mark.parametrize("kind", ["plain", "denoised"])
def test_magnitudes_carry_no_real_world_mapping(kind, make, full_study, geometry):
    dataset = to_dataset(make(kind), geometry, full_study)
    assert "RealWorldValueMappingSequence" not in dataset
    assert dataset.PixelRepresentation == 0


def test_magnitudes_of_a_measurement_share_one_scale(make, full_study, geometry, tmp_path):
    weak = np.full((80, 80), 1.25)
    readings = []
    for name, pixels in (("weak", weak), ("strong", 20 * weak)):
        dataset = to_dataset(make("plain", pixels=pixels, scale=5e-4), geometry, full_study)
        assert dataset.RescaleSlope == 5e-4
        readings.append(read_with_itk(write(dataset, tmp_path, f"{name}.dcm")))
    np.testing.assert_allclose(readings[0], weak, rtol=1e-6)
    np.testing.assert_allclose(readings[1], 20 * readings[0], rtol=1e-6)


@pytest.mark.parametrize("scale", [1.234567890123456e-9, 7.0, 1 / 3])
def test_any_scale_survives_the_decimal_string(scale, make, full_study, geometry, tmp_path):
    pixels = np.arange(6400.0).reshape(80, 80) * scale
    path = write(to_dataset(make("plain", pixels=pixels, scale=scale), geometry, full_study), tmp_path, "image.dcm")
    dataset = pydicom.dcmread(path)
    np.testing.assert_allclose(dataset.pixel_array * float(dataset.RescaleSlope), pixels, rtol=1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_out_of_range_are_clipped_not_wrapped(dtype, make, full_study, geometry):
    magnitude = np.array([[-5.0, 0.0, 65535.0, 65536.0, 3e38]], dtype)
    concentration = np.array([[-3e38, -327.69, 327.67, 327.68, 3e38]], dtype)
    nufft = to_dataset(make("plain", pixels=magnitude, scale=0.5), geometry, full_study)
    atsc = to_dataset(make("atsc", pixels=concentration), geometry, full_study)
    assert nufft.pixel_array.tolist() == [[0, 0, 65535, 65535, 65535]]
    assert atsc.pixel_array.tolist() == [[-32768, -32768, 32767, 32767, 32767]]


def test_rows_and_columns_are_not_swapped(make, full_study, geometry, tmp_path):
    pixels = np.arange(6.0).reshape(2, 3)
    dataset = to_dataset(make("plain", pixels=pixels, scale=1.0), geometry, full_study)
    assert (dataset.Rows, dataset.Columns) == (2, 3)
    np.testing.assert_array_equal(read_with_itk(write(dataset, tmp_path, "image.dcm")), pixels)


def test_the_callers_pixels_are_left_alone(make, full_study, geometry):
    pixels = np.full((4, 4), -500.0)
    to_dataset(make("atsc", pixels=pixels), geometry, full_study)
    assert (pixels == -500).all()


def test_window_is_in_real_units(make, full_study, geometry):
    pixels = np.linspace(0, 1e-3, 6400).reshape(80, 80)
    nufft = to_dataset(make("plain", pixels=pixels, scale=1e-7), geometry, full_study)
    assert nufft.WindowCenter == pytest.approx(5e-4, rel=0.05)
    assert nufft.WindowWidth == pytest.approx(1e-3, rel=0.05)
    # LINEAR forbids a width below 1 (PS3.3 C.11.2.1.2).
    assert nufft.VOILUTFunction == "LINEAR_EXACT"
    atsc = to_dataset(make("atsc"), geometry, full_study)
    assert (atsc.WindowCenter, atsc.WindowWidth) == (50, 100)
    given = to_dataset(make("atsc", window=(20.0, 40.0)), geometry, full_study)
    assert (given.WindowCenter, given.WindowWidth) == (20, 40)


def test_an_empty_image_has_a_window(make, full_study, geometry):
    dataset = to_dataset(make("plain", pixels=np.zeros((8, 8))), geometry, full_study)
    assert dataset.WindowWidth > 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"pixels": np.array([[0.0, np.nan]])}, "1 of 2 pixels"),
        ({"pixels": np.array([[np.inf, np.nan]])}, "2 of 2 pixels"),
        ({"pixels": np.zeros((2, 2), np.complex64)}, "complex64"),
        ({"pixels": np.zeros((1, 2, 2))}, "(1, 2, 2)"),
        ({"pixels": np.zeros((0, 2))}, "(0, 2)"),
        ({"scale": 0.0}, "scale"),
        ({"scale": float("nan")}, "scale"),
        ({"scale": float("inf")}, "scale"),
        ({"averages": 0}, "averages"),
        ({"instance_number": 0}, "instance_number"),
        ({"window": (1.0, 0.0)}, "window"),
        ({"kind": Kind.DENOISED}, "network"),
        ({"network": Network("n", "1", "ab")}, "network"),
    ],
)
def test_what_cannot_be_an_image_is_refused_with_the_reason(changes, reason, make):
    with pytest.raises(BadInputError) as refusal:
        make("plain", **changes)
    assert reason in str(refusal.value)


def test_atsc_needs_no_scale(make):
    assert make("atsc", scale=0.0).scale == 0
