"""Gadgets on images: the noise of coils, networks, calibration, delivery."""

from __future__ import annotations

import logging
from dataclasses import replace

import ismrmrd
import numpy as np
import pydicom
import pytest

from gadgets.denoise import Denoise
from nadenoise_core.errors import BundleError, ChainError, NadenoiseError
from nadenoise_core.mrd.image import known_facts, pixels_of, put_facts
from nadenoise_core.mrd.scan import read_scan

TUBES = (10.0, 25.0, 50.0, 75.0, 100.0)


@pytest.fixture
def warnings(caplog):
    caplog.set_level(logging.WARNING, logger="nadenoise")
    return lambda: [record.getMessage() for record in caplog.records if record.name.startswith("nadenoise.")]


@pytest.fixture(scope="module")
def plain(measured):
    """A noise-free NUFFT image, a measurement, and the stages that made it."""
    return measured(averages=2, noise=4.0)


class TestPrewhiten:
    def test_noise_of_four_coils_becomes_one(self, measured, run_chain, changed):
        measurement, items = measured(coils=4, noise=58.0)
        mixing = np.array([[3, 0, 0, 0], [1, 2, 0, 0], [0.5j, 1, 1, 0], [0, 0, 1j, 5]])
        mixed = [changed(item, (mixing @ item.data).astype(np.complex64)) for item in items]
        out = run_chain(["prewhiten"], measurement.header_xml(), mixed)
        assert len(out) == len(items) - 1  # the noise scan stays
        assert not any(item.is_flag_set(ismrmrd.ACQ_IS_NOISE_MEASUREMENT) for item in out)
        first, second = (np.concatenate([a.data for a in out if a.idx.average == n], axis=1) for n in range(2))
        noise = (first - second).astype(np.complex128) / np.sqrt(2)
        covariance = noise @ noise.conj().T / noise.shape[1]
        np.testing.assert_allclose(covariance, 2 * np.eye(4), atol=0.1)

    def test_dwell_time_and_bandwidth_scale_it(self, measured, run_chain, changed):
        measurement, items = measured(coils=4, noise=58.0)
        header = measurement.header_xml()
        half = header.replace("relativeReceiverNoiseBandwidth>1.0<", "relativeReceiverNoiseBandwidth>0.5<")
        assert half != header
        fast = [changed(items[0], sample_time_us=items[0].sample_time_us / 4), *items[1:]]
        (reference, *_), (bandwidth, *_), (dwell, *_) = (
            run_chain(["prewhiten"], xml, given) for xml, given in ((header, items), (half, items), (header, fast))
        )
        # Noise that was let through twice, or for a quarter of the time, is twice, or a quarter, in power.
        np.testing.assert_allclose(bandwidth.data, reference.data / np.sqrt(2), rtol=1e-4)
        np.testing.assert_allclose(dwell.data, reference.data * 2, rtol=1e-4)
        slow = [items[0], changed(items[1], sample_time_us=4 * items[1].sample_time_us), *items[2:]]
        first, second, *_ = run_chain(["prewhiten"], header, slow)
        np.testing.assert_allclose(first.data, reference.data * 2, rtol=1e-4)
        np.testing.assert_array_equal(second.data, run_chain(["prewhiten"], header, items)[1].data)

    def test_without_noise_scan_nothing_changes(self, measured, run_chain):
        measurement, items = measured(coils=4, noise=58.0)
        out = run_chain(["prewhiten"], measurement.header_xml(), items[1:])
        assert all(given is got for given, got in zip(items[1:], out, strict=True))

    def test_rows_that_nobody_filled_pass(self, measured, run_chain):
        measurement, items = measured(coils=4, noise=58.0)
        out = run_chain(["prewhiten"], measurement.header_xml(), [*items, ismrmrd.Acquisition()])
        assert [item.data.shape[0] for item in out[-2:]] == [4, 0]

    def test_the_image_of_four_coils_is_calibrated(self, measured, run_chain):
        measurement, items = measured(coils=4, noise=4.0)
        stages = ["prewhiten", "accumulate", "reconstruct", ("quantify", {"tube_diameter": "20"})]
        image, atsc = run_chain(stages, measurement.header_xml(), items)
        assert known_facts(image).kind.value == "plain" and known_facts(atsc).kind.value == "atsc"
        weights = measurement.noise / measurement.scan().noise_std  # noise of an image per noise of a sample
        assert known_facts(image).noise_std == pytest.approx(weights * np.sqrt(2 / 2), rel=0.03)


class TestReconstruct:
    def test_noise_of_the_image_is_what_was_simulated(self, measured, run_chain):
        measurement, items = measured(averages=8, noise=58.0)
        (image,) = run_chain(["accumulate", "reconstruct"], measurement.header_xml(), items)
        assert known_facts(image).noise_std == pytest.approx(58 / np.sqrt(8), rel=0.02)

    def test_the_image_is_that_of_the_object(self, measured, run_chain):
        """A perfect reconstruction of the disc of k-space, by quadrature of the closed form."""
        from nadenoise_core.phantom import band_limited

        measurement, items = measured(averages=1, noise=0.0)
        (image,) = run_chain(["accumulate", "reconstruct"], measurement.header_xml(), items)
        truth = band_limited(measurement.calf(), 80, 180.0, k_max=known_facts(image).k_max)
        inside = np.hypot(*np.meshgrid(np.arange(80) - 40, np.arange(80) - 40)) < 36
        np.testing.assert_allclose(np.abs(pixels_of(image))[inside], np.abs(truth)[inside], rtol=0, atol=2.5)
        error = np.abs(pixels_of(image))[inside] - np.abs(truth)[inside]
        assert np.sqrt(np.mean(error**2)) < 0.5

    def test_an_acquisition_passes(self, measured, run_chain):
        measurement, items = measured()
        noise = ismrmrd.Waveform.from_array(np.zeros((1, 4), np.uint32))
        assert run_chain(["accumulate", "reconstruct"], measurement.header_xml(), [noise, *items])[0] is noise


class TestDenoise:
    def stages(self, bundle, **properties):
        path, sha256 = bundle
        given = {"bundle": str(path), "bundle_sha256": sha256, "device": "cpu", **properties}
        return ["accumulate", "reconstruct", ("denoise", given)]

    def test_an_identity_gives_the_same_image_beside(self, plain, run_chain, bundle_file):
        measurement, items = plain
        bundle = bundle_file("return x")
        image, denoised = run_chain(self.stages(bundle), measurement.header_xml(), items)
        assert [known_facts(one).kind.value for one in (image, denoised)] == ["plain", "denoised"]
        np.testing.assert_allclose(pixels_of(denoised), pixels_of(image), rtol=0, atol=1e-4)
        network = known_facts(denoised).network
        assert (network.sha256, network.name, known_facts(image).network) == (bundle[1], "tiny", None)
        # Noise that is left in is no fault.
        assert known_facts(denoised).comments == ("denoised by the network tiny; not for diagnosis",)
        assert known_facts(denoised).history[:1] == known_facts(image).history
        assert known_facts(denoised).history[1].startswith("denoise(bundle=tiny")

    def test_the_network_sees_units_of_noise(self, plain, run_chain, bundle_file):
        measurement, items = plain
        bundle = bundle_file("return x.clamp(-3, 3)")
        image, denoised = run_chain(self.stages(bundle), measurement.header_xml(), items)
        limit = 3 * known_facts(image).noise_std
        truth = np.clip(pixels_of(image).real, -limit, limit) + 1j * np.clip(pixels_of(image).imag, -limit, limit)
        np.testing.assert_allclose(pixels_of(denoised), truth, rtol=0, atol=1e-3)

    def test_an_image_that_does_not_say_how_far_it_was_sampled_is_judged_all_the_same(
        self, plain, run_chain, bundle_file
    ):
        measurement, items = plain
        (image,) = run_chain(self.stages(("", ""))[:2], measurement.header_xml(), items)
        put_facts(image, replace(known_facts(image), k_max=np.nan))
        properties = self.stages(bundle_file("return x.clamp(-3, 3)"))[2][1]
        gadget = Denoise(Denoise.Parameters(**properties), read_scan(measurement.header_xml()))
        _, denoised = gadget.process([image])
        assert any("structure was changed" in comment for comment in known_facts(denoised).comments)

    @pytest.mark.parametrize(
        ("body", "changes", "words"),
        [
            ("return x", {"averages": [5, 150]}, "tiny: it was trained for 5 to 150 averages, the image has 2"),
            ("return x / (x.abs().max() - x.abs().max())", {}, None),
        ],
    )
    def test_where_it_cannot_be_trusted_the_plain_image_goes_on(
        self, body, changes, words, plain, run_chain, bundle_file, warnings
    ):
        measurement, items = plain
        (image,) = run_chain(self.stages(bundle_file(body, **changes)), measurement.header_xml(), items)
        assert known_facts(image).kind.value == "plain"
        (reason,) = known_facts(image).comments
        assert reason.startswith("not denoised: ") and (words or "not finite") in reason
        assert [words.split(": ")[0] for words in warnings()] == ["not denoised"]

    def test_without_repeats_the_noise_is_unknown(self, plain, run_chain, bundle_file):
        measurement, items = plain
        first = [item for item in items if item.idx.average == 0]
        (image,) = run_chain(self.stages(bundle_file()), measurement.header_xml(), first)
        incomplete, unknown = known_facts(image).comments
        assert "incomplete" in incomplete and "noise level" in unknown

    @pytest.mark.parametrize(
        ("changes", "properties", "words"),
        [
            ({"matrix": [64, 64]}, {}, "does not fit the scan: it was trained for matrix 64x64, the image is 80x80"),
            ({}, {"bundle_sha256": "0" * 64}, "checksum is"),
            ({"format": 2}, {}, "metadata.json, format"),
        ],
    )
    def test_a_bundle_that_does_not_fit_is_told_before_the_scan(
        self, changes, properties, words, plain, run_chain, bundle_file
    ):
        measurement, _ = plain

        def never():
            raise AssertionError("a sample was read")
            yield

        with pytest.raises(BundleError, match=words):
            run_chain(self.stages(bundle_file(**changes), **properties), measurement.header_xml(), never())

    def test_a_file_without_checksum_is_not_loaded(self, plain, run_chain, bundle_file):
        path, sha256 = bundle_file("return 2 * x")
        with pytest.raises(BundleError, match=f"set bundle_sha256 to {sha256}"):
            run_chain(["accumulate", "reconstruct", ("denoise", {"bundle": str(path)})], plain[0].header_xml(), [])


class TestQuantify:
    def run(self, run_chain, measured, properties, **options):
        measurement, items = measured(averages=1, noise=0.0, **options)
        return measurement, run_chain(
            ["accumulate", "reconstruct", ("quantify", properties)], measurement.header_xml(), items
        )

    def test_tubes_are_found_where_they_stand(self, measured, run_chain):
        measurement, (_, atsc) = self.run(run_chain, measured, {"tube_diameter": "20"})
        tubes = measurement.calf().tubes
        facts = known_facts(atsc).atsc
        found = np.array([tube.centre for tube in facts.tubes])
        assert np.linalg.norm(found - [tube.centre for tube in tubes], axis=1).max() < 1.0
        assert [tube.concentration for tube in facts.tubes] == list(TUBES)
        assert facts.line.r2 > 0.999

    def test_given_positions_find_the_same(self, measured, run_chain):
        measurement, (_, found) = self.run(run_chain, measured, {"tube_diameter": "20"})
        places = ", ".join(f"{value:.3f}" for tube in measurement.calf().tubes for value in tube.centre)
        _, (_, given) = self.run(run_chain, measured, {"tube_diameter": "20", "tube_positions": places})
        np.testing.assert_allclose(pixels_of(given), pixels_of(found), rtol=0, atol=0.3)

    @pytest.mark.parametrize(("shift", "diameter"), [(0, 20), (5, 20), (0, 30)])
    def test_positions_beside_the_tubes_are_told(self, shift, diameter, measured, run_chain, warnings):
        measurement, items = measured(averages=2, noise=4.0)
        places = ",".join(f"{x + shift:.2f},{y:.2f}" for x, y in (tube.centre for tube in measurement.calf().tubes))
        quantify = "quantify", {"tube_positions": places, "tube_diameter": str(diameter)}
        *_, atsc = run_chain(["accumulate", "reconstruct", quantify], measurement.header_xml(), items)
        told = any("check tube_positions, tube_diameter" in warning for warning in warnings())
        assert told == (shift > 0 or diameter > 20)
        assert told == ("check tube_positions" in " ".join(known_facts(atsc).comments))

    def test_tubes_outside_the_view_are_told(self, measured, run_chain, warnings):
        properties = {"tube_diameter": "20", "tube_positions": "500, 0, 1, 1, 2, 2, 3, 3, 4, 4"}
        _, (image,) = self.run(run_chain, measured, properties)
        assert "outside the field of view" in known_facts(image).comments[0]
        assert warnings() and warnings()[0].startswith("no aTSC map: ")

    def test_no_tubes_in_view_leaves_the_plain_image(self, run_chain, measured, changed):
        measurement, items = measured(averages=2, noise=4.0)
        drawn = np.random.default_rng(0).standard_normal((len(items), 1, items[0].number_of_samples, 2), np.float32)
        noise = [changed(a, part.view(np.complex64)[..., 0]) for a, part in zip(items, drawn, strict=True)]
        (image,) = run_chain(["accumulate", "reconstruct", "quantify"], measurement.header_xml(), noise)
        assert known_facts(image).kind.value == "plain" and known_facts(image).comments[0].startswith("no aTSC map: ")

    def test_maps_of_both_images_on_demand(self, plain, run_chain, bundle_file):
        measurement, items = plain
        path, sha256 = bundle_file()
        stages = ["accumulate", "reconstruct", ("denoise", {"bundle": str(path), "bundle_sha256": sha256})]
        for maps, kinds in {
            "best": ["plain", "denoised", "atsc"],
            "all": ["plain", "atsc", "denoised", "atsc"],
        }.items():
            out = run_chain([*stages, ("quantify", {"maps": maps})], measurement.header_xml(), items)
            assert [known_facts(image).kind.value for image in out] == kinds
        assert [known_facts(image).atsc.source.value for image in out[1::2]] == ["plain", "denoised"]

    @pytest.mark.parametrize(
        "properties",
        [
            {"concentrations": "10, nan, 50"},
            {"concentrations": "10, 20"},
            {"concentrations": "0.01, 0.05, 0.1"},
            {"tube_positions": "0,0,1,1,2,2,3,3,4,4"},
            {"tube_diameter": "inf"},
            {"tissue_t1": "0.03", "tube_t1": "0.055"},
            {"tissue_t1": "1400", "tube_t1": "2500"},
            {"tissue_t2_star": "0.003, 0.015", "tube_t2_star": "0.05"},
            {"tissue_t2_star": "15, 3", "tube_t2_star": "50"},
            {"tissue_t2_star": "3, 15", "tube_t2_star": "40, 5"},
        ],
    )
    def test_setups_that_cannot_be_are_told(self, properties, run_chain, plain):
        with pytest.raises(ChainError, match=r"chain\.xml:\d+: gadget 'quantify'"):
            run_chain(["accumulate", "reconstruct", ("quantify", properties)], plain[0].header_xml(), [])

    def test_a_label_map_that_is_not_there_is_told_before_the_scan(self, run_chain, plain):
        with pytest.raises(NadenoiseError, match="nowhere.nii"):
            run_chain(
                ["accumulate", "reconstruct", ("quantify", {"label_map": "nowhere.nii"})], plain[0].header_xml(), []
            )


class TestDeliver:
    def test_images_go_on_unchanged_and_lie_in_the_folder(self, run_chain, plain, tmp_path, smoothing_chain):
        measurement, items = plain
        before = run_chain(smoothing_chain[:-1], measurement.header_xml(), items)
        after = run_chain(
            [*smoothing_chain[:-1], ("deliver", {"folder": str(tmp_path / "dicom"), "laterality": "L"})],
            measurement.header_xml(), items,
        )  # fmt: skip
        assert [one.to_bytes() for one in before] == [one.to_bytes() for one in after]
        files = {path.name: pydicom.dcmread(path) for path in (tmp_path / "dicom").iterdir()}
        assert sorted(files) == ["atsc_denoised_002avg_001.dcm", "denoised_002avg_001.dcm", "nufft_002avg_001.dcm"]
        nufft, denoised, atsc = (files[name] for name in sorted(files, reverse=True))
        assert len({file.SeriesInstanceUID for file in files.values()}) == 3
        assert len({file.StudyInstanceUID for file in files.values()}) == 1
        assert all(file.PatientID == "calf-3" and file.Laterality == "L" for file in files.values())
        source = atsc.SourceImageSequence[0].ReferencedSOPInstanceUID
        assert source == denoised.SOPInstanceUID
        assert denoised.SourceImageSequence[0].ReferencedSOPInstanceUID == nufft.SOPInstanceUID
        slopes = {float(file.RescaleSlope) for file in (nufft, denoised)}
        assert len(slopes) == 1  # numbers of two images of one scan compare
        (slope,) = slopes
        shown = nufft.pixel_array * slope + float(nufft.RescaleIntercept)
        np.testing.assert_allclose(shown, np.abs(pixels_of(after[0])), rtol=0, atol=slope)

    def test_numbers_of_all_images_of_a_scan_compare(self, run_chain, plain, changed, tmp_path):
        measurement, items = plain
        dim = [changed(item, data=0.01 * item.data, slice=1) for item in items]
        stages = ["accumulate", "reconstruct", ("deliver", {"folder": str(tmp_path / "dicom")})]
        images = run_chain(stages, measurement.header_xml(), [*items, *dim])
        files = [pydicom.dcmread(path) for path in sorted((tmp_path / "dicom").iterdir())]
        assert len({float(file.RescaleSlope) for file in files}) == 1
        for image, file in zip(images, files, strict=True):
            slope = float(file.RescaleSlope)
            shown = file.pixel_array * slope + float(file.RescaleIntercept)
            np.testing.assert_allclose(shown, np.abs(pixels_of(image)), rtol=0, atol=slope)

    def test_no_folder_writes_nothing(self, run_chain, plain, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        run_chain(["accumulate", "reconstruct", "deliver"], plain[0].header_xml(), plain[1])
        assert [path.name for path in tmp_path.iterdir()] == ["chain.xml"]


def test_tubes_of_a_denoised_magnitude_are_found_in_the_complex_image(measured, run_chain, bundle_file):
    measurement, acquisitions = measured(seed=1, averages=30, noise=58.0)
    path, sha256 = bundle_file("return x", input={"channels": "magnitude", "normalisation": "range"})
    network = {"bundle": str(path), "bundle_sha256": sha256, "device": "cpu"}
    stages = ["accumulate", "reconstruct", ("denoise", network), ("quantify", {"tube_diameter": "20", "maps": "all"})]
    maps = [
        image
        for image in run_chain(stages, measurement.header_xml(), acquisitions)
        if known_facts(image).kind.value == "atsc"
    ]
    assert [known_facts(image).atsc.source.value for image in maps] == ["plain", "denoised"]
    places = [[(tube.concentration, *tube.centre) for tube in known_facts(image).atsc.tubes] for image in maps]
    assert places[0] == places[1]  # noise's floor hides weak tubes from a search in the magnitude
