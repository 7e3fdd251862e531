"""Regions as DICOM Segmentation and structured report: read back by highdicom, judged by dciodvfy and dcmtk."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest

from nadenoise_core.dicom import to_dataset
from nadenoise_core.dicom.folder import encode
from nadenoise_core.dicom.parametric_map import parametric_map
from nadenoise_core.dicom.region_report import region_report
from nadenoise_core.dicom.segmentation import segmentation
from nadenoise_core.mrd.image import facts_of
from nadenoise_core.quantify.plane import SlicePlane
from nadenoise_core.quantify.readings import RegionMethod, RegionReading
from nadenoise_core.quantify.regions import Regions

CELL = 0.5625
READINGS = (
    RegionReading(2, 21.5, RegionMethod.FIT, standard_error=0.3, name="muscle", area=400.0, label_error=0.4),
    RegionReading(3, 18.0, RegionMethod.FIT, standard_error=1.0, name="skin", area=70.0),
    RegionReading(0, 20.0, RegionMethod.MEAN, name="both"),
)


@pytest.fixture(params=["full_study", "bare_study"])
def study(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def source(series_set, study, geometry):
    product = next(product for product in series_set(study) if product.facts.atsc is not None)
    return to_dataset(product, geometry, study)


@pytest.fixture
def plane(geometry) -> SlicePlane:
    directions = np.array([geometry.read_dir, geometry.phase_dir, geometry.slice_dir])
    return SlicePlane(np.array(geometry.position), directions, (2.5, 2.25), (80, 80), 30.0)


@pytest.fixture
def regions() -> Regions:
    y, x = np.mgrid[:60, :50]
    radius = np.hypot(x - 25, y - 30)
    shares = np.stack([radius < 15, (radius >= 15) & (radius < 20), radius < 0]).astype(np.float32)
    return Regions(("muscle", "skin", "nowhere"), ((2,), (3,), (9,)), shares, (-10.0, 4.0), CELL)


def read_back(dataset) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(encode(dataset)))


def test_highdicom_finds_every_region_where_it_was_drawn(source, regions, plane) -> None:
    made, segments = segmentation(source, regions, plane)
    assert segments == {"muscle": 1, "skin": 2}
    found = hd.seg.Segmentation.from_dataset(read_back(made))
    described = [found.get_segment_description(number) for number in (1, 2)]
    assert [segment.segment_label for segment in described] == ["muscle", "skin"]
    assert described[1].segmented_property_type.meaning == "Skin"
    volume = found.get_volume(combine_segments=True)
    np.testing.assert_array_equal(volume.array[0], np.where(regions.fractions[0] > 0, 1, 2 * regions.fractions[1]))
    # The patient's coordinates of a cell: 3 cells down, 7 to the right of the first.
    x, y = regions.corner[0] + 7 * CELL, regions.corner[1] + 3 * CELL
    expected = plane.centre + x * plane.directions[0] + y * plane.directions[1]
    np.testing.assert_allclose(volume.map_indices_to_reference(np.array([[0, 3, 7]]))[0], expected, atol=1e-3)
    (referenced,) = found.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert referenced.ReferencedSOPInstanceUID == source.SOPInstanceUID


def test_highdicom_reads_the_concentrations(source, regions, plane) -> None:
    outlines, segments = segmentation(source, regions, plane)
    made = hd.sr.Comprehensive3DSR.from_dataset(read_back(region_report(source, READINGS, outlines, segments)))
    outlined = made.content.get_volumetric_roi_measurement_groups()
    others = made.content.get_image_measurement_groups()
    assert [group.tracking_identifier for group in (*outlined, *others)] == ["muscle", "skin", "both"]
    assert [group.method.meaning for group in (*outlined, *others)][::2] == [
        "Least-squares fit to averaged k-space",
        "Mean of the pixels",
    ]
    values = {m.name.value: (m.value, m.unit.value) for m in outlined[0].get_measurements()}
    reach = 1.959964 * np.hypot(0.3, 0.4)
    assert values["ATSC"] == (21.5, "mmol/L")
    assert values["ATSC_LOW"] == (pytest.approx(21.5 - reach, abs=1e-3), "mmol/L")
    assert values["ATSC_HIGH"] == (pytest.approx(21.5 + reach, abs=1e-3), "mmol/L")
    assert values["ATSC_SE"], values["ATSC_LABEL_SE"] == ((0.3, "mmol/L"), (0.4, "mmol/L"))
    assert values["42798000"] == (400.0, "mm2")
    assert [m.name.value for m in others[0].get_measurements()] == ["ATSC"]  # nothing is made up
    assert outlined[1].referenced_segment.referenced_sop_instance_uid == outlines.SOPInstanceUID


def test_without_outlines_there_is_a_report(source) -> None:
    made = hd.sr.Comprehensive3DSR.from_dataset(read_back(region_report(source, READINGS)))
    assert len(made.content.get_image_measurement_groups()) == 3


def test_a_replay_makes_the_same_bytes(source, regions, plane) -> None:
    first, second = (segmentation(source, regions, plane) for _ in range(2))
    assert encode(first[0]) == encode(second[0])
    assert encode(region_report(source, READINGS, *first)) == encode(region_report(source, READINGS, *second))


def test_the_standard_is_obeyed(source, regions, plane, tmp_path: Path) -> None:
    outlines, segments = segmentation(source, regions, plane)
    values = np.zeros((source.Rows, source.Columns), np.float32)
    report = region_report(source, READINGS, outlines, segments)
    for name, made in (("seg", outlines), ("sr", report), ("map", parametric_map(source, values))):
        path = tmp_path / f"{name}.dcm"
        path.write_bytes(encode(made))
        for tool in ("dciodvfy", "dcmdump"):
            if not shutil.which(tool):
                pytest.skip(f"{tool} is not installed")
        told = subprocess.run(["dciodvfy", path], check=False, capture_output=True, text=True, errors="replace")
        lines = (told.stdout + told.stderr).splitlines()
        assert [line for line in lines if line.startswith("Error")] == [], name
        assert subprocess.run(["dcmdump", path], check=False, capture_output=True).returncode == 0
    if shutil.which("dsrdump"):
        told = subprocess.run(["dsrdump", tmp_path / "sr.dcm"], check=True, capture_output=True, text=True)
        assert '"21.5" (mmol/L,UCUM' in told.stdout


def test_a_parametric_map_holds_every_number_in_its_unit(source) -> None:
    values = np.random.default_rng(1).normal(20, 9, (source.Rows, source.Columns)).astype(np.float32)
    made = parametric_map(source, values)
    found = hd.imread(io.BytesIO(encode(made)))
    np.testing.assert_array_equal(read_back(made).pixel_array, values)
    assert found.SOPClassUID == pydicom.uid.ParametricMapStorage
    mapping = found.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "mmol/L" and mapping.LUTLabel == "aTSC"
    along = np.array(source.ImageOrientationPatient, float).reshape(2, 3)
    rows, columns = map(float, source.PixelSpacing)
    expected = np.array(source.ImagePositionPatient, float) + 7 * columns * along[0] + 3 * rows * along[1]
    place = found.get_volume_geometry().map_indices_to_reference(np.array([[0, 3, 7]]))[0]
    np.testing.assert_allclose(place, expected, atol=1e-3)
    assert encode(parametric_map(source, values)) == encode(made)


def test_a_chain_delivers_them(run_chain, measured, label_file, names_file, tmp_path: Path) -> None:
    measurement, items = measured(seed=5, averages=4, noise=4.0)
    more = {"parametric_map": "true"}
    quantify = {
        "error_map": "true",
        "roi_map": str(label_file(measurement)),
        "roi_names": str(names_file),
        "tube_diameter": "20",
    }
    stages = ["accumulate", "reconstruct", ("quantify", quantify), ("deliver", {"folder": str(tmp_path), **more})]
    images = run_chain(stages, measurement.header_xml(), items)
    (readings,) = [facts.atsc.regions for facts in map(facts_of, images) if facts.atsc is not None]
    outlines = pydicom.dcmread(next(tmp_path.glob("regions_*.dcm")))
    report = pydicom.dcmread(next(tmp_path.glob("report_*.dcm")))
    of_map, of_errors = (pydicom.dcmread(next(tmp_path.glob(f"map_{kind}_*.dcm"))) for kind in ("atsc", "error"))
    shown = {facts_of(image).kind.value: np.asarray(image.data[0, 0]) for image in images}
    np.testing.assert_array_equal(np.frombuffer(of_map.FloatPixelData, np.float32), shown["atsc"].ravel())
    np.testing.assert_array_equal(np.frombuffer(of_errors.FloatPixelData, np.float32), shown["error"].ravel())
    as_image = pydicom.dcmread(next(tmp_path.glob("error_*.dcm")))
    np.testing.assert_allclose(as_image.pixel_array * as_image.RescaleSlope, shown["error"], atol=0.006)
    assert as_image.SeriesDescription.startswith("23Na aTSC error [mmol/L]")
    groups = hd.sr.Comprehensive3DSR.from_dataset(report).content.get_volumetric_roi_measurement_groups()
    told = {group.tracking_identifier: float(group.get_measurements()[0].value) for group in groups}
    assert told == pytest.approx({reading.name: reading.atsc for reading in readings}, abs=1e-3)
    sums = hd.seg.Segmentation.from_dataset(outlines).get_volume(combine_segments=True).array
    areas = {reading.name: reading.area for reading in readings}
    assert np.sum(sums == 1) * CELL**2 == pytest.approx(areas["muscle"], rel=0.02)
    off = [*stages[:3], ("deliver", {"folder": str(tmp_path / "off"), "regions": "false"})]
    run_chain(off, measurement.header_xml(), items)
    assert sorted(path.name.split("_")[0] for path in (tmp_path / "off").iterdir()) == ["atsc", "error", "nufft"]
