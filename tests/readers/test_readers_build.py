"""A reader study as it is built: nothing in the reader's file tells method, case or patient; the key tells all."""

from __future__ import annotations

import base64
import json
import re
import shutil
import zlib
from io import BytesIO

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from nadenoise_core.errors import BadInputError, OutputError
from nadenoise_core.readers.build import build_study
from nadenoise_core.readers.cases import find_cases
from nadenoise_core.readers.formats import read_key

METHODS = ("reference", "nufft", "cs", "cnn")
PNG = re.compile(rb'"png":"([A-Za-z0-9+/=]+)"')


def chunks(png: bytes) -> list[str]:
    """Names of the chunks of a PNG (its standard, section 5.3); each with its checksum right."""
    place, names = 8, []
    while place < len(png):
        length = int.from_bytes(png[place : place + 4], "big")
        names.append(png[place + 4 : place + 8].decode())
        assert zlib.crc32(png[place + 4 : place + 8 + length]) == int.from_bytes(png[place + 8 + length :][:4], "big")
        place += 12 + length
    return names


def shown_study(page: bytes) -> dict:
    """The study in a page, read by a means of its own."""
    (text,) = re.findall(r'<script type="application/json" id="study">(.*?)</script>', page.decode(), re.S)
    return json.loads(text)


def pixels(image: dict) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(base64.b64decode(image["png"]))))


@pytest.fixture
def cases(reader_cases, tmp_path):
    return reader_cases(tmp_path / "cases")


@pytest.fixture
def dicom_case(tmp_path):
    """A case of real DICOM files of a patient with a name."""
    folder = tmp_path / "dicom" / "Hospital^Patient"
    folder.mkdir(parents=True)
    random = np.random.default_rng(1)
    for method in METHODS:
        dataset = pydicom.dcmread(get_testdata_file("MR_small.dcm"))
        dataset.PatientName, dataset.PatientID = "Secretname^Anna", "ID-4711"
        noise = random.integers(0, 50, dataset.pixel_array.shape)
        dataset.PixelData = (dataset.pixel_array + noise).astype(dataset.pixel_array.dtype).tobytes()
        dataset.save_as(folder / f"{method}.dcm")
    return folder


class TestAnonymity:
    def test_no_method_case_or_seed_in_the_page(self, cases, tmp_path):
        built = build_study(tmp_path / "study", find_cases([cases]), repeat=2, seed=918273645)
        page = built.page.read_bytes()
        plain = PNG.sub(b"", page).decode().lower()
        for word in (*METHODS, "volunteer", "30avg", "10avg", "918273645", ".nii", str(tmp_path).lower()):
            assert not re.search(rf"(?<![a-z]){re.escape(word)}(?![a-z])", plain), word
        assert set(json.loads(built.key_file.read_text())["methods"]) == set(METHODS)

    def test_the_page_is_the_only_file_beside_no_key(self, cases, tmp_path):
        built = build_study(tmp_path / "study", find_cases([cases]))
        assert [path.name for path in built.page.parent.iterdir()] == ["study.html"]
        assert built.page.parent != built.key_file.parent
        assert sorted(p.name for p in (tmp_path / "study").rglob("*") if p.is_file()) == ["key.json", "study.html"]

    def test_images_hold_pixels_and_nothing_else(self, cases, tmp_path):
        page = build_study(tmp_path / "study", find_cases([cases])).page.read_bytes()
        found = PNG.findall(page)
        assert len(found) == 4 * 4
        for encoded in found:
            assert set(chunks(base64.b64decode(encoded))) == {"IHDR", "IDAT", "IEND"}

    def test_no_dicom_tag_in_the_page(self, dicom_case, tmp_path):
        page = build_study(tmp_path / "study", find_cases([dicom_case])).page.read_bytes()
        everything = page + b"".join(base64.b64decode(encoded) for encoded in PNG.findall(page))
        words = {"Secretname", "4711", "DICM", "Hospital"}
        for element in pydicom.dcmread(dicom_case / "cnn.dcm"):
            if element.keyword != "PixelData" and len(str(element.value)) > 5:
                words.add(str(element.value))
        assert len(words) > 20
        for word in words:
            assert word.encode() not in everything, word

    def test_the_page_asks_for_nothing_from_outside(self, cases, tmp_path):
        plain = PNG.sub(b"", build_study(tmp_path / "study", find_cases([cases])).page.read_bytes()).decode()
        assert not re.search(r"https?://|@import|url\(|<link(?! rel=\"icon\" href=\"data:)|<script src|<iframe", plain)
        assert "default-src 'none'" in plain


class TestRandomOrder:
    def test_is_reproduced_by_the_seed_of_the_key(self, cases, tmp_path):
        first = build_study(tmp_path / "a", find_cases([cases]), repeat=1)
        again = build_study(tmp_path / "b", find_cases([cases]), repeat=1, seed=read_key(first.key_file).seed)
        other = build_study(tmp_path / "c", find_cases([cases]), repeat=1)
        assert first.page.read_bytes() == again.page.read_bytes()
        assert first.key_file.read_bytes() == again.key_file.read_bytes()
        assert first.key.study != other.key.study

    def test_puts_every_method_in_every_place(self, reader_cases, tmp_path):
        found = find_cases([reader_cases(tmp_path / "cases", subjects=10, averages=(10, 20, 30, 40))])
        key = build_study(tmp_path / "study", found, seed=11).key
        counts = {method: [0] * 4 for method in METHODS}
        for showing in key.showings:
            for place, method in enumerate(showing.images.values()):
                counts[method][place] += 1
        # 40 draws at 1/4: 10 expected; outside 2 to 21 has a chance below 0.1 % a cell.
        assert all(2 <= count <= 21 for row in counts.values() for count in row), counts
        assert [showing.case for showing in key.showings] != [case.name for case in found]

    def test_keeps_a_repeat_away_from_its_case(self, reader_cases, tmp_path):
        found = find_cases([reader_cases(tmp_path / "cases", subjects=10, averages=(10, 30))])
        key = build_study(tmp_path / "study", found, repeat=6, seed=2).key
        assert len(key.showings) == 26 and sum(showing.repeat for showing in key.showings) == 6
        places: dict[str, list[int]] = {}
        for place, showing in enumerate(key.showings):
            places.setdefault(showing.case, []).append(place)
            assert showing.repeat == (len(places[showing.case]) == 2)
        assert all(b - a >= 5 for a, b in (pair for pair in places.values() if len(pair) == 2))


class TestPixels:
    def test_every_image_is_drawn_on_the_window_of_its_reference(self, cases, tmp_path):
        built = build_study(tmp_path / "study", find_cases([cases]), seed=3)
        key = read_key(built.key_file)
        windows = {case.case: case.window for case in key.cases}
        for shown, keyed in zip(shown_study(built.page.read_bytes())["showings"], key.showings, strict=True):
            assert [image["id"] for image in shown["images"]] == list(keyed.images)
            values = {m: nibabel.load(cases / keyed.case / f"{m}.nii.gz").get_fdata()[..., 0].T for m in METHODS}
            low, high = np.percentile(values["reference"], (1, 99.5))
            assert windows[keyed.case] == pytest.approx((low, high))
            for image in shown["images"]:
                expected = np.clip((values[keyed.images[image["id"]]] - low) / (high - low), 0, 1) * 255
                assert np.abs(pixels(image) - expected).max() <= 0.5 + 1e-6

    def test_a_given_window_holds_for_all(self, cases, tmp_path):
        key = build_study(tmp_path / "study", find_cases([cases]), window=(0, 100)).key
        assert {case.window for case in key.cases} == {(0, 100)}

    def test_dicom_is_rescaled_and_an_inverted_display_undone(self, dicom_case, tmp_path):
        stored = pydicom.dcmread(dicom_case / "cnn.dcm")
        wanted = stored.pixel_array.astype(float)
        stored.RescaleSlope, stored.RescaleIntercept = "-2", "10"
        stored.PhotometricInterpretation = "MONOCHROME1"
        stored.PixelData = np.rint(wanted / 2).astype(stored.pixel_array.dtype).tobytes()
        stored.save_as(dicom_case / "cnn.dcm")  # -(-2 v / 2 + 10) = v - 10
        built = build_study(tmp_path / "study", find_cases([dicom_case]))
        ((low, high),) = [case.window for case in built.key.cases]
        (shown,) = shown_study(built.page.read_bytes())["showings"]
        (image,) = [one for one in shown["images"] if built.key.showings[0].images[one["id"]] == "cnn"]
        expected = np.clip((2 * np.rint(wanted / 2) - 10 - low) / (high - low), 0, 1) * 255
        assert np.abs(pixels(image) - expected).max() <= 0.5 + 1e-6

    def test_what_a_map_does_not_know_is_black(self, cases, tmp_path):
        path = cases / "Volunteer1" / "10avg" / "cnn.nii.gz"
        data = nibabel.load(path).get_fdata()
        data[30:50, 30:50] = np.nan
        nibabel.save(nibabel.Nifti1Image(data, np.eye(4)), path)
        built = build_study(tmp_path / "study", find_cases([cases / "Volunteer1" / "10avg"]))
        (shown,) = shown_study(built.page.read_bytes())["showings"]
        (image,) = [one for one in shown["images"] if built.key.showings[0].images[one["id"]] == "cnn"]
        assert (pixels(image)[30:50, 30:50] == 0).all()

    def test_complex_values_are_shown_as_magnitudes(self, cases, tmp_path):
        folder = cases / "Volunteer1" / "10avg"
        data = nibabel.load(folder / "cnn.nii.gz").get_fdata()
        nibabel.save(nibabel.Nifti1Image((data * np.exp(2j)).astype(np.complex64), np.eye(4)), folder / "cs.nii.gz")
        built = build_study(tmp_path / "study", find_cases([folder]))
        (shown,) = shown_study(built.page.read_bytes())["showings"]
        drawn = {built.key.showings[0].images[one["id"]]: pixels(one).astype(int) for one in shown["images"]}
        assert np.abs(drawn["cs"] - drawn["cnn"]).max() <= 1


class TestCases:
    def test_are_called_by_their_folders_and_averages_are_read_there(self, cases):
        found = {case.name: case.averages for case in find_cases([cases])}
        assert found == {f"Volunteer{n}/{a}avg": a for n in (1, 2) for a in (10, 30)}

    @pytest.mark.parametrize(
        ("name", "averages"),
        [("calf 30 averages", 30), ("averages-50_x", 50), ("v1_40avg_b", 40), ("v12", None), ("5avgerage", None)],
    )
    def test_averages_in_a_name(self, name, averages, cases, tmp_path):
        shutil.copytree(cases / "Volunteer1" / "10avg", tmp_path / "own" / name)
        assert [case.averages for case in find_cases([tmp_path / "own"])] == [averages]

    @pytest.mark.parametrize("kind", ["csv", "yaml"])
    def test_from_a_list(self, kind, cases, tmp_path):
        rows = [
            {"case": "first", "method": method.upper(), "file": f"Volunteer1/30avg/{method}.nii.gz", "averages": 30}
            for method in METHODS
        ]
        path = cases / f"list.{kind}"
        lines = ["case,method,file,averages", *(",".join(map(str, row.values())) for row in rows)]
        path.write_text("\n".join(lines) if kind == "csv" else json.dumps(rows))  # JSON is YAML
        (case,) = find_cases([path])
        assert (case.name, case.averages, tuple(case.files)) == ("first", 30, METHODS)
        assert build_study(tmp_path / "study", [case]).key.methods == METHODS

    def test_methods_are_chosen_and_ordered(self, cases):
        nibabel.save(nibabel.Nifti1Image(np.zeros((80, 80, 1)), np.eye(4)), cases / "Volunteer1/10avg/labels.nii.gz")
        with pytest.raises(BadInputError, match="has no image of labels.*--methods chooses"):
            find_cases([cases])
        assert {tuple(case.files) for case in find_cases([cases], ["Reference", "cnn"])} == {("reference", "cnn")}


class TestRefused:
    def refused(self, cases, tmp_path, *words, **options):
        with pytest.raises((BadInputError, OutputError)) as error:
            build_study(tmp_path / "study", find_cases([cases]), **options)
        for word in words:
            assert word in str(error.value)
        assert not (tmp_path / "study" / "reader").exists()

    def save(self, cases, data, affine=None):
        path = cases / "Volunteer1" / "10avg" / "cs.nii.gz"
        nibabel.save(nibabel.Nifti1Image(data, np.eye(4) if affine is None else affine), path)

    def test_images_in_other_units(self, cases, tmp_path):
        data = nibabel.load(cases / "Volunteer1" / "10avg" / "cs.nii.gz").get_fdata()
        self.save(cases, data / 1000)
        self.refused(cases, tmp_path, "cs.nii.gz: is blank on the window", "in the same units")

    def test_images_of_another_matrix(self, cases, tmp_path):
        self.save(cases, np.random.default_rng(0).random((64, 80, 1)) * 100)
        self.refused(cases, tmp_path, "cs.nii.gz: is 64x80, reference.nii.gz is 80x80")

    def test_images_that_lie_otherwise(self, cases, tmp_path):
        data = nibabel.load(cases / "Volunteer1" / "10avg" / "cs.nii.gz").get_fdata()
        self.save(cases, data, np.diag([-1, 1, 1, 1]))
        self.refused(cases, tmp_path, "lies otherwise in space than reference.nii.gz")

    def test_several_slices(self, cases, tmp_path):
        self.save(cases, np.ones((80, 80, 2)))
        self.refused(cases, tmp_path, "is 80x80x2 of float64; give one slice")

    def test_infinite_values(self, cases, tmp_path):
        self.save(cases, np.full((80, 80, 1), np.inf))
        self.refused(cases, tmp_path, "holds infinite values")

    def test_a_flat_reference(self, cases, tmp_path):
        self.refused(cases, tmp_path, "--reference is 'tv'; the methods", reference="tv")
        path = cases / "Volunteer1" / "10avg" / "reference.nii.gz"
        nibabel.save(nibabel.Nifti1Image(np.ones((80, 80, 1)), np.eye(4)), path)
        self.refused(cases, tmp_path, "has no contrast")

    @pytest.mark.parametrize("damage", [b"", b"no image at all" * 50])
    def test_damaged_files(self, damage, cases, dicom_case, tmp_path):
        (dicom_case / "cs.dcm").write_bytes(damage)
        self.refused(dicom_case, tmp_path, "cs.dcm: cannot be read")
        (cases / "Volunteer1" / "10avg" / "cs.nii.gz").write_bytes(damage)
        self.refused(cases, tmp_path, "cs.nii.gz: cannot be read as a NIfTI image")

    def test_dicom_cut_short(self, dicom_case, tmp_path):
        path = dicom_case / "cs.dcm"
        path.write_bytes(path.read_bytes()[:-3000])
        self.refused(dicom_case, tmp_path, "cs.dcm: cannot be read")

    def test_burned_in_text(self, dicom_case, tmp_path):
        dataset = pydicom.dcmread(dicom_case / "cs.dcm")
        dataset.BurnedInAnnotation = "YES"
        dataset.save_as(dicom_case / "cs.dcm")
        self.refused(dicom_case, tmp_path, "cs.dcm: has burned-in text, which may name the patient")

    def test_too_many_repeats(self, cases, tmp_path):
        self.refused(cases, tmp_path, "--repeat is 5; there are 4 cases", repeat=5)

    def test_a_window_that_is_none(self, cases, tmp_path):
        self.refused(cases, tmp_path, "--window is 5,5", window=(5, 5))

    def test_a_case_without_a_method(self, cases, tmp_path):
        (cases / "Volunteer2" / "30avg" / "nufft.nii.gz").unlink()
        self.refused(cases, tmp_path, "case Volunteer2/30avg: has no image of nufft")

    def test_a_method_twice(self, cases, tmp_path):
        folder = cases / "Volunteer2" / "30avg"
        shutil.copy(folder / "cs.nii.gz", folder / "CS.nii.gz")
        self.refused(cases, tmp_path, "case Volunteer2/30avg has cs twice")

    def test_a_case_twice(self, cases):
        with pytest.raises(BadInputError, match="case 10avg is there already"):
            find_cases([cases / "Volunteer1", cases / "Volunteer2"])

    def test_nothing_to_read(self, tmp_path):
        (tmp_path / "empty").mkdir()
        self.refused(tmp_path / "empty", tmp_path, "no case in")
        self.refused(tmp_path / "none", tmp_path, "no such folder or file")
        (tmp_path / "list.txt").write_text("case")
        self.refused(tmp_path / "list.txt", tmp_path, "is neither a folder of cases nor a list")

    @pytest.mark.parametrize(
        ("name", "text", "words"),
        [
            ("a.csv", "case,method\nx,cs\n", "a.csv:2: has no file"),
            ("a.csv", "case,method,file,noise\nx,cs,f,1\n", "a.csv:2: unknown column noise"),
            ("a.csv", "case,method,file,averages\nx,cs,f,-3\n", "a.csv:2: averages is '-3'"),
            ("a.csv", "case,method,file\nx,cs,f,g\n", "a.csv:2: unknown column None"),
            ("a.yaml", "case: x\n", "must be a list of entries"),
            ("a.yaml", "- {case: x", "is not YAML"),
            ("a.yaml", "- {case: x, method: cs}\n", "a.yaml: entry 1: has no file"),
        ],
    )
    def test_a_list_that_is_wrong(self, name, text, words, tmp_path):
        (tmp_path / name).write_text(text)
        with pytest.raises(BadInputError) as error:
            find_cases([tmp_path / name])
        assert words in str(error.value)

    def test_a_folder_with_a_study(self, cases, tmp_path):
        built = build_study(tmp_path / "study", find_cases([cases]))
        before = built.key_file.read_bytes()
        with pytest.raises(OutputError, match="exists already; build the study into another folder"):
            build_study(tmp_path / "study", find_cases([cases]))
        assert built.key_file.read_bytes() == before
