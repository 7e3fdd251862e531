"""Virtual scans of several slices, stacks, repetitions and echoes, and the label map of the individual."""

from __future__ import annotations

import json
from collections import defaultdict

import numpy as np
import pytest

import nadenoise_core as nd
from nadenoise_core.errors import BadInputError, OutputError
from nadenoise_core.phantom import ILLUSTRATIVE_TIMES
from nadenoise_core.simulate.files import label_map
from nadenoise_core.simulate.measurement import VirtualMeasurement

LOOPS = {"slices": 2, "slice_distance": 40.0, "stacks": 2, "stack_angle": 90.0, "repetitions": 2, "averages": 1}


@pytest.fixture(scope="module")
def readouts():
    """Acquisitions by (slice, contrast, repetition, average, interleaf), the half-pulses of each in a row."""
    found = defaultdict(list)
    measurement = VirtualMeasurement(echo_times=(0.5, 9.0), noise=5.0, position=(10.0, 20.0, 30.0), **LOOPS)
    acquisitions = list(measurement.acquisitions())
    assert len(acquisitions) == measurement.acquisition_count() == 2 * 2 * 2 * 2 * 20 * 2
    for acquisition in acquisitions:
        idx = acquisition.idx
        found[idx.slice, idx.contrast, idx.repetition, idx.average, idx.kspace_encode_step_1].append(acquisition)
    return found


def test_every_image_has_all_its_readouts(readouts):
    images = [(s, c, r, 0, i) for s in range(4) for c in range(2) for r in range(2) for i in range(20)]
    assert sorted(readouts) == sorted(images)
    assert {len(halves) for halves in readouts.values()} == {2}


def test_slices_lie_along_the_normal_of_their_stack(readouts):
    places = [readouts[number, 0, 0, 0, 0][0] for number in range(4)]
    np.testing.assert_allclose(
        [list(place.position) for place in places], [[10, 20, 10], [10, 20, 50], [10, 40, 30], [10, 0, 30]], atol=1e-4
    )
    np.testing.assert_allclose(
        [list(place.slice_dir) for place in places], [[0, 0, 1]] * 2 + [[0, -1, 0]] * 2, atol=1e-6
    )


def test_noise_is_of_its_own_everywhere(readouts):
    """Same object, other noise: the difference of any two images is white, and as strong as of two averages."""
    raw = np.array([readouts[s, c, r, 0, 7][0].data[0] for s in range(4) for c in range(2) for r in range(2)])
    differences = np.array([raw[i] - raw[j] for i in range(16) for j in range(i)])
    std = VirtualMeasurement(noise=5.0).scan().acquisition_noise_std
    assert differences.real.std(axis=1) == pytest.approx(np.full(120, std * np.sqrt(2)), rel=0.2)


def test_echoes_decay_as_their_tissues_do():
    """The first sample lies at k = 0 and holds the sum of area, concentration, saturation and decay of all parts."""
    measurement = VirtualMeasurement(seed=4, averages=1, noise=0.0, relaxation=True, echo_times=(0.5, 9.0))
    first = defaultdict(complex)
    for acquisition in measurement.acquisitions():
        if acquisition.idx.kspace_encode_step_1 == 0:
            first[acquisition.idx.contrast] += acquisition.data[0, 0]
    calf = measurement.calf()

    def area(outline):
        return np.pi * np.prod(outline.semi_axes)

    for echo, time in enumerate((0.5, 9.0)):
        parts = [
            (
                tissue.kind,
                tissue.concentration,
                area(tissue.outline) - sum(area(t.outline) for t in calf.tissues if t.parent == tissue.name),
            )
            for tissue in calf.tissues
        ] + [("tube", tube.concentration, area(tube.outline)) for tube in calf.tubes]
        expected = 0.0
        for kind, concentration, size in parts:
            times = ILLUSTRATIVE_TIMES[kind]
            decay = sum(share * np.exp(-time / t2) for share, t2 in times.t2_star)
            expected += concentration * size / 2.25**2 * (1 - np.exp(-100 / times.t1)) * decay
        assert abs(first[echo]) == pytest.approx(expected, rel=1e-4)


def test_tubes_that_lean_move_on_from_slice_to_slice(tmp_path):
    lean = {"slices": 2, "slice_distance": 40.0, "averages": 1, "noise": 0.0, "tube_tilt": 15}
    raw = nd.simulate(tmp_path / "s.h5", truth=tmp_path / "t.json", **lean)
    told = json.loads((tmp_path / "t.json").read_text())["slices"]
    stages = ["accumulate", "reconstruct", ("quantify", {"tube_diameter": 20})]
    maps = [image for image in nd.Chain(stages).run(raw) if image.kind == "atsc"]
    seen = {image.item.slice: {row["concentration"]: (row["x"], row["y"]) for row in image.tubes} for image in maps}
    for number, place in enumerate(told):
        for tube in place["tubes"]:
            np.testing.assert_allclose(seen[number][tube["concentration"]], tube["centre"], atol=0.3)
    moved = [np.subtract(b["centre"], a["centre"]) for a, b in zip(told[0]["tubes"], told[1]["tubes"], strict=True)]
    np.testing.assert_allclose(np.hypot(*np.array(moved).T), 40 * np.tan(np.radians(15)), rtol=1e-6)


class TestLabels:
    OBLIQUE = {"position": (5.0, -8.0, 20.0), "angles": (10.0, 5.0, 20.0)}

    def test_lie_where_the_slices_lie_and_are_measured(self, tmp_path):
        calf = VirtualMeasurement(seed=5).calf()
        raw = nd.simulate(tmp_path / "s.h5", seed=5, averages=4, noise=4.0, slices=2, labels=tmp_path / "l.nii.gz",
                          **self.OBLIQUE)  # fmt: skip
        table = nd.measure(raw, tmp_path / "l.nii.gz", names=tmp_path / "l.txt")
        rows = [row for row in table if row["region"] == "muscle"]
        assert [row["slice"] for row in rows] == [0, 1]
        for row in rows:
            assert abs(row["atsc"] - calf.muscle) < 3 * row["standard_error"] + 0.3

    def test_one_slab_holds_all_slices(self, tmp_path):
        values, affine = label_map(VirtualMeasurement(slices=3, slice_distance=35.0, **self.OBLIQUE))
        assert values.shape == (360, 360) and set(np.unique(values)) == {0, 2, 3, 4, 5, 6}
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        np.testing.assert_allclose(spacing, [0.5, 0.5, 100.0])
        np.testing.assert_allclose(affine @ [180, 180, 0, 1], [-5.0, 8.0, 20.0, 1.0], atol=1e-9)

    def test_what_cannot_be_is_told_and_nothing_is_written(self, tmp_path):
        with pytest.raises(BadInputError, match="one stack of slices"):
            nd.simulate(tmp_path / "s.h5", averages=1, stacks=2, labels=tmp_path / "l.nii.gz")
        (tmp_path / "l.txt").write_text("mine")
        with pytest.raises(OutputError, match=r"l\.txt: exists already"):
            nd.simulate(tmp_path / "s.h5", averages=1, labels=tmp_path / "l.nii.gz")
        assert [path.name for path in tmp_path.iterdir()] == ["l.txt"]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"slices": 0}, "slices must be"),
        ({"repetitions": 1.5}, "repetitions must be"),
        ({"echo_times": ()}, "echo_times must be"),
        ({"echo_times": (5.0, 2.0)}, "that rise"),
        ({"echo_times": (0.0,)}, "positive"),
    ],
)
def test_what_cannot_be_simulated_is_told(setting, words):
    with pytest.raises(BadInputError, match=words):
        VirtualMeasurement(**setting)
