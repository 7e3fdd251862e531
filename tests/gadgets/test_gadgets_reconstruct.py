"""The gadget `reconstruct` in a chain: its methods, live images, field maps, and what it says of them."""

from __future__ import annotations

import logging

import ismrmrd
import nibabel
import numpy as np
import pytest

from nadenoise_core.errors import BadInputError, ChainError, RawDataError
from nadenoise_core.mrd.image import known_facts, pixels_of
from nadenoise_core.phantom import band_limited
from nadenoise_core.quantify.geometry import nifti_affine
from nadenoise_core.recon.reconstruction import Reconstruction

AFFINE = nifti_affine((0.0, 0.0, 0.0), np.eye(3), (2.25, 2.25, 30.0), (80, 80))  # of the virtual scans

CS = {"method": "total_variation"}
PIXELS = np.stack(np.meshgrid(np.arange(80) - 40, np.arange(80) - 40), axis=-1)
DISC = np.hypot(PIXELS[..., 0], PIXELS[..., 1]) < 40


@pytest.fixture
def warnings(caplog):
    caplog.set_level(logging.WARNING, logger="nadenoise")
    return lambda: [record.getMessage() for record in caplog.records if record.name.startswith("nadenoise.")]


@pytest.fixture
def images_of(measured, run_chain):
    """The images of a scan."""

    def images(reconstruct, accumulate=None, items=None, more=(), **options):
        measurement, acquisitions = measured(**options)
        stages = [("accumulate", accumulate or {}), ("reconstruct", {"device": "cpu", **reconstruct}), *more]
        return run_chain(stages, measurement.header_xml(), acquisitions if items is None else items)

    return images


@pytest.fixture
def starts(monkeypatch):
    """Of every image that is reconstructed, whether it started from the solution of another."""
    seen: list[bool] = []

    class Watched(Reconstruction):
        def __call__(self, kspace, noise_std, start=None):
            seen.append(start is not None)
            return super().__call__(kspace, noise_std, start)

    monkeypatch.setattr("nadenoise_core.recon.reconstruction.Reconstruction", Watched)
    return seen


@pytest.fixture
def nifti(tmp_path):
    """A map on the image's matrix, (rows, columns), as a file."""

    def write(values: np.ndarray, name: str = "b0.nii") -> str:
        nibabel.save(nibabel.Nifti1Image(np.asarray(values, np.float32).T[..., None], AFFINE), tmp_path / name)
        return str(tmp_path / name)

    return write


def error_of(image: ismrmrd.Image, measurement) -> float:
    """Root mean square error of the magnitude within the disc, mmol/L."""
    truth = band_limited(measurement.calf(), 80, 180.0, k_max=known_facts(image).k_max)
    return float(np.sqrt(np.mean((np.abs(pixels_of(image)) - np.abs(truth))[DISC] ** 2)))


def relative(image: ismrmrd.Image, reference: ismrmrd.Image, region=...) -> float:
    a, b = pixels_of(image)[region], pixels_of(reference)[region]
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


class TestMethods:
    @pytest.mark.parametrize(
        ("method", "name"), [("gridding", "NUFFT"), ("least_squares", "LS"), ("total_variation", "CS")]
    )
    def test_the_words_say_how_an_image_was_made(self, method, name, images_of):
        (image,) = images_of({"method": method, "tv_weight": "2.5"}, averages=8)
        assert known_facts(image).method.label == name and known_facts(image).kind.value == "plain"
        assert known_facts(image).description == f"23Na {name} 8 avg"
        assert known_facts(image).averages == 8
        assert known_facts(image).k_max == pytest.approx(0.5 / 2.25, rel=0.02)
        assert np.isnan(known_facts(image).noise_std) == (method == "total_variation")
        made = known_facts(image).history[-1]
        for setting in (f"method={method}", "density=pipe_menon", "tv_weight=2.5", "tv_norm=isotropic"):
            assert setting in made
        assert pixels_of(image).shape == (80, 80) and pixels_of(image).dtype == np.complex64

    def test_images_are_those_of_the_object(self, images_of, measured):
        measurement = measured(averages=30, noise=58.0)[0]
        errors = {
            method: error_of(*images_of({"method": method}, averages=30, noise=58.0), measurement)
            for method in ("gridding", "least_squares", "total_variation")
        }
        assert errors["least_squares"] == pytest.approx(errors["gridding"], rel=0.05)
        assert errors["total_variation"] < 0.5 * errors["gridding"]

    def test_least_squares_say_what_lies_beyond_the_disc(self, images_of, warnings):
        (image,) = images_of({"method": "least_squares"}, averages=2, tube_radius=92.0)
        (remark,) = known_facts(image).comments
        assert remark == "there is signal beyond the disc of the field of view" and warnings() == [remark]

    @pytest.mark.parametrize("properties", [{"tv_norm": "anisotropic"}, {"tv_refinements": "0", "tv_weight": "1.2"}])
    def test_settings_of_total_variation_reach_it(self, properties, images_of):
        (usual,), (other,) = (images_of({**CS, **given}, averages=8, noise=58.0) for given in ({}, properties))
        assert 0.01 < relative(other, usual) < 0.5

    @pytest.mark.parametrize(
        "properties",
        [{"method": "magic"}, {"tv_weight": "0"}, {"tv_norm": "l2"}, {"tv_refinements": "-1"}, {"device": "gpu"}],
    )
    def test_what_is_no_setting_is_told(self, properties, images_of):
        with pytest.raises(ChainError, match=r"chain\.xml:\d+: gadget 'reconstruct'"):
            images_of(properties)

    def test_one_average_is_gridded_and_says_why(self, images_of):
        (image,) = images_of(CS, averages=1)
        assert known_facts(image).method.label == "NUFFT" and known_facts(image).description == "23Na NUFFT 1 avg"
        assert "total variation needs the noise level" in known_facts(image).comments[0]

    def test_networks_do_not_know_what_total_variation_leaves(self, images_of, bundle_file, warnings):
        path, sha256 = bundle_file("return x")
        network = ("denoise", {"bundle": str(path), "bundle_sha256": sha256, "device": "cpu"})
        (image,) = images_of(CS, averages=2, more=[network])
        (comment,) = known_facts(image).comments
        assert known_facts(image).kind.value == "plain" and not known_facts(image).denoised_beside
        assert comment.startswith("not denoised: total variation") and "gridding" in comment
        assert warnings() == [comment]

    def test_networks_take_least_squares(self, images_of, bundle_file):
        path, sha256 = bundle_file("return x")
        network = ("denoise", {"bundle": str(path), "bundle_sha256": sha256, "device": "cpu"})
        out = images_of({"method": "least_squares"}, averages=2, more=[network])
        assert [known_facts(image).kind.value for image in out] == ["plain", "denoised"]


class TestLiveImages:
    LEVELS = (3, 6, 12)

    def test_each_starts_from_the_one_before_and_ends_where_it_would_have(self, images_of, starts):
        live = images_of(CS, {"emit_at": "3, 6, 12"}, averages=12, noise=58.0)
        assert starts == [False, True, True]
        starts.clear()
        for averages, image in zip(self.LEVELS, live, strict=True):
            assert known_facts(image).averages == averages
            (cold,) = images_of(CS, {"emit_at": str(averages)}, averages=12, noise=58.0)[:1]
            assert relative(image, cold) < 0.01
            assert relative(image, live[0]) > 0.1 or image is live[0]
        assert starts[0] is False

    @pytest.mark.parametrize("method", ["gridding", "least_squares"])
    def test_other_methods_know_no_start(self, method, images_of, starts):
        images_of({"method": method}, {"emit_at": "2, 4"}, averages=4, noise=58.0)
        assert starts == [False, False]

    @pytest.mark.parametrize("counter", ["slice", "contrast", "repetition", "phase"])
    def test_images_of_two_places_share_no_start(self, counter, images_of, measured, changed, starts):
        _, items = measured(averages=4, noise=58.0)
        _, others = measured(averages=4, noise=58.0, seed=9)
        mixed = [
            item for pair in zip(items, others, strict=True) for item in (pair[0], changed(pair[1], **{counter: 1}))
        ]
        together = images_of(CS, {"emit_at": "2, 4"}, items=mixed, averages=4, noise=58.0)
        assert starts == [False, False, True, True]
        alone = images_of(CS, {"emit_at": "2, 4"}, averages=4, noise=58.0)
        alone_too = images_of(CS, {"emit_at": "2, 4"}, averages=4, noise=58.0, seed=9)
        for image, expected in zip(together, (alone[0], alone_too[0], alone[1], alone_too[1]), strict=True):
            np.testing.assert_array_equal(pixels_of(image), pixels_of(expected))

    def test_another_trajectory_starts_anew(self, images_of, measured, changed, starts):
        """A repetition that is turned by 5 degrees."""
        _, items = measured(averages=2, noise=58.0)
        angle = np.radians(5)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
        turned = [changed(item, trajectory=item.traj @ turn.T, repetition=1) for item in items]
        plain, rotated = images_of({}, items=[*items, *turned], averages=2, noise=58.0)
        assert starts == [False, False]
        assert relative(rotated, plain) > 0.05


class TestFieldMap:
    SCAN = {"off_resonance": 40.0, "frequency_offset": -10.0, "averages": 2, "noise": 0.2}

    def true_map(self, measured) -> np.ndarray:
        return measured(**self.SCAN)[0].field_map().at(2.25 * PIXELS)

    @pytest.mark.parametrize("method", ["gridding", "least_squares", "total_variation"])
    def test_it_takes_off_resonance_out(self, method, images_of, measured, nifti):
        measurement = measured(**self.SCAN)[0]
        path = nifti(self.true_map(measured))
        (forgotten,), (corrected,) = (
            images_of({"method": method, "b0_map": given}, **self.SCAN) for given in ("", path)
        )
        (resonant,) = images_of({"method": method}, averages=2, noise=0.2)
        assert relative(forgotten, resonant, DISC) > 0.1
        assert relative(corrected, resonant, DISC) < 0.15 * relative(forgotten, resonant, DISC)
        # Total variation of nearly no noise is not right in the corners, off resonance or on.
        assert error_of(corrected, measurement) < 1.1 * error_of(resonant, measurement) + 0.1

    def test_the_words_say_so_and_not_where_the_file_lay(self, images_of, measured, nifti):
        """The folder may have the patient's name."""
        path = nifti(self.true_map(measured), "Doe^Jane.nii")
        (forgotten,), (corrected,) = (images_of({"b0_map": given}, **self.SCAN) for given in ("", path))
        assert known_facts(corrected).comments == ("corrected by b0_map",)
        assert known_facts(forgotten).comments == ()
        assert "Doe" not in ismrmrd.Meta.serialize(corrected.meta)

    @pytest.mark.parametrize(
        ("spoil", "words"),
        [
            (lambda field: np.where(PIXELS[..., 0] > 38, np.nan, field), "b0.nii: 80 values are NaN or infinite; fill"),
            (lambda field: np.where(PIXELS[..., 0] > 38, np.inf, field), "80 values are NaN or infinite"),
            (lambda field: 4096 + 1000 * field, "Hz; convert the map to Hz"),
        ],
    )
    def test_what_is_no_map_is_told_before_the_scan(self, spoil, words, images_of, measured, nifti):
        def never():
            raise AssertionError("a sample was read")
            yield

        path = nifti(spoil(self.true_map(measured)))
        with pytest.raises(BadInputError, match=words):
            images_of({"b0_map": path}, items=never())

    def test_a_map_that_does_not_cover_the_image_is_told_with_the_distance(self, images_of, measured, nifti):
        with pytest.raises(
            BadInputError, match="does not cover the image: 19% of its pixels lie up to 34.9 mm outside"
        ):
            images_of({"b0_map": nifti(self.true_map(measured)[:, :64])})

    def test_a_file_that_is_not_there_is_told(self, images_of):
        with pytest.raises(BadInputError, match="nowhere.nii"):
            images_of({"b0_map": "nowhere.nii"})

    def test_readouts_without_a_dwell_time_are_told(self, images_of, measured, changed, nifti):
        _, items = measured(**self.SCAN)
        timeless = [changed(item, sample_time_us=0.0) for item in items]
        with pytest.raises(RawDataError, match="sample_time_us.*b0_map"):
            images_of({"b0_map": nifti(self.true_map(measured))}, items=timeless, **self.SCAN)
        (image,) = images_of({}, items=timeless, **self.SCAN)
        assert known_facts(image).method.label == "NUFFT"


class TestCoils:
    @pytest.mark.parametrize("method", ["gridding", "least_squares", "total_variation"])
    def test_correlated_coils_without_a_noise_scan(self, method, images_of, measured, changed, run_chain):
        """The repeats whiten them: nearly the image that prewhitening by a noise scan gives, on its own scale."""
        measurement, items = measured(coils=4, averages=30, noise=58.0)
        mixing = np.array([[3, 0, 0, 0], [1, 2, 0, 0], [0.5j, 1, 1, 0], [0, 0, 1j, 5]])
        mixed = [changed(item, (mixing @ item.data).astype(np.complex64)) for item in items]
        stages = [("accumulate", {}), ("reconstruct", {"method": method, "device": "cpu"})]
        (by_repeats,) = run_chain(stages, measurement.header_xml(), mixed[1:])
        (by_noise_scan,) = run_chain(["prewhiten", *stages], measurement.header_xml(), mixed)
        a, b = pixels_of(by_repeats), pixels_of(by_noise_scan)
        a, b = a / np.linalg.norm(a[DISC]), b / np.linalg.norm(b[DISC])
        assert np.linalg.norm((np.abs(a) - np.abs(b))[DISC]) < 0.1
        if method != "total_variation":
            scales = [
                known_facts(image).noise_std / np.linalg.norm(pixels_of(image)) for image in (by_repeats, by_noise_scan)
            ]
            assert scales[0] == pytest.approx(scales[1], rel=0.03)


@pytest.mark.gpu
@pytest.mark.parametrize("method", ["gridding", "least_squares", "total_variation"])
def test_gpu_and_cpu_agree(method, images_of) -> None:
    from nadenoise_core.device import choose_device

    try:
        choose_device("cuda")
    except BadInputError as error:
        pytest.skip(str(error))
    on_cpu, on_gpu = (
        images_of({"method": method, "device": device}, {"emit_at": "4, 8"}, averages=8, noise=58.0)
        for device in ("cpu", "cuda")
    )
    for image, other in zip(on_cpu, on_gpu, strict=True):
        assert relative(other, image) < (1e-2 if method == "total_variation" else 1e-3)


@pytest.mark.parametrize(("intercept", "warned"), [("zero", False), ("fitted", True)])
def test_a_fitted_intercept_after_total_variation_is_warned_of(intercept, warned, images_of):
    quantify = ("quantify", {"tube_diameter": "20", "intercept": intercept})
    atsc = images_of(CS, averages=8, noise=58.0, more=[quantify])[-1]
    assert known_facts(atsc).kind.value == "atsc"
    assert any("fitted intercept" in words for words in known_facts(atsc).comments) == warned
