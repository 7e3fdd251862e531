"""Averaged readouts of a scan, as the fit of regions takes them, and what stands between an object and its samples.

    s_c(t) = sum over segments l of  share_l(t) * integral of  object(r) field_lc(r) exp(-2 pi i k(t).r) dr / pixel area

An object of uniform value c then has the signal that the gridded image shows as c. The fields hold the sensitivity of
each coil, the phase of the object, and what excitation and reception make of the signal; with off-resonance there is
one segment of the readout's time after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import finufft
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from nadenoise_core.quantify.fields import smooth_fields
from nadenoise_core.sampling.density import sample_weights
from nadenoise_core.sampling.off_resonance import time_segments

_EPS = 1e-4

Complexes = NDArray[np.complex64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Readouts:
    """One image's averaged k-space.

    Attributes:
        kspace: (coils, interleaves, samples) complex64; several coils are taken as whitened.
        trajectory: (interleaves, samples, 2) as (kx, ky) in cycles/mm.
        noise_std: (interleaves,) of the real part of a sample; NaN where it is unknown.
        matrix: (rows, columns) of the image.
        pixel: (row, column) spacing, mm.
        density: (interleaves, samples) density compensation, (cycles/pixel)^2.
        fields: (segments, coils, rows, columns) complex, on the image's grid.
        shares: (segments, samples) complex.
        of_image: whether they were made of an image.
    """

    kspace: Complexes
    trajectory: Floats
    noise_std: Floats
    matrix: tuple[int, int]
    pixel: tuple[float, float]
    density: NDArray[np.float32]
    fields: Complexes
    shares: Complexes
    of_image: bool = False

    @property
    def k(self) -> Floats:
        """(interleaves * samples, 2) cycles/mm."""
        return self.trajectory.reshape(-1, 2)

    @property
    def pixel_area(self) -> float:
        """Mm^2."""
        return self.pixel[0] * self.pixel[1]

    def weighting(self) -> Floats:
        """(coils * interleaves * samples,) by which samples are multiplied so that their noise is 1; 1 if unknown."""
        known = np.isfinite(self.noise_std).all() and bool((self.noise_std > 0).all())
        level = 1 / self.noise_std if known else np.ones_like(self.noise_std)
        coils, _, samples = self.kspace.shape
        return np.tile(np.repeat(level, samples), coils)

    @property
    def noise_is_known(self) -> bool:
        """Whether the noise of every interleaf is known."""
        return bool(np.isfinite(self.noise_std).all() and (self.noise_std > 0).all())

    def fields_at(self, x: Floats, y: Floats) -> Complexes:
        """(segments, coils, ...) fields at positions in mm from the centre, of one shape; linear between pixels."""
        rows, columns = self.matrix
        places = np.stack([np.asarray(y) / self.pixel[0] + rows // 2, np.asarray(x) / self.pixel[1] + columns // 2])
        parts = [
            [
                map_coordinates(field.real, places, order=1, mode="nearest", prefilter=False)
                + 1j * map_coordinates(field.imag, places, order=1, mode="nearest", prefilter=False)
                for field in segment
            ]
            for segment in self.fields
        ]
        return np.asarray(parts, np.complex64)


def readouts(
    kspace: NDArray[np.complexfloating],
    trajectory: NDArray[np.floating],
    noise_std: NDArray[np.floating],
    matrix: tuple[int, int],
    pixel: tuple[float, float],
    gain: NDArray[np.floating] | None = None,
    off_resonance: NDArray[np.floating] | None = None,
    times: NDArray[np.floating] | None = None,
) -> Readouts:
    """Averaged readouts with the fields that the data themselves tell: phase, and sensitivities of several coils.

    Args:
        kspace: (coils, interleaves, samples).
        trajectory: (interleaves, samples, 2) as (read, phase) in cycles/pixel.
        noise_std: (interleaves,) of the real part of a sample.
        matrix: (rows, columns).
        pixel: (row, column) spacing, mm.
        gain: (rows, columns) signal relative to where excitation and reception are nominal; None: 1.
        off_resonance: (rows, columns) in Hz; a spin at +f has the phase exp(-2 pi i f t). None: 0.
        times: (samples,) s, from the echo; `off_resonance` needs them.

    Raises:
        ValueError: `off_resonance` without `times`.
    """
    density = sample_weights(trajectory, matrix)
    fields = smooth_fields(_gridded(kspace, density, trajectory, matrix), pixel)[None]
    if gain is not None:
        fields = fields * gain
    shares = np.ones((1, kspace.shape[-1]), np.complex64)
    if off_resonance is not None:
        if times is None:
            raise ValueError("off_resonance needs the times of the samples")
        segments = time_segments(off_resonance, times)
        fields = fields * segments.phases.conj()[:, None]
        shares = segments.shares * segments.carrier.conj()
    return Readouts(
        kspace=np.asarray(kspace, np.complex64),
        trajectory=np.asarray(trajectory, np.float64) / np.asarray(pixel[::-1]),
        noise_std=np.asarray(noise_std, np.float64),
        matrix=matrix,
        pixel=pixel,
        density=density,
        fields=np.asarray(fields, np.complex64),
        shares=np.asarray(shares, np.complex64),
    )


def _gridded(
    kspace: NDArray[np.complexfloating],
    density: NDArray[np.float32],
    trajectory: NDArray[np.floating],
    matrix: tuple[int, int],
) -> NDArray[np.complex64]:
    """(coils, rows, columns)."""
    y, x = (np.ascontiguousarray(2 * np.pi * trajectory[..., axis], np.float32).reshape(-1) for axis in (1, 0))
    weighted = np.asarray(kspace * density, np.complex64).reshape(len(kspace), -1)
    return np.stack([finufft.nufft2d1(y, x, coil, matrix, eps=_EPS, isign=1, nthreads=1) for coil in weighted])


def turns(cycles: NDArray[np.floating]) -> Complexes:
    """exp(2 pi i cycles) in single precision, any shape."""
    angle = np.asarray(2 * np.pi * cycles, np.float32)
    out = np.empty(angle.shape, np.complex64)
    np.cos(angle, out=out.real)
    np.sin(angle, out=out.imag)
    return out


class Transform:
    """From images on the cells of a label map to samples, and back.

    Args:
        k: (samples, 2) as (kx, ky), cycles/mm.
        shape: (y, x) cells.
        cell: side of a cell, mm.
        corner: (x, y) of the centre of cell (0, 0), mm.

    A cell holds the mean over its square; what that mean takes from high frequencies is given back.
    """

    def __init__(self, k: Floats, shape: tuple[int, int], cell: float, corner: Sequence[float] | Floats) -> None:
        rows, columns = shape
        centre = np.asarray(corner) + cell * np.array([columns // 2, rows // 2])
        turn = turns(-(k @ centre)) / (np.sinc(cell * k[:, 0]) * np.sinc(cell * k[:, 1]))
        self._turn = (cell**2 * turn).astype(np.complex64)
        # finufft does not copy the points: they must live as long as the plans.
        self._points = [np.ascontiguousarray(2 * np.pi * cell * k[:, axis], np.float32) for axis in (1, 0)]
        self._shape = shape
        self._plans: dict[int, finufft.Plan] = {}

    def forward(self, image: NDArray[np.generic]) -> Complexes:
        """(samples,) integral of the image times exp(-2 pi i k.r)."""
        return np.asarray(self._plan(2, -1).execute(np.ascontiguousarray(image, np.complex64)) * self._turn)

    def adjoint(self, samples: NDArray[np.complexfloating]) -> Complexes:
        """(y, x) of the conjugate transpose of `forward`."""
        return np.asarray(self._plan(1, +1).execute((samples * self._turn.conj()).astype(np.complex64)))

    def _plan(self, kind: int, sign: int) -> finufft.Plan:
        if kind not in self._plans:
            # A finer grid inside of finufft costs more than the wider kernel that this one needs.
            plan = finufft.Plan(kind, self._shape, eps=_EPS, isign=sign, dtype="complex64", nthreads=1, upsampfac=1.25)
            plan.setpts(*self._points)
            self._plans[kind] = plan
        return self._plans[kind]
