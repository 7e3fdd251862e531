"""Averages turned back to the phase of the first one, where the scanner's frequency drifts between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import RawDataError
from nadenoise_core.mrd.sorting import Sorted

_Key = tuple[int, int]  # interleaf, half-pulse
_MOST_HELD = 1 << 30  # bytes of averages that are not complete


class AveragePhaser:
    """Holds the readouts of an average until all have come, and turns them by their common phase.

    The phase is that of the inner product with the readouts of the first complete average: one phase of a whole
    average, which noise hardly moves, while one of every readout would draw its noise to the reference. Where all
    averages of an interleaf come before the next interleaf, all are held; what differs between interleaves then stays.

    Args:
        readouts: how many there are of one average; None where that is not known before the end.
    """

    def __init__(self, readouts: Callable[[], int | None]) -> None:
        self._readouts = readouts
        self._held: dict[int, dict[_Key, Sorted]] = {}
        self._reference: dict[_Key, NDArray[np.complex64]] = {}
        self._size = 0

    def add(self, item: Sorted) -> list[Sorted]:
        """Take a readout; give those of the average that is complete with it.

        Raises:
            RawDataError: averages are mixed, and too large to be held.
        """
        readout = item.readout
        key = readout.interleaf, readout.half
        if item.instead_of is not None:
            if key not in self._held.get(readout.average, {}):
                self._reference[key] = readout.samples
                return [item]
            item = replace(item, instead_of=None)
        held = self._held.setdefault(readout.average, {})
        held[key] = item
        self._size += readout.samples.nbytes
        if len(held) == self._readouts():
            return self._release(readout.average)
        if self._size > _MOST_HELD:
            raise RawDataError(
                f"{readout.name}: averages are mixed and take more than {_MOST_HELD >> 20} MiB, and "
                "correct_average_phase holds them until they are complete; set it to false"
            )
        return []

    def finish(self) -> list[Sorted]:
        """What is left of incomplete averages."""
        return [item for average in sorted(self._held) for item in self._release(average)]

    def _release(self, average: int) -> list[Sorted]:
        held = self._held.pop(average)
        self._size -= sum(item.readout.samples.nbytes for item in held.values())
        common = [key for key in held if key in self._reference]
        product = sum(complex(np.vdot(self._reference[key], held[key].readout.samples)) for key in common)
        turn = np.complex64(np.conj(product) / abs(product)) if product else np.complex64(1)
        turned = []
        for key, item in held.items():
            samples = item.readout.samples * turn if common else item.readout.samples
            self._reference.setdefault(key, samples)
            turned.append(replace(item, readout=replace(item.readout, samples=samples)))
        return turned
