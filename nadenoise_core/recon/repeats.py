"""Whether the averages of a readout repeat one another: in phase, in strength, and in shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.recon.limit import FEW
from nadenoise_core.recon.phase import PhaseLoss, phase_loss
from nadenoise_core.recon.sums import Sum

_Key = tuple[int, int]  # interleaf, half-pulse
_CERTAIN = 10.0  # standard errors of an energy by noise, above which it is signal


def _energy(samples: NDArray[np.complex64]) -> float:
    return float(np.vdot(samples, samples).real)


@dataclass(frozen=True)
class Repeats:
    """How the averages compare with the first of their kind.

    Attributes:
        phase_loss: what their phases cost.
        strength: how many times as strong the one is that differs most; 1 where none certainly does.
        strangest: its number, counted from 0.
        agreement: 1 where all have the shape of the first, 0 where none has; the median over the averages. NaN where
            there is too little signal to tell.
        uneven: how many times as much the averages of one interleaf scatter as those of the others, where that is
            most; 1 where none certainly does.
        uneven_interleaf: its number.
        noise_correlation: of neighbouring samples; 0 where it is not certainly another.
    """

    phase_loss: PhaseLoss = PhaseLoss()
    strength: float = 1.0
    strangest: int = 0
    agreement: float = float("nan")
    uneven: float = 1.0
    uneven_interleaf: int = 0
    noise_correlation: float = 0.0


@dataclass(frozen=True)
class _First:
    """The first readout of an interleaf and half-pulse."""

    average: int
    samples: NDArray[np.complex64]
    energy: float


@dataclass
class _Compared:
    """The readouts of one average against those that came first: inner product, energies, and complex samples."""

    product: complex = 0j
    own: float = 0.0
    first: float = 0.0
    samples: int = 0


@dataclass
class _Neighbours:
    """Differences of repeats, which are noise: products of neighbouring samples, power, and complex samples."""

    product: complex = 0j
    power: float = 0.0
    samples: int = 0

    def add(self, difference: NDArray[np.complex64]) -> None:
        self.product += complex(np.vdot(difference[:, :-1], difference[:, 1:]))
        self.power += _energy(difference)
        self.samples += difference.size

    @property
    def correlation(self) -> float:
        certain = abs(self.product) > _CERTAIN * self.power / max(self.samples, 1) ** 0.5
        return self.product.real / self.power if certain else 0.0


@dataclass
class RepeatComparison:
    """Compares every readout with the first of its interleaf and half-pulse, which is kept.

    Args:
        noise_samples: which samples of a readout tell the noise, see `KspaceAverager`.
    """

    noise_samples: slice | NDArray[np.intp]
    _first: dict[_Key, _First] = field(default_factory=dict)
    _compared: dict[int, dict[int, _Compared]] = field(default_factory=dict)  # by the average of the first
    _neighbours: _Neighbours = field(default_factory=_Neighbours)

    def add(self, key: _Key, average: int, samples: NDArray[np.complex64]) -> int:
        """Take a readout; how many bytes of it are kept."""
        first = self._first.get(key)
        if first is None:
            self.put_first(key, average, samples)
            return samples.nbytes
        if first.average != average:
            compared = self._compared.setdefault(first.average, {}).setdefault(average, _Compared())
            compared.product += complex(np.vdot(first.samples, samples))
            compared.own += _energy(samples)
            compared.first += first.energy
            compared.samples += samples.size
            self._neighbours.add(samples[:, self.noise_samples] - first.samples[:, self.noise_samples])
        return 0

    def put_first(self, key: _Key, average: int, samples: NDArray[np.complex64]) -> None:
        """Take a readout as the first, whatever was."""
        self._first[key] = _First(average, samples, _energy(samples))

    def some_readouts(self) -> NDArray[np.complex64]:
        """As many of those that came first as tell whether samples were cut, (readouts, coils, samples)."""
        return np.array([first.samples for first in islice(self._first.values(), FEW)])

    def repeats(self, level: int, variance: float) -> Repeats:
        """How the averages below `level` compare, by the average that most readouts have come first of.

        Args:
            level: number of averages.
            variance: of the real part of the noise of a sample.
        """
        reference = max(self._compared, key=lambda number: len(self._compared[number]), default=None)
        if reference is None:
            return Repeats()
        compared = self._compared[reference]
        within = {number: part for number, part in compared.items() if number < level}
        products = {number: part.product for number, part in within.items()}
        energies = {number: 2 * part.first for number, part in within.items()}  # repeats are equally strong
        loss = phase_loss(products, energies, variance)
        if not within or not variance >= 0:
            return Repeats(loss)
        strengths = {number: _strength(part, 2 * variance) for number, part in within.items()}
        strangest = max(strengths, key=lambda number: abs(_log_of(strengths[number])))
        agreement = _agreement(list(within.values()), 2 * variance)
        correlation = self._neighbours.correlation
        return Repeats(loss, strengths[strangest], strangest, agreement, noise_correlation=correlation)


def most_uneven(readouts: Sequence[Sequence[Sum]], outer: slice | NDArray[np.intp]) -> tuple[float, int]:
    """How many times as much the repeats of one interleaf scatter as those of all, where that is most, and its place.

    Args:
        readouts: by interleaf and half-pulse.
        outer: the samples of which the sums have the power.
    """
    scatters, freedoms = np.zeros(len(readouts)), np.zeros(len(readouts))
    for place, halves in enumerate(readouts):
        for readout in halves:
            total = readout.total[:, outer]
            scatters[place] += readout.power.trace().real - float(np.vdot(total, total).real) / readout.count
            freedoms[place] += total.shape[1] * (readout.count - 1)
    if not freedoms.all():
        return 1.0, 0
    each = scatters / freedoms
    usual = float(np.median(each))
    worst = int(each.argmax())
    certain = usual > 0 and each[worst] > usual * (1 + _CERTAIN / freedoms[worst] ** 0.5)
    return (float(each[worst] / usual), worst) if certain else (1.0, 0)


def _strength(part: _Compared, noise: float) -> float:
    """Of an average against the first, where it certainly is another; `noise` is the power in a sample."""
    own, first = part.own - part.samples * noise, part.first - part.samples * noise
    error = (2 * (part.samples * noise**2 + 2 * noise * max(own, first, 0.0))) ** 0.5
    if max(own, first) <= _CERTAIN * error or abs(own - first) <= _CERTAIN * error:
        return 1.0
    return float("inf") if first <= 0 else (max(own, 0.0) / first) ** 0.5


def _agreement(parts: Sequence[_Compared], noise: float) -> float:
    found = []
    for part in parts:
        own, first = part.own - part.samples * noise, part.first - part.samples * noise
        error = (part.samples * noise**2 + 2 * noise * max(own, first, 0.0)) ** 0.5
        if min(own, first) > _CERTAIN * error and min(own, first) > 0:
            found.append(abs(part.product) / (own * first) ** 0.5)
    return float(np.median(found)) if found else float("nan")


def _log_of(strength: float) -> float:
    return float(np.log(strength)) if strength > 0 else -float("inf")
