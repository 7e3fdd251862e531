"""The slice of a scan in the patient, and what a volume holds there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import BadInputError
from nadenoise_core.quantify.volume import Volume

_MOST_LAYERS = 48
_TOLERANCE = 0.5  # of a pixel, by which a map may fall short of the image

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SlicePlane:
    """Where the pixels of an image lie.

    Positions in the plane are (x, y) in mm from pixel (rows // 2, columns // 2), x along columns, y along rows.

    Attributes:
        centre: (3,) of that pixel, in the middle of the slice, LPS mm.
        directions: (3, 3) rows: read (x), phase (y) and slice direction, unit vectors, LPS.
        pixel: (row, column) spacing, mm.
        matrix: (rows, columns).
        thickness: of the slice, mm.
    """

    centre: Floats
    directions: Floats
    pixel: tuple[float, float]
    matrix: tuple[int, int]
    thickness: float

    @classmethod
    def of_nifti(cls, affine: NDArray[np.floating], matrix: tuple[int, int]) -> SlicePlane:
        """Where pixels lie by the NIfTI affine of their slice (`nifti_affine`); `matrix` is (rows, columns)."""
        placed = np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.asarray(affine, np.float64)
        steps = placed[:3, :3]
        lengths = np.linalg.norm(steps, axis=0)
        rows, columns = matrix
        centre = steps[:, :2] @ (columns // 2, rows // 2) + placed[:3, 3]
        return cls(centre, (steps / lengths).T, (float(lengths[1]), float(lengths[0])), matrix, float(lengths[2]))

    @cached_property
    def key(self) -> bytes:
        """Tells slices from one another."""
        numbers = [self.centre, self.directions.reshape(-1), self.pixel, self.matrix, [self.thickness]]
        return np.concatenate([np.asarray(part, np.float64) for part in numbers]).tobytes()

    @cached_property
    def edges(self) -> tuple[float, float, float, float]:
        """Outer edges of the image: lowest and highest x, lowest and highest y, mm."""
        x, y = (
            ((-0.5 - size // 2) * step, (size - 0.5 - size // 2) * step)
            for size, step in zip(self.matrix[::-1], self.pixel[::-1], strict=True)
        )
        return (*x, *y)

    def pixel_axes(self) -> tuple[Floats, Floats]:
        """Positions of columns (x) and rows (y), mm."""
        rows, columns = self.matrix
        x, y = (np.arange(size, dtype=np.float64) - size // 2 for size in (columns, rows))
        return np.asarray(x * self.pixel[1]), np.asarray(y * self.pixel[0])

    def voxel_map(self, volume: Volume) -> tuple[Floats, Floats]:
        """Matrix (3, 3) and offset (3,) that turn (x, y, z) in mm of this slice into voxel indices of a volume."""
        to_voxels = np.linalg.inv(volume.affine)
        return to_voxels[:3, :3] @ self.directions.T, to_voxels[:3, :3] @ self.centre + to_voxels[:3, 3]

    def layers(self, volume: Volume) -> Floats:
        """Distances from the middle of the slice, mm, at which a volume's voxels are to be looked up.

        They are spread evenly over the slice, at least two a voxel.
        """
        along_slice = np.linalg.norm(self.voxel_map(volume)[0][:, 2])
        count = int(np.clip(np.ceil(2 * self.thickness * along_slice), 1, _MOST_LAYERS))
        return np.asarray(((np.arange(count) + 0.5) / count - 0.5) * self.thickness)

    def extent_of(self, volume: Volume, lowest: Floats, highest: Floats) -> tuple[Floats, Floats]:
        """Lowest and highest (x, y, z), mm of this slice, of a block of a volume's voxels, edges included.

        Args:
            lowest, highest: (3,) voxel indices of the block.
        """
        low, high = lowest - 0.5, highest + 0.5
        corners = np.array(
            [[a, b, c, 1.0] for a in (low[0], high[0]) for b in (low[1], high[1]) for c in (low[2], high[2])]
        )
        places = ((corners @ volume.affine.T)[:, :3] - self.centre) @ self.directions.T
        return places.min(axis=0), places.max(axis=0)

    def check_overlap(self, volume: Volume, lowest: Floats, highest: Floats, what: str) -> None:
        """Refuse a block of voxels that lies elsewhere.

        Args:
            lowest, highest: (3,) mm, of `extent_of`.
            what: it is, for the message.

        Raises:
            BadInputError: it does not meet the image's slice; with the distance.
        """
        half = self.thickness / 2
        gaps = [
            (lowest[2] - half, -half - highest[2], "of the slice, along its normal"),
            (lowest[0] - self.edges[1], self.edges[0] - highest[0], "beside the image, along its columns (x)"),
            (lowest[1] - self.edges[3], self.edges[2] - highest[1], "beside the image, along its rows (y)"),
        ]
        for above, below, where in gaps:
            if max(above, below) >= 0:
                raise BadInputError(
                    f"{volume.path}: {what} {max(above, below):.1f} mm outside {where}; it belongs to another scan or "
                    "position"
                )


def sample_map(volume: Volume, plane: SlicePlane) -> Floats:
    """A map of numbers at the pixels of an image, mean over the thickness of its slice.

    Between voxels it is interpolated linearly; where the file says NaN it is NaN.

    Returns:
        (rows, columns).

    Raises:
        BadInputError: the map lies elsewhere or does not cover the image; with the distance.
    """
    shape = np.array(volume.values.shape)
    plane.check_overlap(volume, *plane.extent_of(volume, np.zeros(3), shape - 1.0), what="the map lies")
    matrix, offset = plane.voxel_map(volume)
    x, y = np.meshgrid(*plane.pixel_axes())
    total, count = np.zeros(plane.matrix), np.zeros(plane.matrix)
    shortage = np.full(plane.matrix, np.inf)
    for z in plane.layers(volume):
        index = np.tensordot(matrix, np.stack([x, y, np.full_like(x, z)]), axes=1) + offset[:, None, None]
        limits = (shape - 1.0)[:, None, None]
        beyond = np.maximum(np.maximum(-0.5 - index, index - limits - 0.5), 0)
        # The nearest place of the volume, in the slice: how far a pixel is from being covered.
        steps = np.linalg.norm(volume.affine[:3, :3], axis=0)[:, None, None]
        distance = np.linalg.norm(beyond * steps, axis=0)
        shortage = np.minimum(shortage, distance)
        inside = distance <= _TOLERANCE * min(plane.pixel)
        total += np.where(inside, _interpolated(volume.values, np.clip(index, 0, limits)), 0)
        count += inside
    if not count.all():
        raise BadInputError(
            f"{volume.path}: does not cover the image: {np.mean(count == 0):.0%} of its pixels lie up to "
            f"{shortage.max():.1f} mm outside of the map; make it on a field of view that holds the image"
        )
    return np.asarray(total / count)


def _interpolated(values: NDArray[np.generic], index: Floats) -> Floats:
    """Linear interpolation between the voxels that are known; NaN where most of the neighbourhood is not."""
    from scipy.ndimage import map_coordinates

    numbers = np.asarray(values, np.float64)
    known = np.isfinite(numbers)
    share = map_coordinates(known.astype(np.float64), index, order=1, mode="nearest")
    mean = map_coordinates(np.where(known, numbers, 0.0), index, order=1, mode="nearest")
    return np.where(share >= 0.5, mean / np.maximum(share, 0.5), np.nan)
