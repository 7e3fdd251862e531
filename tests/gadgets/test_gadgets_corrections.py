"""Corrections that a chain can ask for: trajectory, conjugation, relaxation, excitation and reception."""

from __future__ import annotations

import logging
from pathlib import Path

import nibabel
import numpy as np
import pytest
from ismrmrd.xsd import CreateFromDocument

from gadgets.quantify import Quantify
from nadenoise_core.errors import BadInputError, ChainError, NadenoiseError, RawDataError, TrajectoryError
from nadenoise_core.mrd.buffer import unpack
from nadenoise_core.mrd.header import serialise_header
from nadenoise_core.mrd.image import known_facts, pixels_of
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.phantom import Label, labels
from nadenoise_core.quantify.geometry import nifti_affine
from nadenoise_core.sampling import SpiralDesign

AFFINE = nifti_affine((0.0, 0.0, 0.0), np.eye(3), (2.25, 2.25, 30.0), (80, 80))  # of the virtual scans

NAMES = "frequency_Hz,x_re,x_im,y_re,y_im,z_re,z_im"
IMAGE = ["accumulate", "reconstruct"]
TUBES = {"tube_diameter": "20"}
T1 = {"tissue_t1": "35", "tube_t1": "55"}
T2_STAR = {"tissue_t2_star": "3, 15", "tube_t2_star": "40"}


@pytest.fixture
def warnings(caplog):
    caplog.set_level(logging.WARNING, logger="nadenoise")
    return lambda: [record.getMessage() for record in caplog.records if record.name.startswith("nadenoise.")]


@pytest.fixture
def girf(tmp_path):
    """A file of the responses of x, y, z, each a function of the frequency."""

    def write(*axes) -> str:
        lines = [NAMES]
        for frequency in np.arange(0.0, 34e3, 50.0):
            parts = [part for axis in axes for part in (complex(axis(frequency)).real, complex(axis(frequency)).imag)]
            lines.append(",".join(repr(float(value)) for value in (frequency, *parts)))
        path = tmp_path / f"girf{len(list(tmp_path.iterdir()))}.csv"
        path.write_text("\n".join(lines))
        return str(path)

    return write


@pytest.fixture
def nifti(tmp_path):
    """A map on the image's matrix, (rows, columns), as a file."""

    def write(values: np.ndarray, name: str = "map.nii") -> str:
        nibabel.save(nibabel.Nifti1Image(np.asarray(values, np.float32).T[..., None], AFFINE), tmp_path / name)
        return str(tmp_path / name)

    return write


@pytest.fixture
def trajectory(run_chain, measured):
    """The trajectory that `accumulate` gives, (interleaves, samples, 2) in cycles/pixel."""

    def accumulate(properties, items=None, header_xml=None, **options):
        measurement, acquisitions = measured(**options)
        ((buffer,),) = run_chain(
            [("accumulate", properties)], header_xml or measurement.header_xml(), items or acquisitions
        )
        return unpack(buffer.data).trajectory

    return accumulate


def edited(header_xml: str, **sections: dict[str, object]) -> str:
    """A header with other values in its sections."""
    header = CreateFromDocument(header_xml)
    for section, values in sections.items():
        for name, value in values.items():
            setattr(getattr(header, section), name, value)
    return serialise_header(header)


def late(delay: float):
    return lambda frequency: np.exp(-2j * np.pi * frequency * 1e-6 * delay)


class TestTrajectoryDelay:
    @pytest.mark.parametrize("unit", ["cycles/pixel", "1/m"])
    def test_samples_lie_where_a_spiral_with_it_has_them(self, unit, trajectory):
        k = trajectory({"trajectory_delay": "4"}, trajectory_unit=unit)
        error = np.linalg.norm(k - SpiralDesign(delay=0.0).trajectory()[:, : k.shape[1]] * 2.25, axis=-1)
        assert error[:, :-2].max() < 2e-5

    def test_muscle_reads_what_it_did_before_the_delay_was_forgotten(self, run_chain, measured, changed):
        """The samples are taken where they were; the file says where they would lie without 4 us of the delay."""
        measurement, items = measured(averages=1, noise=0.0)
        early = (SpiralDesign(delay=-8.0).trajectory() * 2.25).astype(np.float32)
        forgotten = [changed(item, trajectory=early[item.idx.kspace_encode_step_1]) for item in items]
        muscle = labels(measurement.calf(), 80, 180.0, margin=5) == Label.MUSCLE
        atsc = {}
        for name, given, delay in (("true", items, 0), ("forgotten", forgotten, 0), ("corrected", forgotten, 4)):
            stages = [("accumulate", {"trajectory_delay": str(delay)}), "reconstruct", ("quantify", TUBES)]
            atsc[name] = pixels_of(run_chain(stages, measurement.header_xml(), given)[-1])[muscle].mean()
        assert atsc["forgotten"] > atsc["true"] + 1
        assert atsc["corrected"] == pytest.approx(atsc["true"], abs=0.01)

    def test_off_is_off(self, trajectory, measured):
        given = {item.idx.kspace_encode_step_1: item.traj for item in measured()[1]}
        np.testing.assert_array_equal(trajectory({}), [given[interleaf] for interleaf in range(20)])
        np.testing.assert_array_equal(trajectory({"trajectory_delay": "0"}), trajectory({}))

    def test_a_designed_spiral_has_its_own(self, trajectory):
        with pytest.raises(ChainError, match=r"chain\.xml:\d+: gadget 'accumulate': .*set gradient_delay"):
            trajectory({"trajectory": "spiral", "trajectory_delay": "4"})

    @pytest.mark.parametrize("value", ["101", "-101", "nan", "late"])
    def test_what_is_no_delay_is_told(self, value, trajectory):
        with pytest.raises(ChainError, match="trajectory_delay is '"):
            trajectory({"trajectory_delay": value})

    def test_an_unknown_dwell_time_is_told(self, trajectory, measured, changed):
        items = [changed(item, sample_time_us=0.0) for item in measured()[1]]
        with pytest.raises(TrajectoryError, match=r"acquisition 0 \(.*\): sample_time_us is 0"):
            trajectory({"trajectory_delay": "4"}, items)


class TestGirf:
    def test_a_delay_on_all_axes_is_a_delay(self, trajectory, girf):
        path = girf(*[late(4.0)] * 3)
        k = trajectory({"girf": path})
        np.testing.assert_allclose(k[:, :-2], trajectory({"trajectory_delay": "4"})[:, :-2], atol=1e-5)
        both = trajectory({"girf": girf(*[late(1.0)] * 3), "trajectory_delay": "3"})
        np.testing.assert_allclose(both[:, :-2], k[:, :-2], atol=1e-5)

    def test_axes_are_those_of_the_scanner(self, trajectory, girf):
        """A slice turned by 90 degrees about z has its read direction along y, and one about x its phase along z."""
        only_x = {"girf": girf(late(4.0), late(0.0), late(0.0))}
        plain, delayed = trajectory({}), trajectory({"trajectory_delay": "4"})
        for angles, moved in (((0.0, 0.0, 0.0), 0), ((0.0, 0.0, 90.0), 1), ((0.0, 90.0, 0.0), None)):
            k = trajectory(only_x, angles=angles)
            for column in (0, 1):
                expected = (delayed if column == moved else plain)[..., column]
                np.testing.assert_allclose(k[:, :-2, column], expected[:, :-2], atol=1e-5)

    def test_a_patient_on_the_side_swaps_x_and_y(self, trajectory, girf, measured):
        header = measured()[0].header_xml()
        k = [
            trajectory({"girf": path}, header_xml=header.replace(">HFS<", f">{position}<"))
            for path, position in (
                (girf(late(4.0), late(0.0), late(0.0)), "FFDL"),
                (girf(late(0.0), late(4.0), late(0.0)), "FFP"),
            )
        ]
        np.testing.assert_array_equal(k[0], k[1])

    def test_a_designed_spiral_is_filtered_too(self, trajectory, girf):
        k = trajectory({"girf": girf(*[late(4.0)] * 3), "trajectory": "spiral"})
        np.testing.assert_allclose(k[:, :-2], trajectory({"trajectory_delay": "4"})[:, :-2], atol=1e-5)

    def test_an_unknown_patient_position_is_told_before_the_scan(self, run_chain, measured, girf):
        header = CreateFromDocument(measured()[0].header_xml())
        header.measurementInformation = None
        with pytest.raises(BadInputError, match="patientPosition is ''.*leave girf out"):
            run_chain([("accumulate", {"girf": girf(*[late(4.0)] * 3)})], serialise_header(header), never())

    def test_unknown_directions_are_told(self, trajectory, measured, changed, girf):
        items = [changed(item) for item in measured()[1]]
        for item in items:
            item.read_dir[:] = item.phase_dir[:] = (0, 0, 0)
        with pytest.raises(TrajectoryError, match=r"acquisition 0 \(.*not at right angles"):
            trajectory({"girf": girf(*[late(4.0)] * 3)}, items)

    def test_a_file_that_is_none_is_told_before_the_scan(self, run_chain, measured, tmp_path):
        (tmp_path / "words.csv").write_text("hello")
        for name, words in (("words.csv", "first line must be"), ("nowhere.csv", "cannot be read")):
            with pytest.raises(NadenoiseError, match=f"{name}: {words}|{name}: the {words}"):
                run_chain([("accumulate", {"girf": str(tmp_path / name)})], measured()[0].header_xml(), never())


def never():
    raise AssertionError("a sample was read")
    yield


def test_conjugated_data_make_the_image_that_was_meant(run_chain, measured, changed) -> None:
    measurement, items = measured()
    other = [changed(item, data=item.data.conj()) for item in items]
    (plain,), (turned,), (right,) = (
        run_chain([("accumulate", properties), "reconstruct"], measurement.header_xml(), given)
        for properties, given in (({}, items), ({}, other), ({"conjugate_kspace": "true"}, other))
    )
    np.testing.assert_array_equal(pixels_of(right), pixels_of(plain))
    # Turned by 180 degrees about pixel N//2, as the property's description says.
    seen = np.abs(pixels_of(turned))[1:, 1:][::-1, ::-1]
    np.testing.assert_allclose(seen, np.abs(pixels_of(plain))[1:, 1:], atol=1e-3)


class TestRelaxation:
    def run(self, run_chain, measured, properties, header=lambda xml: xml):
        measurement, items = measured(averages=1, noise=0.0)
        stages = [*IMAGE, ("quantify", {**TUBES, **properties})]
        return run_chain(stages, header(measurement.header_xml()), items)

    @pytest.mark.parametrize(
        ("properties", "facts"),
        [
            (T1, {"saturation_factor": 0.888721}),  # TR 100 ms, 90 degrees
            (T2_STAR, {"t2_star_factor": 0.994266 / 0.949632}),  # TE 0.23 ms
            ({**T1, **T2_STAR}, {"saturation_factor": 0.888721, "t2_star_factor": 0.994266 / 0.949632}),
            ({**T2_STAR, "tissue_short_fraction": "0"}, {"t2_star_factor": 0.994266 / 0.984784}),
        ],
    )
    def test_the_whole_map_is_multiplied(self, properties, facts, run_chain, measured):
        image, plain = self.run(run_chain, measured, {})
        same, atsc = self.run(run_chain, measured, properties)
        factor = np.prod(list(facts.values()))
        np.testing.assert_array_equal(pixels_of(same), pixels_of(image))
        np.testing.assert_allclose(pixels_of(atsc), factor * pixels_of(plain), rtol=1e-5, atol=1e-6)
        for name in ("saturation_factor", "t2_star_factor"):
            factor_of_it = getattr(known_facts(atsc).atsc.corrections, name)
            assert factor_of_it == (pytest.approx(facts[name], rel=1e-5) if name in facts else None)
        assert known_facts(atsc).atsc.line.slope == known_facts(plain).atsc.line.slope
        assert known_facts(atsc).atsc.standard_error == pytest.approx(
            factor * known_facts(plain).atsc.standard_error, 0.05
        )
        (words,) = [words for words in known_facts(atsc).comments if "multiplied by" in words]
        assert f"{factor:.4g}" in words and "so the tubes read" in words
        assert not any("multiplied by" in words for words in known_facts(plain).comments)

    @pytest.mark.parametrize(
        ("properties", "missing", "words"),
        [
            (T1, {"TR": []}, "have no TR above 0, and tissue_t1 needs one"),
            (T1, {"flipAngle_deg": []}, "have no flipAngle_deg above 0"),
            (T2_STAR, {"TE": [0.0]}, "have no TE above 0, and tissue_t2_star"),
            (T2_STAR, {"TE": [0.5, 3.0]}, "have 2 TE above 0"),
            ({"b1_map": "b1.nii"}, {"flipAngle_deg": []}, "have no flipAngle_deg above 0, and b1_map"),
        ],
    )
    def test_what_the_header_lacks_is_told_before_the_scan(
        self, properties, missing, words, run_chain, measured, nifti
    ):
        if "b1_map" in properties:
            properties = {"b1_map": nifti(np.ones((80, 80)))}
        header = edited(measured()[0].header_xml(), sequenceParameters=missing)
        with pytest.raises(RawDataError, match=words):
            run_chain([*IMAGE, ("quantify", properties)], header, never())

    def test_a_header_without_sequence_is_told(self, run_chain, measured):
        header = CreateFromDocument(measured()[0].header_xml())
        header.sequenceParameters = None
        with pytest.raises(RawDataError, match="no flipAngle_deg"):
            run_chain([*IMAGE, ("quantify", T1)], serialise_header(header), never())
        assert len(self.run(run_chain, measured, {}, header=lambda _: serialise_header(header))) == 2

    @pytest.mark.parametrize(
        ("properties", "words"),
        [
            ({"tissue_t1": "35"}, "tissue_t1 and tube_t1"),
            ({"tube_t2_star": "40"}, "tissue_t2_star and tube_t2_star"),
            ({**T2_STAR, "tissue_t2_star": "3"}, "two numbers"),
            ({**T2_STAR, "tissue_t2_star": "0, 15"}, "numbers above 0"),
            ({**T2_STAR, "tissue_t2_star": "short, 15"}, "tissue_t2_star is 'short, 15'"),
            ({"tissue_short_fraction": "60"}, "tissue_short_fraction is '60'"),
            ({"tissue_t1": "-1"}, "tissue_t1 is '-1'"),
        ],
    )
    def test_properties_that_cannot_be_are_told(self, properties, words, run_chain, measured):
        with pytest.raises(ChainError, match=words):
            run_chain([*IMAGE, ("quantify", properties)], measured()[0].header_xml(), never())


class TestMaps:
    """An image that a map has shaded is to give the aTSC of the one without, wherever there is signal."""

    @pytest.fixture
    def atsc_of(self, run_chain, measured):
        """aTSC of the virtual calf whose image was multiplied by a map."""
        measurement, items = measured(averages=1, noise=0.0)
        (image,) = run_chain(IMAGE, measurement.header_xml(), items)

        def run(shade, **properties):
            shaded = type(image).from_array(pixels_of(image) * np.asarray(shade, np.float32), transpose=False)
            shaded.setHead(image.getHead())
            shaded.meta = dict(image.meta)
            gadget = Quantify(Quantify.Parameters(**TUBES, **properties), read_scan(measurement.header_xml()))
            return list(gadget.process([shaded]))[-1]

        return run

    @pytest.fixture
    def smooth(self):
        y, x = np.mgrid[-40:40, -40:40] / 40
        return 1 + 0.2 * x - 0.1 * y

    def assert_same(self, got, plain):
        object_ = pixels_of(plain) > 5
        np.testing.assert_allclose(pixels_of(got)[object_], pixels_of(plain)[object_], atol=0.02)

    def test_reception(self, atsc_of, smooth, nifti):
        plain = atsc_of(1)
        got = atsc_of(smooth, receive_map=nifti(12 * smooth))
        self.assert_same(got, plain)
        assert np.abs(pixels_of(atsc_of(smooth)) - pixels_of(plain)).max() > 5
        made = known_facts(got).atsc.corrections
        assert (made.maps, made.uncovered) == (("receive_map",), 0)
        assert any(words == "corrected by receive_map" for words in known_facts(got).comments)
        assert known_facts(plain).atsc.corrections.maps == ()

    def test_excitation(self, atsc_of, smooth, nifti):
        """90 degrees, so the sine of the true angle; with T1 of 55 ms for both, the steady state at TR 100 ms."""
        plain, angle = atsc_of(1), np.pi / 2 * smooth
        left = np.exp(-100 / 55)
        got = atsc_of(np.sin(angle), b1_map=nifti(smooth))
        self.assert_same(got, plain)
        steady = np.sin(angle) / (1 - np.cos(angle) * left)
        got = atsc_of(steady, b1_map=nifti(smooth), tissue_t1="55", tube_t1="55")
        self.assert_same(got, plain)
        assert "map.nii" not in known_facts(got).history[-1]  # a path may name a patient

    def test_a_tube_that_a_map_leaves_out_is_told(self, atsc_of, nifti, warnings):
        got = atsc_of(1, receive_map=nifti(np.where(np.arange(80) < 60, np.ones((80, 80)), np.nan)))
        (words,) = [words for words in known_facts(got).comments if "not corrected" in words]
        assert words.startswith("receive_map: nothing is known of ") and "% of the object and the tubes of " in words
        assert warnings() == [words]

    @pytest.mark.parametrize(
        ("name", "values", "words"),
        [
            ("b1_map", np.full((80, 80), 90.0), "b1_map: its median is 90"),
            ("receive_map", np.zeros((80, 80)), "receive_map: holds no value above 0"),
        ],
    )
    def test_maps_that_cannot_be_are_told_before_the_scan(self, name, values, words, run_chain, measured, nifti):
        with pytest.raises(BadInputError, match=words):
            run_chain([*IMAGE, ("quantify", {name: nifti(values)})], measured()[0].header_xml(), never())

    def test_a_map_that_does_not_cover_the_image_is_told_with_the_distance(self, atsc_of, nifti):
        with pytest.raises(BadInputError, match=r"map.nii: does not cover the image: 34% of .* up to \d+\.\d mm"):
            atsc_of(1, b1_map=nifti(np.ones((64, 64))))

    def test_a_map_that_is_not_there_is_told(self, run_chain, measured, tmp_path):
        for name in ("b1_map", "receive_map"):
            with pytest.raises(NadenoiseError, match="nowhere.nii: cannot be read as a NIfTI file"):
                run_chain(
                    [*IMAGE, ("quantify", {name: str(Path(tmp_path) / "nowhere.nii")})],
                    measured()[0].header_xml(),
                    never(),
                )
