"""Regions of virtual volunteers against a fine grid of points, and what their label map holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nadenoise_core.errors import BadInputError
from nadenoise_core.phantom import Calf, random_calf
from nadenoise_core.phantom.shapes import inside
from nadenoise_core.quantify.geometry import nifti_affine
from nadenoise_core.quantify.nifti import write_nifti
from nadenoise_core.study.config import LabelNumbers
from nadenoise_core.study.regions import drawn_regions, true_regions

PIXEL = 2.25
FINE = 20


def kinds_of_points(calf: Calf, mask: np.ndarray) -> list[list[str]]:
    """Which tissue each of many points in every pixel of a region lies in; a tube or air is ''."""
    steps = (np.arange(FINE) + 0.5) / FINE - 0.5
    found = []
    for row, column in np.argwhere(mask):
        x, y = np.meshgrid((column - 40 + steps) * PIXEL, (row - 40 + steps) * PIXEL)
        points = np.stack([x, y], axis=-1)
        names = np.full(x.shape, "", dtype=object)
        for tissue in calf.tissues:  # parents come before their children
            names[inside(tissue.outline, points)] = tissue.name
        found.append(names.ravel().tolist())
    return found


@pytest.mark.parametrize("seed", [2301, 2307])
def test_partial_volume_and_truth_are_those_of_points(seed: int) -> None:
    calf = random_calf(seed)
    regions = true_regions(calf, 80)
    truth = regions.truth
    assert truth is not None
    tissues = {tissue.name: tissue for tissue in calf.tissues}
    concentration = {"": 0.0} | {name: tissue.concentration for name, tissue in tissues.items()}
    for mask, kind, share, mean in (
        (regions.skin, "skin", truth.skin_share, truth.skin),
        (regions.muscle, "muscle", truth.muscle_share, truth.muscle),
    ):
        points = [name for pixel in kinds_of_points(calf, mask) for name in pixel]
        assert np.mean([bool(name) and tissues[name].kind == kind for name in points]) == pytest.approx(share, abs=0.01)
        assert np.mean([concentration[name] for name in points]) == pytest.approx(mean, abs=0.15)
    assert truth.muscle_share == 1 and 0.5 < truth.skin_share < 0.9
    assert f"{100 * truth.skin_share:.0f} % of its area is skin" in regions.origin


def test_regions_do_not_meet_and_background_is_far_from_everything() -> None:
    calf = random_calf(2301)
    regions = true_regions(calf, 80)
    assert (regions.muscle.astype(int) + regions.skin + regions.background).max() == 1
    rows, columns = np.nonzero(regions.background)
    for tube in calf.tubes:
        gap = (
            np.hypot((columns - 40) * PIXEL - tube.centre[0], (rows - 40) * PIXEL - tube.centre[1]) - tube.diameter / 2
        )
        assert gap.min() >= 3 * PIXEL
    assert sorted(np.unique(regions.label_map())) == [0, 1, 2, 3]
    np.testing.assert_array_equal(regions.label_map() == 2, regions.skin)


def test_drawn_regions_are_read_by_their_labels(tmp_path: Path) -> None:
    affine = nifti_affine((0, 0, 0), np.eye(3), (PIXEL, PIXEL, 30), (80, 80))
    true = true_regions(random_calf(5), 80)
    drawn = np.zeros((80, 80), np.int16)
    drawn[true.muscle], drawn[true.skin], drawn[true.background] = 7, 4, 9
    write_nifti(tmp_path / "calf.nii.gz", drawn, affine)
    numbers = LabelNumbers(muscle=7, skin=4, background=9)
    found = drawn_regions(tmp_path / "calf.nii.gz", numbers, (80, 80), affine)
    for name in ("muscle", "skin", "background"):
        np.testing.assert_array_equal(getattr(found, name), getattr(true, name))
    assert found.truth is None and "partial volume is not known" in found.origin
    with pytest.raises(BadInputError, match="calf.nii.gz: there is no pixel of muscle; draw it, or correct"):
        drawn_regions(tmp_path / "calf.nii.gz", LabelNumbers(), (80, 80), affine)
