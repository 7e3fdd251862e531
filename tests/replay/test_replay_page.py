"""The page of a replay: what stands first, what is drawn, and what is said."""

from __future__ import annotations

import re
from dataclasses import replace
from math import nan

import ismrmrd
import nibabel
import numpy as np
import pytest

from nadenoise_core.chain.files import read_chain
from nadenoise_core.denoise.guard import Residual
from nadenoise_core.mrd.attachments import attach
from nadenoise_core.mrd.facts import AtscFacts, ImageFacts, Kind, Network
from nadenoise_core.mrd.image import image_beside, known_facts, new_image
from nadenoise_core.quantify.calibration import Line
from nadenoise_core.quantify.geometry import nifti_affine
from nadenoise_core.quantify.precision import Progress
from nadenoise_core.quantify.readings import RegionMethod, RegionReading, Tube
from nadenoise_core.replay.page import replay_page
from nadenoise_core.replay.panels import orientation_marks, panels_of
from nadenoise_core.replay.places import Place, places_of
from nadenoise_core.replay.replay import replay
from nadenoise_core.replay.svg import calibration_plot, drawing
from nadenoise_core.replay.verdicts import Level, Verdict, on_averages, on_network, on_precision, on_region

LINE = Line(2.0, 10.0, 0.99)
TUBES = tuple(Tube(c, (c, -c), 20.0, 2 * c + 10, 1.0, 36.0) for c in (10.0, 50.0, 100.0))
PLAIN = ImageFacts(Kind.PLAIN, 30, noise_std=2.0, k_max=0.2)
DENOISED = replace(PLAIN, kind=Kind.DENOISED, network=Network("tiny", "1", "ab"), residual=Residual(0.95, 0, 1, 3))
MUSCLE = RegionReading(1, 22.0, RegionMethod.MEAN, 5.0, 100.0, 1.0, "muscle")
MAP = AtscFacts(Kind.PLAIN, LINE, 3.0, TUBES, (MUSCLE,))


def image(facts: ImageFacts, pixels=None, **counters: int) -> ismrmrd.Image:
    header = ismrmrd.AcquisitionHeader()
    header.read_dir[:], header.phase_dir[:], header.slice_dir[:] = (1, 0, 0), (0, 1, 0), (0, 0, 1)
    for name, value in counters.items():
        setattr(header.idx, name, value)
    if pixels is None:
        pixels = np.ones((4, 6), np.float32 if facts.kind is Kind.ATSC else np.complex64)
    return new_image(pixels, header, (180.0, 120.0, 30.0), 1, facts)


def place_of(*facts: ImageFacts) -> Place:
    (place,) = places_of(image(one) for one in facts)
    return place


class TestPlaces:
    def test_are_named_by_what_differs(self):
        images = [image(PLAIN, slice=s, contrast=c, repetition=3) for s in (0, 2) for c in (0, 1)]
        names = [place.name for place in places_of(images)]
        assert names == ["slice 1, echo 1", "slice 1, echo 2", "slice 3, echo 1", "slice 3, echo 2"]
        assert [place.name for place in places_of(images[:1])] == [""]

    def test_images_of_others_have_none(self):
        assert places_of([ismrmrd.Image(image(PLAIN).getHead())]) == []

    def test_hold_the_images_of_the_most_averages(self):
        few = [replace(facts, averages=5) for facts in (PLAIN, DENOISED)]
        maps = [replace(PLAIN, kind=Kind.ATSC, atsc=MAP), replace(DENOISED, kind=Kind.ATSC, atsc=MAP)]
        place = place_of(*few, PLAIN, maps[0], DENOISED, maps[1])
        assert place.averages == 30 and len(place.maps) == 2
        assert {kind: known_facts(one) for kind, one in place.images.items()} == {
            Kind.PLAIN: PLAIN,
            Kind.DENOISED: DENOISED,
            Kind.ATSC: maps[1],
        }


class TestMarks:
    @pytest.mark.parametrize("seed", range(4))
    def test_are_those_of_nibabel(self, seed):
        """NIfTI's axes (RAS, "S" and "I" for head and foot) of the nearest right-angled directions."""
        random = np.random.default_rng(seed)
        directions = np.eye(3)[random.permutation(3)] * random.choice([-1, 1], 3)[:, None]
        affine = np.eye(4)
        affine[:3, :3] = np.diag([-1, -1, 1]) @ directions.T
        right, bottom = (
            "H" if code == "S" else "F" if code == "I" else code for code in nibabel.aff2axcodes(affine)[:2]
        )
        assert orientation_marks(directions[0], directions[1])[1::2] == (right, bottom)

    def test_opposite_edges_are_opposite(self):
        assert orientation_marks((1, 0, 0), (0, 1, 0)) == ("R", "L", "A", "P")
        assert orientation_marks((0.0, 0.8, 0.6), (1, 0, 0)) == ("AF", "PH", "R", "L")


class TestPanels:
    def test_what_the_network_took_is_in_units_of_noise(self):
        random = np.random.default_rng(5)
        noise = (2.0 * random.standard_normal((200, 200, 2))).astype(np.float32).view(np.complex64)[..., 0]
        signal = np.full((200, 200), 50 * np.exp(0.7j), np.complex64)
        plain = image(PLAIN, signal + noise)
        place = Place("", 30, {Kind.PLAIN: plain, Kind.DENOISED: image_beside(plain, signal, DENOISED)})
        shown = {panel.title: panel for panel in panels_of(place)}
        taken = shown["taken away by the network"].values
        assert taken.std() == pytest.approx(1, rel=0.02) and abs(taken.mean()) < 0.02
        assert list(shown) == ["as reconstructed", "denoised", "taken away by the network"]

    def test_outlines_run_around_regions(self):
        labels = np.zeros((4, 6), np.int64)
        labels[1:3, 2:5] = 4
        atsc = image(replace(PLAIN, kind=Kind.ATSC, atsc=MAP), np.ones((4, 6), np.float32))
        attach(atsc, labels=labels)
        (panel,) = panels_of(Place("", 30, {Kind.ATSC: atsc}, [MAP]))
        drawn = drawing(panel)
        ((path, _),) = drawn.outlines
        assert path.count("M") == 10  # edges of pixels around a rectangle of 3 x 2
        corners = np.array([[float(x) for x in point.split()] for point in re.findall(r"M([^L]*)", path)])
        assert corners.min(axis=0).tolist() == [-45.0, -45.0]  # pixels of 30 mm; (2, 3) is the centre
        assert (drawn.left, drawn.top, drawn.width, drawn.height) == (-105.0, -75.0, 180.0, 120.0)
        assert drawn.tubes[0] == (10.0, -10.0, 20.0)

    def test_tubes_on_the_line_are_drawn_on_the_line(self):
        plot = calibration_plot(MAP)
        x0, y0, x1, y1 = plot.line
        for x, y, error, _ in plot.points:
            assert y == pytest.approx(y0 + (x - x0) / (x1 - x0) * (y1 - y0)) and error > 0
        assert plot.points[-1][:2] == pytest.approx((x1, y1))


class TestVerdicts:
    @pytest.mark.parametrize(
        ("averages", "level"),
        [
            (150, None),
            (20, None),
            (19, Level.CAUTION),
            (11, Level.CAUTION),
            (10, Level.BAD),
            (6, Level.BAD),
            (5, Level.BAD),
        ],
    )
    @pytest.mark.parametrize("denoised", [False, True])
    def test_few_averages_are_cautioned_of(self, averages, level, denoised):
        verdict = on_averages(averages, denoised)
        assert (verdict and verdict.level) == level
        assert verdict is None or verdict.text.startswith(f"Made of {averages} averages.")

    def test_five_averages_are_worse_than_ten(self):
        of = {averages: on_averages(averages, True).text for averages in (5, 10, 15)}
        assert "in 7" in of[5] and "in 20" in of[10] and "in 20" not in of[15]

    def test_a_network_is_judged_by_what_it_took(self):
        assert on_network(PLAIN, DENOISED).level is Level.GOOD
        blurred = replace(DENOISED, residual=Residual(0.95, 0, 2.0, 3))
        verdict = on_network(PLAIN, blurred)
        assert verdict.level is Level.BAD and "edges were blurred" in verdict.text
        assert on_network(PLAIN, replace(DENOISED, residual=None)).level is Level.NOTE
        reason = on_network(PLAIN.commented("not denoised: no bundle fits"), None)
        assert (reason.level, reason.text) == (Level.NOTE, "not denoised: no bundle fits")

    def test_precision_says_what_would_do(self):
        near, far = on_precision((Progress("muscle", 0.95, 1.0, 28), Progress("skin", 4.0, 2.0, 120)))
        assert near == Verdict(Level.GOOD, "muscle: ± 0.95 mmol/L by noise, as wanted (± 1).")
        assert far.level is Level.NOTE and far.text.endswith("± 2 wanted: 120 averages would do.")

    def test_a_region_that_is_not_explained_says_so(self):
        assert on_region(MUSCLE) is None
        assert on_region(replace(MUSCLE, residual=1.0, residual_limit=1.2)).level is Level.GOOD
        assert on_region(replace(MUSCLE, residual=1.3, residual_limit=1.2)).level is Level.BAD


REPORT = {
    "raw": {"file": "scan.h5", "acquisitions": 40, "sha256": "ab" * 32},
    "versions": {"nadenoise": "1"},
    "chain": {"name": "chain", "stages": []},
    "scan": {
        **{"date": "2026-01-31", "repetition_times_ms": [100.0], "echo_times_ms": [0.23, 3.5], "flip_angles_deg": []},
        **{"field_strength_T": None, "matrix": [4, 6], "field_of_view_mm": [120.0, 180.0], "slice_thickness_mm": 30.0},
        "virtual": False,
    },
    "images": [],
    "milliseconds": {},
    "warnings": [],
}


class TestPage:
    def page(self, *regions: RegionReading, files=()) -> str:
        atsc = replace(MAP, regions=regions)
        return replay_page(REPORT, [place_of(PLAIN, replace(PLAIN, kind=Kind.ATSC, atsc=atsc))], files)

    def text(self, page: str) -> str:
        body = re.sub(r"(?s)<style>.*?</style>|<svg.*?</svg>|<[^>]*>", " ", page)
        return re.sub(r"\s+", " ", body)

    def test_regions_with_intervals_come_first(self):
        page = self.page(MUSCLE)
        assert "muscle 22.0 ± 2.0 mmol/L 95 %: 20.0 to 24.0 mean of pixels, edges blurred" in self.text(page)
        assert page.index("muscle") < page.index("<svg")

    def test_the_best_method_speaks_and_the_others_are_folded_away(self):
        fitted = replace(MUSCLE, atsc=21.0, method=RegionMethod.FIT, residual=1.3, residual_limit=1.2, label_error=nan)
        page = self.page(MUSCLE, fitted)
        first, folded = page.split("The same regions by other methods")
        assert "21.0" in first and "fit to the raw data" in first and "not explained" in first
        assert "22.0" not in first and "22.0" in folded

    def test_an_unknown_error_is_not_made_up(self):
        assert "22.0 mmol/L error not known" in self.text(self.page(replace(MUSCLE, standard_error=nan)))

    def test_says_how_was_measured(self):
        text = self.text(self.page())
        for words in (
            "date 2026-01-31",
            "TR 100.0 ms",
            "TE 0.23, 3.50 ms",
            "flip angle not told",
            "6 × 4, 180 × 120 mm",
        ):
            assert words in text
        assert "No regions were read" in text

    def test_links_lead_to_the_files(self):
        page = self.page(files=["images.h5", "dicom/a b.dcm"])
        assert re.findall(r'<a href="([^"]*)"', page) == ["images.h5", "dicom/a%20b.dcm"]

    def test_text_of_a_scan_cannot_become_markup(self):
        assert "<script>" not in self.page(replace(MUSCLE, name="<script>alert(1)</script>"))

    def test_pictures_of_very_many_places_are_left_out(self):
        places = [place for s in range(18) for place in [Place(f"slice {s}", 30, {Kind.PLAIN: image(PLAIN)})]]
        assert replay_page(REPORT, places, ()).count("<svg") == 16


def test_labels_are_drawn_before_and_after_their_pose(scan_file, measured, label_file, chain_file, tmp_path):
    scan = {"seed": 5, "averages": 4, "noise": 4.0}
    drawn = nibabel.load(label_file(measured(**scan)[0]))
    affine = drawn.affine.copy()
    affine[0, 3] -= 4.5  # two pixels along the columns
    nibabel.save(nibabel.Nifti1Image(np.asarray(drawn.dataobj), affine), tmp_path / "moved.nii")
    given = {"tube_diameter": "20", "roi_map": str(tmp_path / "moved.nii"), "pose": "shift"}
    chain = read_chain(chain_file(["accumulate", "reconstruct", ("quantify", given), "deliver"]))
    result = replay(scan_file(**scan), chain, tmp_path / "out")
    page = (result.folder / "report.html").read_text()
    before, *after = re.findall(r'<path d="(M[^"]*)" fill="none" stroke="(#[0-9a-f]*)" stroke-width', page)
    assert before[1] == "#a8a8a8" and len(after) == 5

    def middle(path: str) -> float:
        return float(np.mean([float(x) for x in re.findall(r"M(-?[0-9.]+) ", path)]))

    assert middle("".join(path for path, _ in after)) == pytest.approx(middle(before[0]) - 4.5, abs=1)


def test_a_replay_links_and_draws_everything(scan_file, chain_file, smoothing_chain, tmp_path):
    labels = np.zeros((80, 80), np.int16)
    labels[30:50, 30:50], labels[20, 20] = 1, 5
    affine = nifti_affine((0.0, 0.0, 0.0), np.eye(3), (2.25, 2.25, 30.0), (80, 80))
    nibabel.save(nibabel.Nifti1Image(labels.T[..., None], affine), tmp_path / "labels.nii.gz")
    given = {"tube_diameter": "20", "roi_map": str(tmp_path / "labels.nii.gz"), "regions": "denoised mean"}
    quantify = ("quantify", given)
    chain = read_chain(chain_file([*smoothing_chain[:3], quantify, "deliver"]))
    result = replay(scan_file(averages=3), chain, tmp_path / "out")
    page = (result.folder / "report.html").read_text()
    links = re.findall(r'<a href="([^"]*)"', page)
    assert sorted(links) == sorted(
        str(path.relative_to(result.folder))
        for path in result.folder.rglob("*")
        if path.is_file() and path.name != "report.html"
    )
    assert page.count("<svg") == 5 and page.count('fill="none" stroke-width=".9"') == 0
    assert len(re.findall(r'<path d="M[^"]*" fill="none" stroke="#', page)) == 2 + 1  # regions, axes of the plot
    assert "http" not in page.replace("http-equiv", "")  # nothing is fetched
    regions = result.report["images"][-1]["regions"]
    assert [(region["label"], region["name"], region["method"]) for region in regions] == [
        (1, "label 1", "denoised mean"),
        (5, "label 5", "denoised mean"),
    ]
