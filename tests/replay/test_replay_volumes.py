"""Images of a replay as NIfTI: where ITK-SNAP and others then find a voxel."""

from __future__ import annotations

from pathlib import Path

import ismrmrd
import nibabel
import numpy as np
import pytest

from nadenoise_core.mrd.facts import ImageFacts, Kind
from nadenoise_core.mrd.image import new_image
from nadenoise_core.replay.volumes import write_volumes

READ, PHASE = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, -1.0])
NORMAL = np.cross(READ, PHASE)


def image(depth: float, value: float, contrast: int = 0, number: int = 0) -> ismrmrd.Image:
    """A slice of 4 x 6 pixels of 3 x 2 mm, `depth` mm along its normal from (10, 20, 30)."""
    header = ismrmrd.AcquisitionHeader()
    header.position[:] = np.array([10.0, 20.0, 30.0]) + depth * NORMAL
    header.read_dir[:], header.phase_dir[:], header.slice_dir[:] = READ, PHASE, NORMAL
    header.idx.contrast, header.idx.slice = contrast, number
    pixels = np.full((4, 6), value * 1j, np.complex64)
    pixels[3, 1] = -2 * value
    return new_image(pixels, header, (12.0, 12.0, 5.0), 1, ImageFacts(Kind.PLAIN, 30))


def test_slices_of_a_stack_are_one_volume_whatever_their_order(tmp_path: Path) -> None:
    write_volumes([image(14.0, 3.0), image(0.0, 1.0), image(7.0, 2.0), image(0.0, 9.0, contrast=1)], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["nufft_030avg.nii.gz", "nufft_030avg_echo2.nii.gz"]
    volume = nibabel.load(tmp_path / "nufft_030avg.nii.gz")
    values = np.asarray(volume.dataobj)
    assert values.shape == (6, 4, 3) and values[0, 0].tolist() == [1.0, 2.0, 3.0]
    assert np.argwhere(values == 6.0).tolist() == [[1, 3, 2]]
    lps = (volume.affine @ [1, 3, 2, 1])[:3] * (-1, -1, 1)
    # One pixel down from the middle row, two to the left of the middle column, the slice 14 mm on.
    np.testing.assert_allclose(lps, [10, 20, 30] + 14 * NORMAL + 3 * PHASE - 2 * 2 * READ, atol=1e-4)
    np.testing.assert_allclose(volume.header.get_zooms(), (2.0, 3.0, 7.0))


def test_slices_at_uneven_distances_are_files_of_their_own(tmp_path: Path) -> None:
    write_volumes([image(0.0, 1.0), image(7.0, 2.0, number=1), image(20.0, 3.0, number=2)], tmp_path)
    names = [f"nufft_030avg_slice{number}.nii.gz" for number in (1, 2, 3)]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    last = nibabel.load(tmp_path / names[2])
    assert np.asarray(last.dataobj)[0, 0, 0] == 3.0
    assert (last.affine[:3, 3] * (-1, -1, 1)) @ NORMAL == pytest.approx(20.0 + NORMAL @ [10, 20, 30], abs=1e-3)
