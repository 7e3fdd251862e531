"""Regions of a label map in the slice of a scan, as fractions of small cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nadenoise_core.errors import BadInputError
from nadenoise_core.quantify.label_names import name_of
from nadenoise_core.quantify.plane import SlicePlane
from nadenoise_core.quantify.pose import Pose
from nadenoise_core.quantify.volume import Volume

CELLS = 4
"""Cells along a pixel: what lies beyond the sampled k-space then folds back into it below 1 %."""

_SUBSAMPLES = 4  # along a cell
_LEAST_SHARE = 0.01  # of a region within the image, or outside of it, that counts
_LEAST_HOLE = 20.0  # mm^2 of tissue without a label that becomes a region of its own
_MOST_HOLES = 6
_CLOSED_GAP = 1.0  # mm, in the ring of the skin

Fractions = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Regions:
    """Regions of a slice.

    Attributes:
        names: of the regions, each once.
        numbers: of their labels; () for tissue that has none.
        fractions: (regions, y, x) part of every cell that belongs to the region, mean over the slice.
        corner: (x, y) of the centre of cell (0, 0), mm from the centre of the field of view.
        cell: side of a cell, mm.
        remarks: what readers of the numbers should know.
    """

    names: tuple[str, ...]
    numbers: tuple[tuple[int, ...], ...]
    fractions: Fractions
    corner: tuple[float, float]
    cell: float
    remarks: tuple[str, ...] = ()

    @property
    def areas(self) -> NDArray[np.float64]:
        """(regions,) mm^2."""
        return np.asarray(self.fractions.sum(axis=(1, 2), dtype=np.float64) * self.cell**2)

    def axes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Positions of the cells along x and y, mm."""
        rows, columns = self.fractions.shape[1:]
        x, y = (np.arange(size, dtype=np.float64) for size in (columns, rows))
        return np.asarray(self.corner[0] + self.cell * x), np.asarray(self.corner[1] + self.cell * y)

    def on_pixels(self, plane: SlicePlane) -> NDArray[np.float64]:
        """(regions, rows, columns) part of every pixel that belongs to a region."""
        rows, columns = plane.matrix
        x, y = self.axes()
        column = np.floor((x - plane.edges[0]) / plane.pixel[1] + 1e-6).astype(int)
        row = np.floor((y - plane.edges[2]) / plane.pixel[0] + 1e-6).astype(int)
        inside = np.ix_((row >= 0) & (row < rows), (column >= 0) & (column < columns))
        places = np.ravel_multi_index(
            np.meshgrid(row[inside[0].ravel()], column[inside[1].ravel()], indexing="ij"), (rows, columns)
        ).ravel()
        share = self.cell**2 / (plane.pixel[0] * plane.pixel[1])
        return np.stack(
            [
                np.bincount(places, mask[inside].ravel() * share, rows * columns).reshape(rows, columns)
                for mask in self.fractions
            ]
        )

    def labels_on_pixels(self, plane: SlicePlane) -> NDArray[np.int64]:
        """(rows, columns) number of the label that fills half of a pixel or more; 0 for none."""
        shares = self.on_pixels(plane)
        numbers = np.array([labels[0] if labels else 0 for labels in self.numbers], np.int64)
        return np.where(shares.max(axis=0) >= 0.5 - 1e-6, numbers[shares.argmax(axis=0)], 0)

    @property
    def middle(self) -> tuple[float, float]:
        """(x, y) of the centre of all regions together, about which a pose turns them, mm."""
        total = self.fractions.sum(axis=0, dtype=np.float64)
        x, y = self.axes()
        weight = total.sum()
        return float(x @ total.sum(axis=0) / weight), float(y @ total.sum(axis=1) / weight)

    def moved(self, pose: Pose) -> Regions:
        """The regions where a pose puts them, on cells of the same size."""
        middle, matrix = np.array(self.middle), pose.matrix
        x, y = self.axes()
        ends = np.array([[a, b] for a in (x[0], x[-1]) for b in (y[0], y[-1])])
        placed = middle + pose.shift + (ends - middle) @ matrix.T
        low = np.floor((placed.min(axis=0) - self.corner) / self.cell)
        high = np.ceil((placed.max(axis=0) - self.corner) / self.cell)
        columns, rows = (high - low).astype(int) + 1
        corner = np.array(self.corner) + low * self.cell
        back = np.linalg.inv(matrix)
        # From cells of the result, (row, column), to cells of these regions.
        offset = (back @ (corner - middle - pose.shift) + middle - self.corner)[::-1] / self.cell
        masks = [
            ndimage.affine_transform(mask, back[::-1, ::-1], offset, (int(rows), int(columns)), order=1)
            for mask in self.fractions
        ]
        return replace(self, fractions=np.stack(masks), corner=(float(corner[0]), float(corner[1])))

    def mask(self, name: str) -> Fractions:
        """(y, x) of one region."""
        return np.asarray(self.fractions[self.names.index(name)])


def regions_in_slice(volume: Volume, plane: SlicePlane, names: Mapping[int, str] | None = None) -> Regions:
    """The regions of a label volume in the slice of a scan, with tissue inside that has no label.

    Labels are looked up at sixteen points a cell and at least two points a voxel along the slice, so that a label map
    of any matrix, resolution and orientation serves; layers in which nothing is drawn do not count.

    Args:
        volume: whole numbers; 0 is no label.
        plane: of the scan.
        names: of label numbers; they go before those of the file and of MuscleMap.

    Raises:
        BadInputError: values that are no labels, no label in the slice, or a region that the edge of the image cuts.
    """
    numbers, compact, first = _labels_of(volume)
    highest = first + np.array(compact.shape) - 1.0
    extent = plane.extent_of(volume, first.astype(np.float64), highest)
    plane.check_overlap(volume, *extent, what="its labels lie")
    cell = min(plane.pixel) / CELLS
    # Cells lie side by side within the pixels.
    low = np.floor(extent[0][:2] / cell).astype(int) - 1
    high = np.ceil(extent[1][:2] / cell).astype(int) + 1
    x, y = (cell * (0.5 + np.arange(start, stop)) for start, stop in zip(low, high, strict=True))
    fractions, covered = _fractions(volume, compact, first, plane, x, y, len(numbers))
    fractions, kept, remarks = _within_image(volume, plane, fractions, x, y, numbers)
    if covered < 0.99:
        remarks += (f"labels are drawn in {covered * plane.thickness:.0f} of the slice's {plane.thickness:g} mm",)
    given = [name_of(number, names or {}, volume.names) for number in kept]
    rows, columns = (np.flatnonzero(fractions.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    fractions = fractions[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    regions = Regions(
        names=tuple(dict.fromkeys(given)),
        numbers=tuple(
            tuple(n for n, name in zip(kept, given, strict=True) if name == one) for one in dict.fromkeys(given)
        ),
        fractions=np.stack(
            [sum_of([fractions[i] for i, name in enumerate(given) if name == one]) for one in dict.fromkeys(given)]
        ),
        corner=(float(x[columns[0]]), float(y[rows[0]])),
        cell=cell,
        remarks=remarks,
    )
    return _with_unlabelled(regions)


def sum_of(masks: list[Fractions]) -> Fractions:
    """One mask of several."""
    return np.asarray(np.sum(masks, axis=0), np.float32)


def _labels_of(volume: Volume) -> tuple[list[int], NDArray[np.int16], NDArray[np.int64]]:
    """Label numbers, the block of voxels that holds them all as indices from 1, and its first voxel."""
    values = volume.values
    if values.dtype.kind == "f":
        whole = np.rint(values)
        if not np.array_equal(whole, values):
            raise BadInputError(
                f"{volume.path}: holds values that are not whole numbers; give a label map, not an image"
            )
        values = whole.astype(np.int64)
    if values.size and values.min() < 0:
        raise BadInputError(f"{volume.path}: holds labels below 0; number them from 1")
    drawn = [np.flatnonzero(values.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    if not len(drawn[0]):
        raise BadInputError(f"{volume.path}: holds no label; all of its voxels are 0")
    first = np.array([indices[0] for indices in drawn])
    block = values[tuple(slice(indices[0], indices[-1] + 1) for indices in drawn)]
    unique, compact = np.unique(block, return_inverse=True)
    compact = compact.reshape(block.shape) + (unique[0] != 0)
    return [int(number) for number in unique if number], compact.astype(np.int16), first


def _fractions(
    volume: Volume,
    compact: NDArray[np.int16],
    first: NDArray[np.int64],
    plane: SlicePlane,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    count: int,
) -> tuple[Fractions, float]:
    """(labels, y, x) fractions of the cells, and the share of the slice's layers in which something is drawn."""
    matrix, offset = plane.voxel_map(volume)
    step = (x[1] - x[0]) / _SUBSAMPLES
    within = (np.arange(_SUBSAMPLES) - (_SUBSAMPLES - 1) / 2) * step
    fine_x, fine_y = ((axis[:, None] + within).reshape(-1) for axis in (x, y))
    shape = np.array(compact.shape)
    total = np.zeros((count, len(y), len(x)), np.float32)
    layers = plane.layers(volume)
    drawn = 0
    for z in layers:
        index = [
            np.rint(matrix[a, 0] * fine_x + (matrix[a, 1] * fine_y)[:, None] + matrix[a, 2] * z + offset[a] - first[a])
            for a in range(3)
        ]
        inside = np.logical_and.reduce([(i >= 0) & (i < size) for i, size in zip(index, shape, strict=True)])
        found = np.zeros(inside.shape, np.int16)
        found[inside] = compact[tuple(i[inside].astype(np.intp) for i in index)]
        if not found.any():
            continue
        drawn += 1
        for label in range(count):
            total[label] += (found == label + 1).reshape(len(y), _SUBSAMPLES, len(x), _SUBSAMPLES).sum(axis=(1, 3))
    if not drawn:
        raise BadInputError(
            f"{volume.path}: no label lies within the slice's {plane.thickness:g} mm; draw it where the scan lies"
        )
    return total / np.float32(drawn * _SUBSAMPLES**2), drawn / len(layers)


def _within_image(
    volume: Volume,
    plane: SlicePlane,
    fractions: Fractions,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    numbers: list[int],
) -> tuple[Fractions, list[int], tuple[str, ...]]:
    """The labels that lie in the image; those of the other leg are left out, those that the edge cuts are refused."""
    left, right, top, bottom = plane.edges
    beyond_x, beyond_y = np.maximum(left - x, x - right), np.maximum(top - y, y - bottom)
    beyond = np.maximum(beyond_x, beyond_y[:, None])
    kept, remarks = [], []
    for index, number in enumerate(numbers):
        mask = fractions[index]
        area = float(mask.sum())
        if area == 0:
            continue  # not in this slice
        outside = float(mask[beyond > 0].sum()) / area
        if outside >= 1 - _LEAST_SHARE:
            remarks.append(f"label {number} lies {beyond[mask > 0].min():.0f} mm beside the image and is left out")
        elif outside > _LEAST_SHARE:
            raise BadInputError(
                f"{volume.path}: label {number} reaches {beyond[mask > 0].max():.1f} mm beyond the edge of the image; "
                "it belongs to another scan or position"
            )
        else:
            kept.append(index)
    if not kept:
        raise BadInputError(
            f"{volume.path}: {remarks[0] if remarks else 'no label lies in the slice'}; draw it where the scan lies"
        )
    return fractions[kept], [numbers[index] for index in kept], tuple(remarks)


def _with_unlabelled(regions: Regions) -> Regions:
    """The same with what the labels enclose and none of them names: bones, vessels, fat."""
    total = np.pad(regions.fractions.sum(axis=0), 4)
    gap = int(np.ceil(_CLOSED_GAP / regions.cell))
    closed = ndimage.binary_closing(total > 0.5, iterations=gap)
    filled = ndimage.binary_fill_holes(closed)
    # At the rim of the whole, cells are part air.
    inner = ndimage.binary_erosion(filled, iterations=2)
    rest = np.where(inner, np.clip(1 - total, 0, 1), 0)[4:-4, 4:-4].astype(np.float32)
    parts, count = ndimage.label(rest > 0.5)
    if not count:
        return regions
    areas = ndimage.sum_labels(rest, parts, np.arange(1, count + 1)) * regions.cell**2
    large = [int(i) + 1 for i in np.argsort(-areas) if areas[i] >= _LEAST_HOLE][:_MOST_HOLES]
    if not large:
        return regions
    # Cells at the edges of a part, and small parts, go to the nearest large one.
    distance = [ndimage.distance_transform_edt(parts != part) for part in large]
    nearest = np.argmin(distance, axis=0)
    near = np.min(distance, axis=0) * regions.cell <= 2 * regions.cell
    masks = [np.where((nearest == i) & near, rest, 0) for i in range(len(large))]
    others = np.where(near, 0, rest)
    named = [f"unlabelled {i + 1}" for i in range(len(large))]
    if others.sum() * regions.cell**2 >= _LEAST_HOLE:
        masks.append(others)
        named.append("unlabelled, scattered")
    area = sum(float(mask.sum()) for mask in masks) * regions.cell**2
    return replace(
        regions,
        names=(*regions.names, *named),
        numbers=(*regions.numbers, *[()] * len(named)),
        fractions=np.concatenate([regions.fractions, np.stack(masks).astype(np.float32)]),
        remarks=(
            *regions.remarks,
            f"{area:.0f} mm2 inside the labels have none and are fitted as "
            + ("one region of its own" if len(named) == 1 else f"{len(named)} regions of their own"),
        ),
    )
