"""A replay: what lies in the folder of results, and that its numbers are true."""

from __future__ import annotations

import json
import math
import platform
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from importlib.metadata import EntryPoint
from pathlib import Path

import ismrmrd
import numpy as np
import pytest
import SimpleITK

from nadenoise_core.chain.files import find_chain, read_chain
from nadenoise_core.denoise import bundle
from nadenoise_core.errors import ChainError, OutputError, RawDataError
from nadenoise_core.mrd.image import known_facts, pixels_of
from nadenoise_core.mrd.rawfile import write_raw_file
from nadenoise_core.phantom import Label, labels
from nadenoise_core.replay.fingerprint import origin_of
from nadenoise_core.replay.replay import replay
from nadenoise_core.replay.results import folder_in_progress
from nadenoise_core.simulate.measurement import VirtualMeasurement

PIXEL = 180.0 / 80


@pytest.fixture
def full_chain(chain_file, smoothing_chain):
    return read_chain(chain_file(smoothing_chain))


@pytest.fixture
def plain_chain(chain_file):
    return read_chain(chain_file(["accumulate", "reconstruct", "deliver"]))


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class TestFolder:
    def test_holds_images_dicom_report_and_picture(self, scan_file, full_chain, tmp_path):
        result = replay(scan_file(averages=3), full_chain, tmp_path / "out")
        assert result.folder == tmp_path / "out" / "scan"
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["scan"]
        assert sorted(files_in(result.folder)) == [
            "dicom/atsc_denoised_003avg_001.dcm", "dicom/denoised_003avg_001.dcm", "dicom/nufft_003avg_001.dcm",
            "images.h5", "nifti/atsc_denoised_003avg.nii.gz", "nifti/denoised_003avg.nii.gz",
            "nifti/nufft_003avg.nii.gz", "overview.png", "report.html", "report.json",
        ]  # fmt: skip
        assert (result.folder / "overview.png").read_bytes().startswith(b"\x89PNG")
        assert json.loads((result.folder / "report.json").read_text()) == result.report

    def test_images_are_read_by_the_ismrmrd_library(self, scan_file, full_chain, tmp_path):
        options = {"position": (10.0, -20.0, 30.0), "angles": (20.0, 0.0, 0.0)}
        raw = scan_file(averages=3, **options)
        folder = replay(raw, full_chain, tmp_path).folder
        with closing(ismrmrd.Dataset(str(folder / "images.h5"), "dataset", create_if_needed=False)) as dataset:
            assert (
                dataset.read_xml_header()
                == VirtualMeasurement(**{"seed": 3, "noise": 4.0, "averages": 3, **options}).header_xml().encode()
            )
            assert sorted(name for name in dataset.list() if name.startswith("image")) == [
                "image_1", "image_2", "image_3"
            ]  # fmt: skip
            images = [dataset.read_image(f"image_{series}", 0) for series in (1, 2, 3)]
        assert [known_facts(image).kind.value for image in images] == ["plain", "denoised", "atsc"]
        cosine, sine = math.cos(math.radians(20)), math.sin(math.radians(20))
        for image in images:
            head = image.getHead()
            assert image.data.shape == (1, 1, 80, 80)
            assert list(head.position) == [10, -20, 30]
            assert list(head.field_of_view) == [180, 180, 30]
            np.testing.assert_allclose(list(head.read_dir), [1, 0, 0], atol=1e-6)
            np.testing.assert_allclose(list(head.phase_dir), [0, cosine, sine], atol=1e-6)
            np.testing.assert_allclose(list(head.slice_dir), [0, -sine, cosine], atol=1e-6)
        signal = np.abs(pixels_of(images[1])).max()
        assert 50 < signal < 300  # mmol/L: the virtual scanner's unit

    def test_two_replays_give_the_same_dicom(self, scan_file, full_chain, tmp_path):
        first, second = (replay(scan_file(averages=3), full_chain, tmp_path / name).folder for name in ("a", "b"))
        assert files_in(first / "dicom") == files_in(second / "dicom")
        assert len(files_in(first / "dicom")) == 3

    def test_progress_counts_the_acquisitions(self, scan_file, plain_chain, tmp_path):
        shown = []
        replay(scan_file(averages=3), plain_chain, tmp_path, progress=lambda *numbers: shown.append(numbers))
        assert shown == [(number, 120) for number in range(1, 121)]


@pytest.fixture(scope="module")
def paper(scan_file, tmp_path_factory):
    """The default chain over twenty averages with the paper's noise: (report, truth)."""
    options = {"averages": 20, "noise": 58.0, "seed": 11}
    chain = read_chain(find_chain("sodium_calf"))
    report = replay(scan_file(**options), chain, tmp_path_factory.mktemp("out")).report
    return report, VirtualMeasurement(**options)


class TestReport:
    def test_noise_is_that_of_the_theory(self, paper):
        report, _ = paper
        (nufft,) = [image for image in report["images"] if image["kind"] == "plain"]
        assert nufft["averages"] == 20
        assert nufft["noise_std"] == pytest.approx(58 / math.sqrt(20), rel=0.02)

    def test_calibration_finds_the_tubes(self, paper):
        report, measurement = paper
        (line,) = [image["calibration"] for image in report["images"] if image["kind"] == "atsc"]
        tubes = measurement.calf().tubes
        assert [tube["concentration"] for tube in line["tubes"]] == [10, 25, 50, 75, 100]
        for found, true in zip(line["tubes"], tubes, strict=True):
            assert math.dist((found["x"], found["y"]), true.centre) < 4
            assert found["measured"] == pytest.approx(true.concentration, abs=12)
            assert found["measured"] == pytest.approx((found["signal"] - line["intercept"]) / line["slope"])
        assert line["slope"] == pytest.approx(1, abs=0.1)  # the virtual scanner's signal is in mmol/L
        assert 0.95 < line["r2"] <= 1 and line["standard_error"] > 0

    def test_says_what_was_run_on_what(self, paper):
        report, _ = paper
        assert report["raw"]["acquisitions"] == 800 and len(report["raw"]["sha256"]) == 64
        assert [stage["gadget"] for stage in report["chain"]["stages"]] == [
            "prewhiten", "accumulate", "reconstruct", "denoise", "quantify", "deliver"
        ]  # fmt: skip
        assert list(report["milliseconds"]) == ["source", *(stage["gadget"] for stage in report["chain"]["stages"])]
        assert all(time >= 0 for time in report["milliseconds"].values())
        assert {"nadenoise", "python", "numpy", "finufft", "ismrmrd"} <= set(report["versions"])
        json.loads(json.dumps(report, allow_nan=False))

    def test_is_strict_json_when_noise_is_unknown(self, scan_file, chain_file, tmp_path):
        chain = read_chain(chain_file(["accumulate", "reconstruct", ("quantify", {"tube_diameter": "20"})]))
        report = replay(scan_file(averages=1), chain, tmp_path).report
        json.dumps(report, allow_nan=False)
        assert report["images"][0]["noise_std"] is None

    def test_warnings_are_recorded_whatever_the_logging(self, scan_file, bundle_file, chain_file, tmp_path, caplog):
        path, sha256 = bundle_file("return x", averages=[100, 150])
        stages = ["accumulate", "reconstruct", ("denoise", {"bundle": str(path), "bundle_sha256": sha256})]
        caplog.set_level("CRITICAL")
        report = replay(scan_file(averages=3), read_chain(chain_file(stages)), tmp_path).report
        (warning,) = report["warnings"]
        assert warning.startswith("denoise: not denoised: ") and "100 to 150 averages" in warning
        assert report["images"][0]["comments"] == [warning.removeprefix("denoise: ")]

    def test_names_the_bundle(self, scan_file, full_chain, smoothing_chain, tmp_path):
        report = replay(scan_file(averages=3), full_chain, tmp_path).report
        _, denoised, atsc = report["images"]
        expected = {"name": "tiny", "version": "1.0", "sha256": dict([smoothing_chain[2]])["denoise"]["bundle_sha256"]}
        assert denoised["bundle"] == atsc["bundle"] == expected
        assert atsc["source"] == "denoised"


class TestFailure:
    @pytest.fixture
    def broken(self, measured, changed, tmp_path):
        """A raw file that goes wrong after the image of its first average is done."""
        measurement, items = measured(averages=3)
        data = items[100].data.copy()
        data[0, 5] = np.nan
        path = tmp_path / "scan.h5"
        write_raw_file(path, measurement.header_xml(), [*items[:100], changed(items[100], data), *items[101:]])
        return path

    @pytest.fixture
    def early_chain(self, chain_file):
        return read_chain(chain_file([("accumulate", {"emit_at": "1, 3"}), "reconstruct", "deliver"]))

    def test_in_the_middle_leaves_nothing(self, broken, early_chain, tmp_path):
        with pytest.raises(RawDataError) as caught:
            replay(broken, early_chain, tmp_path / "out")
        assert str(caught.value).startswith(f"{broken}: acquisition 100 ")
        assert list((tmp_path / "out").iterdir()) == []

    def test_keeps_earlier_results(self, broken, early_chain, scan_file, tmp_path):
        replay(scan_file(averages=3), early_chain, tmp_path / "out")
        before = files_in(tmp_path / "out")
        with pytest.raises(RawDataError):
            replay(broken, early_chain, tmp_path / "out", overwrite=True)
        assert files_in(tmp_path / "out") == before

    def test_of_the_picture_leaves_nothing(self, scan_file, plain_chain, tmp_path, monkeypatch):
        def full_disc(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("nadenoise_core.replay.replay.draw_overview", full_disc)
        with pytest.raises(OutputError, match=r"cannot write .*/out/scan: No space left on device; check the folder"):
            replay(scan_file(averages=3), plain_chain, tmp_path / "out")
        assert list((tmp_path / "out").iterdir()) == []

    def test_existing_results_are_not_touched(self, scan_file, plain_chain, tmp_path):
        (tmp_path / "scan").mkdir()
        (tmp_path / "scan" / "mine.txt").write_text("mine")
        with pytest.raises(OutputError, match="exists already, and not from this raw file, chain and version; choose"):
            replay(scan_file(averages=3), plain_chain, tmp_path)
        assert files_in(tmp_path / "scan") == {"mine.txt": b"mine"}
        with pytest.raises(OutputError, match="scan: is not replaced, since it holds mine.txt, which may be yours"):
            replay(scan_file(averages=3), plain_chain, tmp_path, overwrite=True)
        assert files_in(tmp_path / "scan") == {"mine.txt": b"mine"}

    def test_earlier_results_are_replaced_but_nothing_that_was_put_beside_them(self, scan_file, plain_chain, tmp_path):
        folder = replay(scan_file(averages=3), plain_chain, tmp_path).folder
        (folder / "report.html").unlink()
        replay(scan_file(averages=3), plain_chain, tmp_path, overwrite=True)
        assert (folder / "report.html").exists()
        (folder / "labels.nii.gz").write_text("drawn")
        with pytest.raises(OutputError, match="holds labels.nii.gz, which may be yours"):
            replay(scan_file(averages=3), plain_chain, tmp_path, overwrite=True)
        assert "labels.nii.gz" in files_in(folder) and "report.html" in files_in(folder)
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []

    def test_a_chain_for_the_server_is_refused(self, scan_file, chain_file, tmp_path):
        path = chain_file(["accumulate"])
        foreign = "<stream><gadget><dll>gadgetron_mricore</dll><classname>NoiseAdjustGadget</classname></gadget>"
        path.write_text(path.read_text().replace("<stream>", foreign))
        with pytest.raises(ChainError, match="NoiseAdjustGadget"):
            replay(scan_file(averages=3), read_chain(path), tmp_path / "out")
        assert not (tmp_path / "out").exists()


class TestAgain:
    """What is there and would be made again the same is left alone; all else is not taken for it."""

    @pytest.fixture
    def raw(self, scan_file, tmp_path):
        return shutil.copy(scan_file(averages=1), tmp_path / "calf.h5")

    def test_the_same_is_not_done_twice(self, raw, plain_chain, tmp_path):
        first = replay(raw, plain_chain, tmp_path / "out")
        times = {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")}
        again = replay(raw, plain_chain, tmp_path / "out")
        assert (first.done_before, again.done_before) == (False, True) and again.report == first.report
        assert times == {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")}
        assert not replay(raw, plain_chain, tmp_path / "out", overwrite=True).done_before

    def test_other_raw_data_or_another_chain_are_not_taken_for_it(self, raw, scan_file, plain_chain, tmp_path):
        replay(raw, plain_chain, tmp_path / "out")
        with pytest.raises(OutputError, match="exists already, and not from this raw file"):
            replay(raw, plain_chain.with_property("reconstruct", "method", "least_squares"), tmp_path / "out")
        shutil.copy(scan_file(averages=2), raw)
        with pytest.raises(OutputError, match="exists already, and not from this raw file"):
            replay(raw, plain_chain, tmp_path / "out")

    def test_a_file_of_the_chain_counts_by_what_is_in_it(self, chain_file, tmp_path):
        chain = chain_file(["accumulate", "reconstruct", ("quantify", {"label_map": "tubes.nii.gz"})])
        (tmp_path / "tubes.nii.gz").write_bytes(b"one")
        first = origin_of(chain, read_chain(chain), None)
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        for path in (chain, tmp_path / "tubes.nii.gz"):
            shutil.copy(path, elsewhere / path.name)
        assert origin_of(chain, read_chain(elsewhere / chain.name), None) == first
        (tmp_path / "tubes.nii.gz").write_bytes(b"two")
        other = origin_of(chain, read_chain(chain), None)
        assert other.raw_sha256 == first.raw_sha256 and other.fingerprint != first.fingerprint

    def test_a_bundle_of_an_installed_package_counts(self, plain_chain, chain_file, tmp_path, monkeypatch):
        (tmp_path / "site_bundles").mkdir()
        (tmp_path / "site_bundles" / "__init__.py").touch()
        monkeypatch.syspath_prepend(tmp_path)
        offered = [EntryPoint("site", "site_bundles", bundle.GROUP)]
        monkeypatch.setattr(bundle, "entry_points", lambda group: offered)
        raw = chain_file(["accumulate"])
        found = set()
        for checksum in ("a" * 64, "b" * 64):
            (tmp_path / "site_bundles" / "SHA256SUMS").write_text(f"{checksum}  site.pt\n")
            found.add(origin_of(raw, plain_chain, None).fingerprint)
        assert len(found) == 2

    def test_what_a_killed_process_left_is_taken_away(self, raw, plain_chain, tmp_path):
        with subprocess.Popen([sys.executable, "-c", ""]) as other:
            other.wait()
        room = tmp_path / "out" / ".calf.part"
        for owner in (f"{other.pid}@{platform.node()}@0", f"{other.pid}@{platform.node()}@1.old", "1@elsewhere@2"):
            (room / owner / "dicom").mkdir(parents=True)
        replay(raw, plain_chain, tmp_path / "out")
        assert [path.name for path in room.iterdir()] == ["1@elsewhere@2"]  # which may live

    def test_two_processes_may_make_the_same_folder(self, tmp_path):
        final = tmp_path / "calf"

        def make(number):
            with folder_in_progress(final) as folder:
                (folder / "number").write_text(str(number))
                barrier.wait()
            return number

        barrier = threading.Barrier(4)
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(make, range(4))) == [0, 1, 2, 3]
        assert (final / "number").read_text() in "0123" and [path.name for path in tmp_path.iterdir()] == ["calf"]


class TestTruth:
    @pytest.mark.parametrize("seed", [1, 7, 11])
    def test_without_noise_concentrations_are_true(self, seed, scan_file, tmp_path):
        options = {"seed": seed, "averages": 2, "noise": 0.0}
        measurement = VirtualMeasurement(**options)
        result = replay(scan_file(**options), read_chain(find_chain("sodium_calf")), tmp_path)
        (atsc,) = [image for image in result.report["images"] if image["kind"] == "atsc"]
        for tube in atsc["calibration"]["tubes"]:
            assert tube["measured"] == pytest.approx(tube["concentration"], rel=0.01)
        with closing(ismrmrd.Dataset(str(result.folder / "images.h5"), "dataset", create_if_needed=False)) as dataset:
            values = pixels_of(dataset.read_image("image_3", 0))
        muscle = labels(measurement.calf(), 80, 180.0, margin=PIXEL) == Label.MUSCLE
        assert values[muscle].mean() == pytest.approx(measurement.truth()["muscle"], abs=0.2)

    @pytest.mark.parametrize(
        ("position", "angles"),
        [
            ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
            ((31.0, -47.5, 112.25), (25.0, -15.0, 40.0)),
            ((-60.0, 20.0, -300.0), (90.0, 0.0, -90.0)),
        ],
    )
    def test_tubes_lie_where_they_are_in_the_patient(self, position, angles, scan_file, tmp_path):
        options = {"seed": 5, "averages": 2, "noise": 0.0, "position": position, "angles": angles}
        truth = json.loads(json.dumps(VirtualMeasurement(**options).truth()))
        folder = replay(scan_file(**options), read_chain(find_chain("sodium_calf")), tmp_path).folder
        (path,) = (folder / "dicom").glob("atsc_*.dcm")
        image = SimpleITK.ReadImage(str(path))
        read, phase = in_plane_directions(truth["measurement"]["angles"])
        for tube in truth["tubes"]:
            if tube["concentration"] < 50:
                continue
            x, y = tube["centre"]
            expected = np.array(truth["measurement"]["position"]) + x * read + y * phase
            found = centroid(image, expected, radius=13.0)
            assert math.dist(found, expected) < 0.5
            places, values = pixels_and_places(image)
            core = values[np.linalg.norm(places - expected, axis=-1) < 7.0]
            assert core.mean() == pytest.approx(tube["concentration"], rel=0.05)  # mmol/L, ringing included


def in_plane_directions(angles) -> tuple[np.ndarray, np.ndarray]:
    """The images of x and y under rotations about the fixed axes x, then y, then z."""
    directions = np.eye(3)[:2]
    for axis, angle in enumerate(np.radians(angles)):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        turned = directions.copy()
        turned[:, first] = np.cos(angle) * directions[:, first] - np.sin(angle) * directions[:, second]
        turned[:, second] = np.sin(angle) * directions[:, first] + np.cos(angle) * directions[:, second]
        directions = turned
    return directions[0], directions[1]


def pixels_and_places(image: SimpleITK.Image) -> tuple[np.ndarray, np.ndarray]:
    """(rows, columns, 3) places in LPS mm and (rows, columns) values, as ITK sees them."""
    columns, rows, _ = image.GetSize()
    places = [[image.TransformIndexToPhysicalPoint((c, r, 0)) for c in range(columns)] for r in range(rows)]
    return np.array(places), SimpleITK.GetArrayFromImage(image)[0].astype(float)


def centroid(image: SimpleITK.Image, start: np.ndarray, radius: float) -> np.ndarray:
    """Centre of mass, LPS mm, of what is within a radius of it; the search starts at a point."""
    places, values = pixels_and_places(image)
    centre = np.asarray(start, float)
    for _ in range(10):
        near = np.linalg.norm(places - centre, axis=-1) < radius
        centre = (places[near] * values[near][:, None]).sum(axis=0) / values[near].sum()
    return centre
