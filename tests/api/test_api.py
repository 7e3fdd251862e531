"""The Python API: the same images as the command line's, in as few lines; and what is wrong in a sentence."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys

import nibabel
import numpy as np
import pytest

import nadenoise_core as nd
from nadenoise_core.api.table import Table
from nadenoise_core.errors import BadInputError, ChainError, OutputError, RawDataError

STAGES = ["prewhiten", "accumulate", "reconstruct", ("quantify", {"tube_diameter": 20, "maps": "all"})]


@pytest.fixture(scope="module")
def raw(scan_file):
    return scan_file(averages=30, noise=10.0)


@pytest.fixture(scope="module")
def images(raw):
    return nd.quantify(nd.reconstruct(raw), tube_diameter=20)


@pytest.fixture(scope="module")
def results(raw, tmp_path_factory):
    return nd.replay(raw, nd.Chain(STAGES), tmp_path_factory.mktemp("results"))


def test_importing_it_imports_nothing_else():
    code = (
        "import sys, nadenoise_core as nd\n"
        "names = [name for name in dir(nd) if not name.startswith('_')]\n"
        "print(json.dumps([names, sorted({name.partition('.')[0] for name in sys.modules})]))"
    )
    ended = subprocess.run([sys.executable, "-c", f"import json\n{code}"], capture_output=True, text=True, check=True)
    names, modules = json.loads(ended.stdout)
    assert not {"numpy", "torch", "pydantic", "ismrmrd", "scipy", "rich", "lxml"} & set(modules)
    assert {"load", "save", "average", "reconstruct", "denoise", "quantify", "replay", "read_images", "Chain"} <= set(
        names
    )


@pytest.mark.parametrize("name", ["denoise", "measure", "quantify", "replay", "simulate"])
def test_a_package_of_the_same_name_is_called_as_the_function(name, tmp_path):
    package = importlib.import_module(f"nadenoise_core.{name}")
    assert package is getattr(nd, name) and callable(package) and package.__path__
    with pytest.raises((BadInputError, RawDataError, TypeError)):
        package(tmp_path / "nothing.h5", unknown=3)


def test_a_replay_goes_into_a_bids_dataset_too(scan_file, tmp_path):
    raw = shutil.copy(scan_file(averages=1), tmp_path / "sub-07_calf.h5")
    again = {"chain": nd.Chain(["accumulate", "reconstruct"]), "out": tmp_path / "out", "bids": tmp_path / "dataset"}
    for _ in range(2):  # what was done before stays
        results = nd.replay(raw, **again)
    (image,) = (tmp_path / "dataset").rglob("sub-07/anat/*.nii.gz")
    expected = np.abs(results.images.plain.array)
    np.testing.assert_array_equal(nibabel.load(image).get_fdata()[..., 0].T, expected)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    with pytest.raises(OutputError, match="is no BIDS dataset"):
        nd.replay(raw, again["chain"], tmp_path / "never", bids=tmp_path / "mine")
    assert not (tmp_path / "never").exists()


def test_what_there_is_not_is_an_error():
    with pytest.raises(AttributeError, match="'nadenoise_core' has no attribute 'recontruct'"):
        nd.recontruct  # noqa: B018


def test_steps_give_what_a_replay_gives(images, results):
    assert [image.kind for image in images] == [image.kind for image in results.images] == ["plain", "atsc"]
    for ours, replayed in zip(images, results.images, strict=True):
        np.testing.assert_array_equal(ours.array, replayed.array)
        assert ours.facts.averages == replayed.facts.averages == 30
    report = {tube["concentration"]: tube["measured"] for tube in results.report["images"][1]["calibration"]["tubes"]}
    assert {row["concentration"]: row["measured"] for row in images.tubes} == pytest.approx(report, rel=1e-6)


def test_steps_leave_what_they_are_given_as_it_is(raw):
    plain = nd.reconstruct(nd.average(raw, emit_at=(30,)))
    before, facts = plain[0].array.copy(), plain[0].facts
    denoised = nd.denoise(plain)
    nd.quantify(denoised, tube_diameter=20)
    np.testing.assert_array_equal(plain[0].array, before)
    assert plain[0].facts == facts
    assert [image.kind for image in nd.quantify(plain, tube_diameter=20)] == ["plain", "atsc"]
    assert [image.kind for image in nd.quantify(denoised, tube_diameter=20)] == ["plain", "denoised", "atsc"]


def test_a_raw_file_as_arrays(raw, measured):
    measurement, acquisitions = measured(averages=30, noise=10.0)
    loaded = nd.load(str(raw))
    assert loaded.kspace.shape == (30, 1, 20, 510) and loaded.trajectory.shape == (20, 510, 2)
    assert loaded.matrix == (80, 80) and loaded.field_of_view == (180.0, 180.0)
    first = sum(a.data for a in acquisitions if (a.idx.average, a.idx.kspace_encode_step_1) == (0, 3))
    np.testing.assert_allclose(loaded.kspace[0, :, 3], first, rtol=1e-6)
    averaged = nd.average(loaded, emit_at=[10, 30])
    assert averaged.averages == 30 and len(averaged.items) == 2
    # A single coil is left as it is: the mean of the averages is the mean of the arrays.
    expected = loaded.kspace.mean(axis=0)
    np.testing.assert_allclose(averaged.kspace, expected, atol=1e-4 * np.abs(expected).max())


class TestSave:
    def test_arrays_become_a_file_that_gives_the_same_image(self, raw, tmp_path):
        loaded = nd.load(raw)
        turned = ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0))
        saved = nd.save(
            str(tmp_path / "a.h5"), loaded.kspace, loaded.trajectory, matrix=(80, 80), field_of_view=(180, 180),
            position=(1, 2, 3), directions=turned, dwell_time=14.8, echo_time=0.5,
        )  # fmt: skip
        assert saved.averages == loaded.averages == 30
        np.testing.assert_array_equal(saved.kspace, loaded.kspace)
        np.testing.assert_allclose(saved.trajectory, loaded.trajectory, atol=1e-7)
        assert saved.scan.sequence.echo_times == (0.5,) and "<TE>0.5</TE>" in str(saved.header_xml)
        ours, of_file = nd.reconstruct(saved)[0], nd.reconstruct(loaded)[0]
        np.testing.assert_allclose(ours.array, of_file.array, atol=1e-5 * np.abs(of_file.array).max())
        assert ours.facts.noise_std == pytest.approx(of_file.facts.noise_std, rel=0.02)
        assert list(ours.item.position) == [1, 2, 3] and list(ours.item.slice_dir) == [1, 0, 0]

    def test_a_point_that_two_coils_see_lies_where_it_should(self, tmp_path):
        """Its k-space is a plane wave."""
        trajectory = nd.load(nd.simulate(tmp_path / "s.h5", averages=1)).trajectory  # cycles/pixel
        phase = np.exp(-2j * np.pi * (trajectory @ np.array([12.0, -7.0])))  # columns, rows
        weights = np.array([1.0, 0.5j])
        saved = nd.save(tmp_path / "a.h5", weights[:, None, None] * phase[None, None], trajectory,
                        matrix=(80, 80), field_of_view=(160, 160))  # fmt: skip
        image = nd.reconstruct(saved)[0]
        assert saved.kspace.shape == (1, 2, *phase.shape) and image.pixel == (2.0, 2.0)
        assert np.unravel_index(np.abs(image.array).argmax(), (80, 80)) == (40 - 7, 40 + 12)

    @pytest.mark.parametrize(
        ("kspace", "trajectory", "settings", "words"),
        [
            (np.zeros((2, 1, 3, 5)), np.zeros((3, 4, 2)), {}, "do not go together"),
            (np.zeros((1, 3, 5)), np.zeros((3, 5, 2)), {}, "averages, coils, interleaves, samples"),
            (np.full((2, 1, 3, 5), np.nan), np.zeros((3, 5, 2)), {}, "finite"),
            (np.zeros((2, 1, 3, 5)), np.zeros((3, 5, 2)), {"ehco_time": 1}, "ehco_time"),
        ],
    )
    def test_what_is_wrong_is_told(self, kspace, trajectory, settings, words, tmp_path):
        with pytest.raises(BadInputError, match=words):
            nd.save(tmp_path / "a.h5", kspace, trajectory, matrix=(80, 80), field_of_view=(180, 180), **settings)
        assert not list(tmp_path.iterdir())

    def test_a_file_that_is_there_is_left(self, tmp_path):
        (tmp_path / "a.h5").write_text("mine")
        with pytest.raises(OutputError, match="exists already"):
            nd.save(tmp_path / "a.h5", np.zeros((1, 1, 3, 5)), np.zeros((3, 5, 2)), matrix=(8, 8), field_of_view=(9, 9))
        assert (tmp_path / "a.h5").read_text() == "mine"


def test_steps_denoise_as_the_chain_that_ships_does(raw):
    ours = nd.denoise(nd.reconstruct(raw))
    np.testing.assert_array_equal(ours.denoised.array, nd.Chain.named("sodium_calf").run(raw).denoised.array)
    assert not any(image.facts.surroundings for image in ours)


def test_an_image_from_an_array_is_denoised_as_that_of_the_file(raw):
    plain = nd.reconstruct(raw, surroundings=0)
    facts = plain[0].facts
    ours = nd.Images.from_array(plain[0].array, averages=30, noise_std=facts.noise_std)
    np.testing.assert_allclose(nd.denoise(ours).denoised.array, nd.denoise(plain).denoised.array, rtol=1e-5)
    for wrong in (np.zeros((2, 3, 4)), np.full((80, 80), np.nan), np.array([["a"]])):
        with pytest.raises(BadInputError, match="is no image"):
            nd.Images.from_array(wrong, averages=1)


class TestResults:
    def test_nifti_lies_where_the_slice_lies(self, scan_file, tmp_path):
        images = nd.Chain(STAGES[:3]).run(scan_file(averages=2, position=(10.0, -20.0, 30.0)))
        (path,) = images.to_nifti(tmp_path / "new" / "nifti")
        stored = nibabel.load(path)
        np.testing.assert_allclose(stored.affine @ [40, 40, 0, 1], [-10, 20, 30, 1], atol=1e-4)
        np.testing.assert_allclose(stored.dataobj[:, :, 0].T, np.abs(images[0].array), rtol=1e-6)

    def test_are_shown_in_a_notebook_and_as_a_figure(self, images, results, tmp_path):
        for shown in (images, images[0], results):
            assert shown._repr_html_().startswith('<img src="data:image/png;base64,')
        images.plot().savefig(tmp_path / "a.png")
        assert (tmp_path / "a.png").stat().st_size > 10_000
        assert "23Na NUFFT 30 avg" in repr(images) and "80 x 80" in repr(images[0])

    def test_are_read_again_from_file_or_folder(self, results):
        again = nd.read_images(str(results.folder / "images.h5"))
        for one, other in zip(again, nd.read_images(results.folder), strict=True):
            np.testing.assert_array_equal(one.array, other.array)
        assert nd.quantify(results.folder, tube_diameter=20).tubes == results.tubes

    def test_what_is_no_file_of_images_is_told(self, tmp_path):
        (tmp_path / "images.h5").write_bytes(b"no")
        for path, words in ((tmp_path, "no file of ISMRMRD images"), (tmp_path / "x.h5", "no such file")):
            with pytest.raises(RawDataError, match=words):
                nd.read_images(path)

    def test_a_kind_that_is_not_there_is_told(self, images):
        with pytest.raises(BadInputError, match="there is no denoised image; there are: plain, atsc"):
            images.denoised  # noqa: B018

    def test_a_folder_that_cannot_be_made_is_told(self, images, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(OutputError, match="cannot write"):
            images.to_nifti(tmp_path / "file" / "nifti")


class TestChain:
    def test_written_and_read_it_is_the_same(self, raw, tmp_path):
        chain = nd.Chain(["accumulate", ("reconstruct", {"density": "jacobian", "tv_refinements": 2})])
        read = nd.Chain.named(chain.save(str(tmp_path / "mine.xml")))
        assert read.stages.describe() == chain.stages.describe() and read.stages.nodes == 1
        np.testing.assert_array_equal(read.run(str(raw))[0].array, chain.run(raw)[0].array)

    def test_properties_are_set_in_a_copy(self):
        chain = nd.Chain.named("sodium_calf")
        changed = chain.with_properties("quantify", concentrations=(10, 50, 100), maps="all")
        assert changed.stages.describe()[4]["concentrations"] == [10, 50, 100]
        assert chain.stages.describe()[4]["concentrations"] == [10, 25, 50, 75, 100]

    @pytest.mark.parametrize(
        ("stages", "words"),
        [
            ([], "no stages"),
            (["acumulate"], "did you mean 'accumulate'"),
            (["reconstruct"], "takes ReconData"),
            (["accumulate", ("reconstruct", {"methd": 1})], "no property methd; did you mean 'method'"),
            ([("accumulate", {"emit_at": (5, 3)})], "larger than the one before"),
            ([("accumulate", {"correct_half_pulse_phase": None})], "allowed is true or false"),
        ],
    )
    def test_what_is_wrong_is_told(self, stages, words):
        with pytest.raises(ChainError, match=words):
            nd.Chain(stages)


class TestMeasure:
    QUIET = {"seed": 5, "averages": 4, "noise": 4.0}

    def test_regions_of_several_scans_are_one_table(self, scan_file, measured, label_file, names_file):
        raw, labels = scan_file(**self.QUIET), label_file(measured(**self.QUIET)[0])
        table = nd.measure([str(raw), raw], str(labels), names=names_file, averages=[4, 2], methods=["fit", "mean"])
        calf = measured(**self.QUIET)[0].calf()
        muscle = [row for row in table if row["region"] == "muscle" and row["method"] == "fit"]
        assert [row["averages"] for row in muscle] == [2, 4, 2, 4]
        for row in muscle:
            assert abs(row["atsc"] - calf.muscle) < 3 * row["standard_error"] + 0.3
            assert row["low"] < row["atsc"] < row["high"]
        assert str(table).splitlines()[0].startswith("scan  averages  region")

    @pytest.mark.parametrize(("options", "words"), [({"pose": "bent"}, "bent"), ({"methods": ["guess"]}, "guess")])
    def test_what_is_wrong_is_told(self, options, words, raw, tmp_path):
        with pytest.raises(BadInputError, match=words):
            nd.measure(raw, tmp_path / "no.nii", **options)
        with pytest.raises(BadInputError, match="no such label map"):
            nd.measure(raw, tmp_path / "no.nii")


def test_simulate_writes_what_the_settings_say(tmp_path):
    path = nd.simulate(str(tmp_path / "s.h5"), averages=1, seed=4, truth=tmp_path / "t.json")
    assert nd.load(path).kspace.shape[0] == 1
    assert json.loads((tmp_path / "t.json").read_text())["measurement"]["seed"] == 4
    with pytest.raises(OutputError, match="exists already"):
        nd.simulate(path, averages=1)
    with pytest.raises(BadInputError, match="avrages"):
        nd.simulate(tmp_path / "u.h5", avrages=1)


def test_a_table_is_aligned_and_escaped():
    table = Table([{"name": "<a>", "value": 1.0}, {"name": "bcd", "value": float("nan")}])
    assert str(table).splitlines() == ["name  value", "<a>   1", "bcd"]
    assert "<td>&lt;a&gt;</td>" in table._repr_html_() and str(Table()) == ""
