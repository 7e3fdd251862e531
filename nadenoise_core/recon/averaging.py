"""Averaging in k-space, as the readouts arrive, with the noise level that the repeats themselves tell.

Averaging commutes with the NUFFT, so sums are kept and no single average is, but the first of every readout, with
which the phases of the others are compared. Readouts may come in any order, twice, or not at all. Sums are kept apart
only between the numbers of averages at which an image is wanted; memory does not grow with the number of averages.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.recon.averaged import AveragedKspace
from nadenoise_core.recon.coils import sample_variance
from nadenoise_core.recon.limit import samples_at_limit
from nadenoise_core.recon.phase import bulk_phase, likeness
from nadenoise_core.recon.repeats import RepeatComparison, Repeats, most_uneven
from nadenoise_core.recon.sums import Sum, complete

_Key = tuple[int, int]  # interleaf, half-pulse
_ROUNDING = 1e-12  # of the signal's power: what repeats without noise differ by


@dataclass
class KspaceAverager:
    """Running sums of interleaves (and their half-pulses) over averages.

    Args:
        levels: rising numbers of averages at which an image is wanted; averages are counted from 0, and the image
            of level n is made of the averages 0 to n - 1, whatever the order of arrival.
        noise_samples: which samples of a readout tell the noise: the outer part of k-space, where there is little
            signal that could drift between averages.
        groups: how many sets of averages are summed apart, in turn, so that each can be left out of a mean.
    """

    levels: tuple[int, ...]
    noise_samples: slice | NDArray[np.intp]
    groups: int = 1
    _sums: dict[tuple[int, int, int, int, int], Sum] = field(default_factory=dict)
    _seen: dict[_Key, int] = field(default_factory=dict)
    _comparison: RepeatComparison = field(init=False)
    _counted: list[int] = field(default_factory=list)
    _places: dict[int, int] = field(default_factory=dict)  # how many each interleaf has, if more than one
    held: int = 0  # bytes of the sums

    def __post_init__(self) -> None:
        self._counted = [0] * (len(self.levels) + 1)
        self._comparison = RepeatComparison(self.noise_samples)

    def add(
        self,
        average: int,
        interleaf: int,
        half: int,
        samples: NDArray[np.complex64],
        is_copy: bool = False,
        place: int = 0,
    ) -> bool:
        """Take one readout, (coils, samples); False if that average of it was there already and it is left out.

        A copy of another average counts as having come, but is no repeat: it is not summed. Readouts of one interleaf
        that were taken at different places are summed apart.
        """
        bit = 1 << average
        seen = self._seen.get((interleaf, half), 0)
        if seen & bit:
            return False
        self._seen[interleaf, half] = seen | bit
        self._counted[bisect_right(self.levels, average)] += 1
        readout = self._sum_of(average, interleaf, half, samples, place)
        if is_copy:
            readout.copies += 1
            return True
        self._put(readout, samples)
        self.held += self._comparison.add((interleaf, half), average, samples)
        return True

    def replace(
        self,
        average: int,
        interleaf: int,
        half: int,
        samples: tuple[NDArray[np.complex64], NDArray[np.complex64]],
        places: tuple[int, int] = (0, 0),
    ) -> None:
        """Put other samples in the place of a readout that was added, the first of its interleaf and half-pulse.

        Args:
            average, interleaf, half: as of `add`.
            samples, places: the old and the new.
        """
        old, new = samples
        self._put(self._sum_of(average, interleaf, half, old, places[0]), old, np.subtract, -1)
        self._put(self._sum_of(average, interleaf, half, new, places[1]), new)
        self._comparison.put_first((interleaf, half), average, new)

    @property
    def is_scattered(self) -> bool:
        """Whether some interleaf was taken at several places."""
        return bool(self._places)

    def is_complete(self, level: int, readouts: int) -> bool:
        """Whether all of `readouts` (interleaves times half-pulses) have all averages below `level`."""
        return sum(self._counted[: self.levels.index(level) + 1]) == level * readouts

    @property
    def interleaves(self) -> tuple[int, ...]:
        """The interleaves that came, rising."""
        return tuple(sorted({interleaf for interleaf, _ in self._seen}))

    @property
    def half_pulses(self) -> tuple[int, ...]:
        """The half-pulses that came, rising."""
        return tuple(sorted({half for _, half in self._seen}))

    @property
    def averages(self) -> int:
        """One more than the highest average seen."""
        return max((seen.bit_length() for seen in self._seen.values()), default=0)

    @property
    def first_average(self) -> int:
        """The lowest average seen: 1 where they are counted from 1."""
        return min(((seen & -seen).bit_length() - 1 for seen in self._seen.values()), default=0)

    def samples_at_limit(self, averaged: AveragedKspace) -> float:
        """How many samples of a readout were cut at a largest value, see the function of that name.

        Args:
            averaged: of which the noise is told.
        """
        return samples_at_limit(self._comparison.some_readouts(), sample_variance(averaged.noise_covariance))

    def missing(
        self, level: int, interleaves: Sequence[int], half_pulses: Sequence[int], first: int = 0
    ) -> dict[_Key, int]:
        """How many averages are missing, by (interleaf, half-pulse), from `first` to below `level`; 0 is left out."""
        mask = (1 << level) - (1 << first) if level > first else 0
        wanted = max(level - first, 0)
        lost = {
            (i, h): wanted - (self._seen.get((i, h), 0) & mask).bit_count() for i in interleaves for h in half_pulses
        }
        return {key: count for key, count in lost.items() if count}

    def average(
        self,
        level: int,
        interleaves: Sequence[int],
        half_pulses: Sequence[int],
        correct_half_pulse_phase: bool = False,
        without: int | None = None,
    ) -> AveragedKspace:
        """The mean of the averages below `level` that are there.

        Args:
            level: one of `levels`, or any number above the last for all that came.
            interleaves, half_pulses: those that there must be.
            correct_half_pulse_phase: turn the second half-pulse back by its bulk phase before the sum.
            without: a group of averages to leave out, counted from 0; None for none.

        Raises:
            RawDataError: an interleaf without any readout; the message names it.
        """
        sums = [[self._sum_below(level, i, h, without) for h in half_pulses] for i in interleaves]
        readouts = complete(sums, interleaves, half_pulses)
        # Where all repeats are copies there is no noise, and they count as averages.
        noiseless = all(readout.count == 1 for halves in readouts for readout in halves)
        counts = np.array([[r.count + (r.copies if noiseless else 0) for r in halves] for halves in readouts])
        means = np.array([[readout.total / readout.count for readout in halves] for halves in readouts])
        covariance = self._noise_covariance(readouts)
        if noiseless and counts.max() > 1:
            covariance = np.zeros_like(covariance)
        variance = sample_variance(covariance)
        phase, phase_error, ratio = 0.0, 0.0, float("nan")
        if len(half_pulses) == 2:
            of_mean = variance / float(counts.mean())
            phase, phase_error = bulk_phase(means[:, 0], means[:, 1], of_mean)
            ratio = likeness(means[:, 0], means[:, 1], of_mean)
        if correct_half_pulse_phase:
            means[:, 1:] *= np.exp(-1j * phase)
        averaged = AveragedKspace(
            kspace=np.ascontiguousarray(means.sum(axis=1).swapaxes(0, 1), dtype=np.complex64),
            averages=counts.min(axis=1),
            noise_std=np.sqrt(variance * (1 / counts).sum(axis=1)),
            half_pulse_phase=float(np.degrees(phase)),
            half_pulse_phase_error=float(np.degrees(phase_error)),
            noise_covariance=covariance,
            half_pulse_ratio=ratio,
            repeats=self._repeats(level, variance, readouts, interleaves),
            arms=tuple((interleaf, 0) for interleaf in interleaves),
        )
        return self._scattered(averaged, level, half_pulses[0], variance) if self.is_scattered else averaged

    def _scattered(self, averaged: AveragedKspace, level: int, half: int, variance: float) -> AveragedKspace:
        """The mean at every place by itself: one cannot take the mean of samples that lie apart."""
        averages, arms, sums = [], [], []
        for (interleaf, _), count in zip(averaged.arms, averaged.averages, strict=True):
            for place in range(self._places.get(interleaf, 1)):
                total = self._sum_below(level, interleaf, half, None, place)
                if total is not None:
                    averages.append(count)
                    arms.append((interleaf, place))
                    sums.append(total)
        means = np.array([total.total / total.count for total in sums], np.complex64)
        return replace(
            averaged,
            kspace=np.ascontiguousarray(means.swapaxes(0, 1)),
            averages=np.array(averages),
            noise_std=np.sqrt(variance / np.array([total.count for total in sums])),
            arms=tuple(arms),
        )

    def _sum_of(self, average: int, interleaf: int, half: int, samples: NDArray[np.complex64], place: int) -> Sum:
        if place:
            self._places[interleaf] = max(self._places.get(interleaf, 1), place + 1)
        key = (interleaf, half, bisect_right(self.levels, average), average % self.groups, place)
        readout = self._sums.get(key)
        if readout is None:
            readout = self._sums[key] = Sum.of(*samples.shape)
            self.held += readout.total.nbytes + readout.power.nbytes
        return readout

    def _put(self, readout: Sum, samples: NDArray[np.complex64], change: np.ufunc = np.add, count: int = 1) -> None:
        """Add a readout to a sum, or take it out again."""
        change(readout.total, samples, out=readout.total)
        outer = samples[:, self.noise_samples].astype(np.complex128)
        change(readout.power, outer @ outer.conj().T, out=readout.power)
        readout.count += count

    def _repeats(self, level: int, variance: float, readouts: list[list[Sum]], interleaves: Sequence[int]) -> Repeats:
        uneven, worst = most_uneven(readouts, self.noise_samples)
        compared = self._comparison.repeats(level, variance)
        return replace(compared, uneven=uneven, uneven_interleaf=interleaves[worst])

    def _sum_below(
        self, level: int, interleaf: int, half: int, without: int | None, place: int | None = None
    ) -> Sum | None:
        """The sum of the averages below `level`, but of a group, at one place or all."""
        total: Sum | None = None
        places = range(self._places.get(interleaf, 1)) if place is None else (place,)
        for span, group, at in product(range(bisect_right(self.levels, level - 1) + 1), range(self.groups), places):
            part = self._sums.get((interleaf, half, span, group, at))
            if part is not None and part.count + part.copies and group != without:
                total = total or Sum.of(*part.total.shape)
                total.add(part)
        return total if total is not None and total.count else None

    def _noise_covariance(self, readouts: list[list[Sum]]) -> NDArray[np.complex128]:
        """Covariance of the coils' noise in one sample of one readout, pooled over all; NaN without repeats."""
        scatter, freedom = np.zeros_like(readouts[0][0].power), 0
        for readout in (readout for halves in readouts for readout in halves):
            outer = readout.total[:, self.noise_samples]
            scatter += readout.power - outer @ outer.conj().T / readout.count
            freedom += outer.shape[1] * (readout.count - 1)
        if freedom < len(scatter):
            return np.full_like(scatter, np.nan)
        power = sum(readout.power.trace().real for halves in readouts for readout in halves)
        noiseless = scatter.trace().real <= _ROUNDING * power
        return np.zeros_like(scatter) if noiseless else np.asarray(scatter / freedom)
