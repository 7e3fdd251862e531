"""Regions of one label map, read in every image of a scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import BadInputError
from nadenoise_core.quantify.plane import SlicePlane
from nadenoise_core.quantify.readings import Tube
from nadenoise_core.quantify.readouts import Readouts
from nadenoise_core.quantify.region_fit import FitSettings, fit_regions
from nadenoise_core.quantify.region_values import RegionResult
from nadenoise_core.quantify.regions import Regions, regions_in_slice
from nadenoise_core.quantify.tube_columns import TubeDiscs
from nadenoise_core.quantify.volume import Volume


@dataclass(eq=False)
class RegionReader:
    """A label volume, cut by the slices of a scan; each slice is cut once.

    Attributes:
        volume: of labels.
        names: of label numbers, which go before those of the volume and MuscleMap's.
    """

    volume: Volume
    names: Mapping[int, str] = field(default_factory=dict)
    _cut: dict[bytes, Regions] = field(default_factory=dict)

    def regions(self, plane: SlicePlane) -> Regions:
        """The regions in a slice; errors as of `regions_in_slice`."""
        if plane.key not in self._cut:
            self._cut[plane.key] = regions_in_slice(self.volume, plane, self.names)
        return self._cut[plane.key]

    def fit(self, readouts: Readouts, plane: SlicePlane, tubes: Sequence[Tube], settings: FitSettings) -> RegionResult:
        """Read the regions by the fit; tubes are those of the image. Errors as of `fit_regions`."""
        discs = TubeDiscs(
            np.array([tube.centre for tube in tubes], np.float64), float(np.median([tube.diameter for tube in tubes]))
        )
        known = [tube.concentration for tube in tubes]
        return fit_regions(readouts, self.regions(plane), known, discs, replace(settings, thickness=plane.thickness))


def labels_on_pixels(volume: Volume, plane: SlicePlane) -> NDArray[np.int64]:
    """(rows, columns) label in the middle of every pixel; 0 for none.

    Raises:
        BadInputError: values that are no labels, or no label in the slice; with the distance.
    """
    values = np.rint(volume.values)
    if not np.array_equal(values, volume.values) or (values.size and values.min() < 0):
        raise BadInputError(f"{volume.path}: holds values that are no labels; give whole numbers from 0")
    shape = np.array(volume.values.shape)
    plane.check_overlap(volume, *plane.extent_of(volume, np.zeros(3), shape - 1.0), what="the label map lies")
    matrix, offset = plane.voxel_map(volume)
    x, y = np.meshgrid(*plane.pixel_axes())
    index = np.rint(np.tensordot(matrix[:, :2], np.stack([x, y]), axes=1) + offset[:, None, None]).astype(np.int64)
    # The slice axis of a map of one slice may lie anywhere in the thickness of the image's.
    thin = shape == 1
    index[thin] = 0
    inside = np.all((index >= 0) & (index < shape[:, None, None]), axis=0)
    found = np.zeros(plane.matrix, np.int64)
    found[inside] = values[tuple(axis[inside] for axis in index)].astype(np.int64)
    return found
