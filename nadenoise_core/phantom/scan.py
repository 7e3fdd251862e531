"""A virtual scan: the acquisitions of a calf, one by one, as a scanner would send them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.random import Generator, SeedSequence
from numpy.typing import ArrayLike, NDArray

from nadenoise_core.enums import StrEnum
from nadenoise_core.errors import BadInputError
from nadenoise_core.phantom.calf import Calf
from nadenoise_core.phantom.fields import SmoothField, smooth_phase, surface_coils, uniform_coil
from nadenoise_core.phantom.individual import random_calf
from nadenoise_core.phantom.physics import Physics
from nadenoise_core.phantom.shapes import Complexes
from nadenoise_core.phantom.truth import kspace

Samples = NDArray[np.complex64]

_NOISE, _NOISE_SCAN, _FIELDS, _OUT_OF_SLICE = range(4)


class LoopOrder(StrEnum):
    """Where the loop of averages is."""

    OUTERMOST = "outermost"  # all interleaves of average 0, then of average 1, and so on
    INNERMOST = "innermost"  # all averages of interleaf 0, then of interleaf 1


@dataclass(frozen=True, eq=False)
class VirtualAcquisition:
    """One readout.

    Attributes:
        average, interleaf: counted from 0.
        half: which of the two half-pulses, 0 or 1; 0 in a scan without them.
        samples: (coils, samples) complex64, mmol/L pixel.
    """

    average: int
    interleaf: int
    half: int
    samples: Samples


@dataclass(frozen=True, eq=False)
class VirtualScan:
    """A scan of a virtual calf.

    Attributes:
        calf: the individual.
        trajectory: (interleaves, samples, 2) as (kx, ky) in cycles/mm.
        pixel: size of an image pixel, mm; it sets the unit of k-space, mmol/L pixel (see `truth.kspace`).
        averages: repeats of all interleaves.
        half_pulses: whether an interleaf is the sum of two acquisitions. Each sees half of the slice, and signal
            from outside it (another leg) that has the opposite sign in the other.
        out_of_slice: strength of that signal, as a share of the other leg's full signal.
        half_pulse_phase: extra phase of the second half-pulse, degrees. The sum then loses signal, and what lies
            outside the slice no longer cancels.
        noise_std: standard deviation of the real and of the imaginary part of one summed interleaf sample of one
            average, mmol/L pixel. An acquisition has this, or with half-pulses this / sqrt(2).
        coils: receive channels; 1: a birdcage, uniform with a constant phase.
        object_phase: peak of a smooth phase over the object, degrees.
        seed: of noise, constant phase, object phase, and what lies outside the slice.
        physics: off-resonance and relaxation; None: there is neither.
        noise_stream: other numbers give other noise to a scan that is the same in all else, such as another echo.

    Raises:
        BadInputError: a field is out of range.
    """

    calf: Calf
    trajectory: NDArray[np.float64]
    pixel: float
    averages: int = 1
    half_pulses: bool = True
    out_of_slice: float = 0.5
    half_pulse_phase: float = 0.0
    noise_std: float = 0.0
    coils: int = 1
    object_phase: float = 0.0
    seed: int = 0
    physics: Physics | None = None
    noise_stream: int = 0

    def __post_init__(self) -> None:
        trajectory = np.array(self.trajectory, np.float64)
        if trajectory.ndim != 3 or trajectory.shape[-1] != 2 or 0 in trajectory.shape:
            raise BadInputError(f"trajectory must have shape (interleaves, samples, 2), not {trajectory.shape}")
        if not np.isfinite(trajectory).all():
            raise BadInputError("trajectory must be finite")
        if not (math.isfinite(self.pixel) and self.pixel > 0):
            raise BadInputError(f"pixel must be a positive number of mm, not {self.pixel}")
        for name in ("averages", "coils"):
            if not (isinstance(getattr(self, name), int) and getattr(self, name) > 0):
                raise BadInputError(f"{name} must be a whole number of 1 or more, not {getattr(self, name)}")
        for name in ("noise_std", "out_of_slice", "seed"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise BadInputError(f"{name} must be 0 or more, not {getattr(self, name)}")
        for name in ("half_pulse_phase", "object_phase"):
            if not abs(getattr(self, name)) <= 360:
                raise BadInputError(f"{name} must be within 360 degrees, not {getattr(self, name)}")
        trajectory.flags.writeable = False
        object.__setattr__(self, "trajectory", trajectory)

    @property
    def interleaves(self) -> int:
        """Number of interleaves."""
        return int(self.trajectory.shape[0])

    @property
    def samples(self) -> int:
        """Samples in a readout."""
        return int(self.trajectory.shape[1])

    @property
    def halves(self) -> int:
        """Acquisitions that make an interleaf: 2 with half-pulses, else 1."""
        return 2 if self.half_pulses else 1

    @property
    def acquisition_count(self) -> int:
        """Number of acquisitions in the scan."""
        return self.averages * self.interleaves * self.halves

    @property
    def acquisition_noise_std(self) -> float:
        """Standard deviation of the real and of the imaginary part of one acquired sample, mmol/L pixel."""
        return self.noise_std / math.sqrt(self.halves)

    @cached_property
    def weighting(self) -> SmoothField:
        """What multiplies the object: sensitivity of each coil, times the object's phase."""
        rng = self._rng(_FIELDS)
        phase = rng.uniform(0, 2 * math.pi)
        coils = uniform_coil(phase) if self.coils == 1 else surface_coils(self.coils, phase)
        return coils.times(smooth_phase(math.radians(self.object_phase), rng)) if self.object_phase else coils

    def sensitivities(self, points: ArrayLike) -> Complexes:
        """Sensitivity of each coil times the object's phase, (coils, ...), at points (..., 2) as (x, y) in mm."""
        return self.weighting.at(points)

    @cached_property
    def kspace(self) -> Complexes:
        """What the scan is to measure without noise: (coils, interleaves, samples), mmol/L pixel."""
        return self._kspace_of(self.calf)

    def acquisitions(
        self, order: str = LoopOrder.OUTERMOST, averages: range | None = None
    ) -> Iterator[VirtualAcquisition]:
        """The acquisitions of the scan; the two half-pulses of an interleaf always follow each other.

        Args:
            order: one of `LoopOrder`. Each acquisition is the same in either order, bit for bit.
            averages: of which; None: of all.

        Raises:
            BadInputError: the order is unknown.
        """
        averages = range(self.averages) if averages is None else averages
        interleaves = range(self.interleaves)
        pairs: Iterable[tuple[int, int]]
        if order == LoopOrder.OUTERMOST:
            pairs = ((average, interleaf) for average in averages for interleaf in interleaves)
        elif order == LoopOrder.INNERMOST:
            pairs = ((average, interleaf) for interleaf in interleaves for average in averages)
        else:
            raise BadInputError(f"order must be 'outermost' or 'innermost', not {order!r}")
        return (
            VirtualAcquisition(average, interleaf, half, self._acquire(average, interleaf, half))
            for average, interleaf in pairs
            for half in range(self.halves)
        )

    def noise_scan(self, samples: int, index: int = 0) -> Samples:
        """Receiver noise alone, as in one acquisition.

        Args:
            samples: how many a coil.
            index: other numbers give other noise.

        Returns:
            (coils, samples) complex64, of `acquisition_noise_std`.
        """
        return self._noise(self._rng(_NOISE_SCAN, index), samples)

    @cached_property
    def _clean(self) -> tuple[Complexes, ...]:
        """Noise-free k-space (coils, interleaves, samples) of each acquisition of an interleaf."""
        if not self.half_pulses:
            return (self.kspace,)
        outside: Complexes = np.zeros_like(self.kspace)
        if self.out_of_slice:
            stranger = random_calf(int(self._rng(_OUT_OF_SLICE).integers(2**31))).without_tubes()
            outside = self.out_of_slice * self._kspace_of(stranger)
        turn = np.exp(1j * math.radians(self.half_pulse_phase))
        return self.kspace / 2 + outside, (self.kspace / 2 - outside) * turn

    def _kspace_of(self, calf: Calf) -> Complexes:
        if self.physics:
            return self.physics.kspace(calf, self.weighting, self.trajectory, self.pixel)
        return self.weighting.weighted_kspace(partial(kspace, calf, pixel=self.pixel), self.trajectory)

    def _acquire(self, average: int, interleaf: int, half: int) -> Samples:
        clean = self._clean[half][:, interleaf]
        if not self.noise_std:
            return clean.astype(np.complex64)
        stream = (self.noise_stream,) if self.noise_stream else ()
        noise = self._noise(self._rng(_NOISE, average, interleaf, half, *stream), self.samples)
        return (clean + noise).astype(np.complex64)

    def _noise(self, rng: Generator, samples: int) -> Samples:
        parts = rng.standard_normal((self.coils, samples, 2), dtype=np.float32)
        noise: Samples = (parts * np.float32(self.acquisition_noise_std)).view(np.complex64)[..., 0]
        return noise

    def _rng(self, *purpose: int) -> Generator:
        """Randomness that depends on the seed and the purpose alone, not on what was drawn before."""
        return np.random.default_rng(SeedSequence(self.seed, spawn_key=purpose))
