"""The samples that every region would give alone: the columns of the fit, and how they change with the pose."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.quantify.pose import Pose
from nadenoise_core.quantify.readouts import Readouts, Transform, turns
from nadenoise_core.quantify.regions import Regions

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex64]


class RegionColumns:
    """Regions of a label map as a scan sees them.

    A turned and stretched label map has a turned and shrunk spectrum, so that the labels themselves are never
    resampled: the trajectory is turned instead.

    Args:
        readouts: of the scan.
        regions: of the labels.
        decay: (samples,) signal of tissue that is left at every sample; None: all of it.
    """

    def __init__(self, readouts: Readouts, regions: Regions, decay: Floats | None = None) -> None:
        self._scan, self._regions = readouts, regions
        coils, interleaves, samples = readouts.kspace.shape
        self.samples = coils * interleaves * samples
        shares = readouts.shares if decay is None else readouts.shares * decay
        self._shares = np.tile(shares, (1, interleaves)).astype(np.complex64)  # (segments, interleaves * samples)
        self._x, self._y = np.meshgrid(*regions.axes())
        self.middle: Floats = np.array(regions.middle)

    def columns(self, pose: Pose) -> Complexes:
        """(regions, samples) of amplitude 1."""
        transform, fields, turn = self._placed(pose)
        out = np.empty((len(self._regions.fractions), self.samples), np.complex64)
        for mask, column in zip(self._regions.fractions, out, strict=True):
            column[:] = self._forward(mask, transform, fields) * turn
        return out

    def derivatives(self, pose: Pose, amplitudes: Floats, model: Complexes, count: int) -> Complexes:
        """(count, samples) change of the model with shift x, shift y, angle (rad) and relative stretch.

        Args:
            amplitudes: (regions,).
            model: (samples,) sum of amplitudes times columns.
            count: of parameters, 0 to 4.
        """
        k = self._scan.k
        coils = len(self._scan.kspace)
        out = np.empty((count, self.samples), np.complex64)
        for axis in range(min(count, 2)):
            out[axis] = np.tile(-2j * np.pi * k[:, axis], coils) * model
        if count <= 2:
            return out
        transform, fields, turn = self._placed(pose)
        image = np.tensordot(amplitudes, self._regions.fractions, axes=1)
        # How the places of the labels move, by the chain rule through exp(-2 pi i k.r).
        u, v = self._x - self.middle[0], self._y - self.middle[1]
        along = [self._forward(image * offset, transform, fields) * turn for offset in (u, v)]
        matrix = pose.matrix
        turned = np.array([[0.0, -1.0], [1.0, 0.0]]) @ matrix
        for index, change in zip(range(2, count), (turned, matrix), strict=False):
            slopes = -2j * np.pi * (k @ change)
            out[index] = np.tile(slopes[:, 0], coils) * along[0] + np.tile(slopes[:, 1], coils) * along[1]
        if count > 3:
            out[3] += 2 * model  # a larger region holds more signal
        return out

    def sensitivity(self, vectors: NDArray[np.complexfloating], pose: Pose) -> Floats:
        """(vectors, y, x) real part of the adjoint on the cells, per unit of a cell's fraction.

        Args:
            vectors: (vectors, samples).
        """
        transform, fields, turn = self._placed(pose)
        images = []
        for vector in vectors * turn.conj():
            parts = vector.reshape(len(self._scan.kspace), -1)
            image = sum(
                np.conj(field) * transform.adjoint(part * share.conj())
                for segment, share in zip(fields, self._shares, strict=True)
                for field, part in zip(segment, parts, strict=True)
            )
            images.append(np.real(np.asarray(image)))
        return np.asarray(images, np.float64)

    def _placed(self, pose: Pose) -> tuple[Transform, Complexes, Complexes]:
        """Transform in the labels' own frame, fields where the labels lie, and phase of the place of their middle."""
        matrix = pose.matrix
        k = self._scan.k @ matrix
        regions = self._regions
        corner = np.asarray(regions.corner) - self.middle
        shape = (regions.fractions.shape[1], regions.fractions.shape[2])
        transform = Transform(k, shape, regions.cell, corner)
        u, v = self._x - self.middle[0], self._y - self.middle[1]
        x = self.middle[0] + pose.shift[0] + matrix[0, 0] * u + matrix[0, 1] * v
        y = self.middle[1] + pose.shift[1] + matrix[1, 0] * u + matrix[1, 1] * v
        fields = self._scan.fields_at(x, y)
        place = turns(-(self._scan.k @ (self.middle + np.asarray(pose.shift))))
        scale = pose.scale**2 / self._scan.pixel_area
        return transform, fields, np.tile((scale * place).astype(np.complex64), len(self._scan.kspace))

    def _forward(self, image: NDArray[np.floating], transform: Transform, fields: Complexes) -> Complexes:
        coils = []
        for coil in range(fields.shape[1]):
            parts = [
                share * transform.forward(image * segment[coil])
                for segment, share in zip(fields, self._shares, strict=True)
            ]
            coils.append(sum(parts[1:], parts[0]))
        return np.concatenate(coils)
