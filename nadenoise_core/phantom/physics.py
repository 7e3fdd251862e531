"""What becomes of the signal between excitation and sample: saturation, decay and off-resonance, in closed form.

Every tissue is its outline without its children's, so that signal which decays is a factor of each outline's k-space,
one for every sample. And the phase of a sinusoidal field map is, at every sample, a short sum of plane waves.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import jv

from nadenoise_core.errors import BadInputError
from nadenoise_core.phantom.calf import KINDS, Calf
from nadenoise_core.phantom.fields import PERIOD, SmoothField
from nadenoise_core.phantom.shapes import Complexes, Ellipse, Floats, fourier

LARGEST_OFF_RESONANCE = 1000.0
"""Hz, 30 ppm of sodium at 3 T; the number of plane waves grows with it."""

_NEGLIGIBLE = 1e-12


@dataclass(frozen=True)
class FieldMap:
    """Off-resonance: f(r) = offset + amplitude * sin(2 pi cycles.r / PERIOD + start).

    A spin at +f Hz gains the phase exp(-2 pi i f t), of the same sign as that of a gradient, exp(-2 pi i k.r). The
    time t is that since the first sample; no phase is gained before.

    Attributes:
        offset, amplitude: Hz.
        cycles: whole numbers along (x, y) in PERIOD, which is 400 mm.
        start: rad.

    Raises:
        BadInputError: a frequency beyond LARGEST_OFF_RESONANCE, cycles that are not whole, or no finite start.
    """

    offset: float = 0.0
    amplitude: float = 0.0
    cycles: tuple[int, int] = (2, 0)
    start: float = 0.0

    def __post_init__(self) -> None:
        for name in ("offset", "amplitude"):
            if not abs(getattr(self, name)) <= LARGEST_OFF_RESONANCE:
                raise BadInputError(
                    f"the {name} of a field map must be within {LARGEST_OFF_RESONANCE:g} Hz, not {getattr(self, name)}"
                )
        if len(self.cycles) != 2 or any(number != round(number) for number in self.cycles):
            raise BadInputError(f"the cycles of a field map must be two whole numbers, not {self.cycles}")
        if not math.isfinite(self.start):
            raise BadInputError(f"the start of a field map must be a number of rad, not {self.start}")

    def at(self, points: ArrayLike) -> Floats:
        """Frequency (...) in Hz at points (..., 2) as (x, y) in mm."""
        phase = 2 * np.pi / PERIOD * (np.asarray(points, np.float64) @ np.asarray(self.cycles)) + self.start
        frequency: Floats = self.offset + self.amplitude * np.sin(phase)
        return frequency

    def phase(self, times: Floats) -> SmoothField:
        """exp(-2 pi i f(r) t) as plane waves, by the Jacobi-Anger expansion exp(-i z sin u) = sum_n J_n(z) exp(-i n u).

        Args:
            times: (samples,) since the first sample, ms.

        Returns:
            A field with one channel a sample, to better than 1e-10.
        """
        swing = 2e-3 * np.pi * self.amplitude * times
        largest = float(np.abs(swing).max())
        reach = math.ceil(largest + 12 * (1 + largest ** (1 / 3)))  # beyond it J_n falls faster than exponentially
        order = np.arange(-reach, reach + 1)
        bessel = jv(order, swing[:, None])
        kept = np.abs(bessel).max(axis=0) > _NEGLIGIBLE
        carrier = np.exp(-2e-3j * np.pi * self.offset * times)
        amplitudes = carrier[:, None] * bessel[:, kept] * np.exp(-1j * self.start * order[kept])
        return SmoothField(-order[kept, None] * np.asarray(self.cycles, np.int64), amplitudes)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, for JSON; with the period of one cycle in mm."""
        return asdict(self) | {"period": PERIOD}


@dataclass(frozen=True)
class RelaxationTimes:
    """How the signal of one kind of tissue returns and decays.

    Attributes:
        t1: ms.
        t2_star: components as (share, ms); the shares are 1 together.

    Raises:
        BadInputError: a time is not positive, or the shares are not.
    """

    t1: float
    t2_star: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        if not all(math.isfinite(time) and time > 0 for time in (self.t1, *(time for _, time in self.t2_star))):
            raise BadInputError(f"relaxation times must be positive numbers of ms, not {self}")
        shares = [share for share, _ in self.t2_star]
        if not all(share >= 0 for share in shares) or not math.isclose(sum(shares), 1, abs_tol=1e-6):
            raise BadInputError(f"the shares of T2* must be 0 or more, and 1 together, not {shares}")


# Round numbers for illustration, within what is reported for tissue in vivo: T1 of 15 to 40 ms, T2* of 0.5 to 4 and of
# 10 to 30 ms (Madelin et al., Prog Nucl Magn Reson Spectrosc 79:14, 2014; Pabst et al., J Magn Reson Imaging 15:215,
# 2002, for blood). 60 % decay fast, as spins of 3/2 do in slow motion (Hubbard, J Chem Phys 53:985, 1970). Sodium in
# the tubes' water moves freely and has one T2*.
ILLUSTRATIVE_TIMES: Mapping[str, RelaxationTimes] = {
    "skin": RelaxationTimes(30.0, ((0.6, 1.5), (0.4, 12.0))),
    "fat": RelaxationTimes(30.0, ((0.6, 2.0), (0.4, 12.0))),
    "muscle": RelaxationTimes(35.0, ((0.6, 2.5), (0.4, 15.0))),
    "bone": RelaxationTimes(20.0, ((0.6, 1.0), (0.4, 10.0))),
    "vessel": RelaxationTimes(31.0, ((0.6, 3.0), (0.4, 18.0))),
    "tube": RelaxationTimes(55.0, ((1.0, 40.0),)),
}

GEL_TIMES = RelaxationTimes(35.0, ((0.6, 3.0), (0.4, 14.0)))
"""Of gel in a reference tube, made so that its sodium relaxes as that of tissue (Rot et al., NMR Biomed, 2025, doi
10.1002/nbm.70056); round numbers for illustration, as above."""


@dataclass(frozen=True)
class Relaxation:
    """Saturation in the spoiled steady state, and decay from excitation through the readout.

    Attributes:
        repetition_time: between two excitations, ms; half-pulses are two.
        flip_angle: degrees.
        echo_time: from excitation to the first sample, ms.
        times: of every kind of tissue (`calf.KINDS`), and of "tube".

    Raises:
        BadInputError: a number is out of range, or a kind of tissue is missing.
    """

    repetition_time: float
    flip_angle: float
    echo_time: float
    times: Mapping[str, RelaxationTimes] = field(default_factory=lambda: dict(ILLUSTRATIVE_TIMES))

    def __post_init__(self) -> None:
        if not (math.isfinite(self.repetition_time) and self.repetition_time > 0):
            raise BadInputError(f"the repetition time must be a positive number of ms, not {self.repetition_time}")
        if not (math.isfinite(self.echo_time) and self.echo_time >= 0):
            raise BadInputError(f"the echo time must be 0 ms or more, not {self.echo_time}")
        if not 0 < self.flip_angle < 180:
            raise BadInputError(f"the flip angle must lie between 0 and 180 degrees, not {self.flip_angle}")
        missing = [kind for kind in (*KINDS, "tube") if kind not in self.times]
        if missing:
            raise BadInputError(f"relaxation times are missing of {', '.join(missing)}")

    def saturation(self, kind: str) -> float:
        """Transverse magnetisation after an excitation, as a part of the fully relaxed magnetisation.

        With E1 = exp(-TR / T1) it is sin(a) (1 - E1) / (1 - cos(a) E1) (Ernst and Anderson, Rev Sci Instrum 37:93,
        1966).
        """
        angle, left = math.radians(self.flip_angle), math.exp(-self.repetition_time / self.times[kind].t1)
        return math.sin(angle) * (1 - left) / (1 - math.cos(angle) * left)

    def signal(self, kind: str, times: Floats) -> Floats:
        """Signal of a unit concentration: saturation * sum of share * exp(-(TE + t) / T2*).

        Args:
            kind: of tissue, or "tube".
            times: (samples,) since the first sample, ms.

        Returns:
            (samples,); 1 is a fully relaxed magnetisation that has not decayed.
        """
        share, time = np.asarray(self.times[kind].t2_star).T
        decay: Floats = np.exp(-np.divide.outer(self.echo_time + times, time)) @ share
        return self.saturation(kind) * decay

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, for JSON; with the saturation of every kind."""
        described = asdict(self)
        for kind, times in described["times"].items():
            times["saturation"] = self.saturation(kind)
        return described


@dataclass(frozen=True)
class Physics:
    """What a virtual scan sees besides gradients, coils and noise.

    Attributes:
        dwell_time: between two samples, us; the first is taken at the time 0.
        field_map: off-resonance.
        relaxation: None: all tissues are fully relaxed and never decay.

    Raises:
        BadInputError: the dwell time is not positive.
    """

    dwell_time: float
    field_map: FieldMap = FieldMap()
    relaxation: Relaxation | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.dwell_time) and self.dwell_time > 0):
            raise BadInputError(f"the dwell time must be a positive number of us, not {self.dwell_time}")

    def kspace(self, calf: Calf, weighting: SmoothField, trajectory: NDArray[np.float64], pixel: float) -> Complexes:
        """Exact k-space of a calf.

        Args:
            calf: the individual.
            weighting: sensitivities of the coils times the object's phase.
            trajectory: (interleaves, samples, 2) as (kx, ky) in cycles/mm.
            pixel: size of an image pixel, mm.

        Returns:
            (coils, interleaves, samples) in mmol/L pixel, as `truth.kspace`.
        """
        times: Floats = 1e-3 * self.dwell_time * np.arange(trajectory.shape[1], dtype=np.float64)
        parts = list(self._parts(calf, times))
        total = np.zeros((len(weighting.amplitudes), *trajectory.shape[:-1]), np.complex128)
        for wave, amplitudes in _product(weighting, self.field_map.phase(times)).items():
            shifted = trajectory - np.asarray(wave) / PERIOD
            seen = np.zeros(trajectory.shape[:-1], np.complex128)
            for outline, lean, signal in parts:
                part = signal * fourier([outline], shifted)
                seen += part * calf.profile.transform(shifted @ np.asarray(lean)) if any(lean) else part
            total += amplitudes[:, None] * seen
        return np.asarray(total / pixel**2)

    def _parts(self, calf: Calf, times: Floats) -> Iterator[tuple[Ellipse, tuple[float, float], Floats]]:
        """Outlines of value 1, their lean, and the signal (samples,) of each beyond that of what encloses it."""

        def signal_of(kind: str, concentration: float) -> Floats:
            return concentration * (self.relaxation.signal(kind, times) if self.relaxation else np.ones_like(times))

        signals: dict[str | None, Floats] = {None: np.zeros_like(times)}
        for tissue in calf.tissues:
            signals[tissue.name] = signal_of(tissue.kind, tissue.concentration)
            yield replace(tissue.outline, value=1.0), (0.0, 0.0), signals[tissue.name] - signals[tissue.parent]
        for tube in calf.tubes:
            yield replace(tube.outline, value=1.0), tube.lean, signal_of("tube", tube.concentration)


def _product(weighting: SmoothField, phase: SmoothField) -> dict[tuple[int, ...], Complexes]:
    """Amplitudes (coils, samples) of every wave in the product of two fields; the second has a channel a sample."""
    product: dict[tuple[int, ...], Complexes] = {}
    for wave, amplitudes in zip(weighting.waves, weighting.amplitudes.T, strict=True):
        for turn, shares in zip(phase.waves, phase.amplitudes.T, strict=True):
            key = tuple((wave + turn).tolist())
            product[key] = product.get(key, 0) + np.multiply.outer(amplitudes, shares)
    return product
