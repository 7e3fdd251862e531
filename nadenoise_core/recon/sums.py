"""Sums of repeated readouts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import RawDataError

_NAMED = 6  # interleaves in a message


@dataclass
class Sum:
    """Sum of the repeats of one readout."""

    total: NDArray[np.complex128]  # (coils, samples)
    power: NDArray[np.complex128]  # (coils, coils) sum of outer samples times outer samples, conjugated
    count: int = 0
    copies: int = 0  # of readouts that are in it

    @classmethod
    def of(cls, coils: int, samples: int) -> Sum:
        return cls(np.zeros((coils, samples), np.complex128), np.zeros((coils, coils), np.complex128))

    def add(self, other: Sum) -> None:
        self.total += other.total
        self.power += other.power
        self.count += other.count
        self.copies += other.copies


def complete(sums: list[list[Sum | None]], interleaves: Sequence[int], half_pulses: Sequence[int]) -> list[list[Sum]]:
    """The sums of every interleaf and half-pulse, of which none is missing.

    Args:
        sums: by interleaf and half-pulse; None where nothing came.
        interleaves, half_pulses: their names.

    Raises:
        RawDataError: one is missing; the message names it.
    """
    columns = zip(half_pulses, zip(*sums, strict=True), strict=True)
    came = {half: [readout is not None for readout in column] for half, column in columns}
    never = [half for half, of_interleaves in came.items() if not any(of_interleaves)]
    if never and any(all(of_interleaves) for of_interleaves in came.values()):
        raise RawDataError(
            f"half-pulse {never[0]} never came; where another counter counts half-pulses, set half_pulse_counter in "
            "'accumulate' to it, and where there are none, to none"
        )
    empty = [f"{i}" for i, halves in zip(interleaves, sums, strict=True) if any(readout is None for readout in halves)]
    if empty:
        more = f" and {len(empty) - _NAMED} more" if len(empty) > _NAMED else ""
        named = f"interleaf {', '.join(empty[:_NAMED])}{more} of {len(interleaves)} (counted from {min(interleaves)})"
        raise RawDataError(
            f"{named} never came; an image needs all interleaves: check that the raw file is complete; where it is, "
            "set interleaves in 'accumulate' to the number of those that there are"
        )
    return [[readout for readout in halves if readout is not None] for halves in sums]
