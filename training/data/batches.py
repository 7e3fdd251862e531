"""Which pairs make up a step.

Every pair is drawn from (seed, purpose, step, place in the batch) alone, so results depend neither on how many
processes share a batch out nor on what was drawn before.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from training.data.pairs import Pairs

Batch = tuple[NDArray[np.float32], NDArray[np.float32]]  # noisy and clean, (pairs, channels, matrix, matrix) each


class Purpose(IntEnum):
    """What random numbers are for: those of two purposes share nothing."""

    TRAINING = 0
    VALIDATION = 1
    STATISTICS = 2
    ORDER = 3
    LEVELS = 4


@dataclass(frozen=True)
class Batches:
    """Endless batches of fresh pairs; an epoch goes once through the images, in an order of its own.

    Args:
        pairs: makes them.
        size: pairs a step.
        seed: of everything.
        purpose: TRAINING or STATISTICS.
    """

    pairs: Pairs
    size: int
    seed: int
    purpose: Purpose = Purpose.TRAINING

    @property
    def steps_per_epoch(self) -> int:
        return max(1, len(self.pairs) // self.size)

    def part(self, step: int, places: range) -> Batch:
        """The pairs at these places of a step's batch."""
        chosen, quantiles = self._chosen(step)
        return _stack(
            self.pairs,
            [(np.random.default_rng((self.seed, self.purpose, step, p)), chosen[p], quantiles[p]) for p in places],
        )

    def _chosen(self, step: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Image and noise level of every place; the levels are spread over equal shares of their range."""
        epoch, within = divmod(step, self.steps_per_epoch)
        order = _order(len(self.pairs), self.seed, self.purpose, epoch)
        images = order[np.arange(within * self.size, (within + 1) * self.size) % len(order)]
        rng = np.random.default_rng((self.seed, Purpose.LEVELS, self.purpose, step))
        return images, (rng.permutation(self.size) + rng.random(self.size)) / self.size


def fixed_batches(pairs: Pairs, count: int | None, size: int, seed: int) -> list[Batch]:
    """The same pairs whenever asked: the first `count` images (all for None), once each, in batches of `size`."""
    number = min(count or len(pairs), len(pairs))
    levels = (np.random.default_rng((seed, Purpose.LEVELS, Purpose.VALIDATION)).permutation(number) + 0.5) / number
    members = [(np.random.default_rng((seed, Purpose.VALIDATION, 0, p)), p, levels[p]) for p in range(number)]
    return [_stack(pairs, members[start : start + size]) for start in range(0, number, size)]


def _stack(pairs: Pairs, members: list[tuple[np.random.Generator, int, float]]) -> Batch:
    drawn = [pairs.pair(rng, int(index), float(quantile)) for rng, index, quantile in members]
    return np.stack([noisy for noisy, _ in drawn]), np.stack([clean for _, clean in drawn])


@lru_cache(maxsize=4)
def _order(count: int, seed: int, purpose: Purpose, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, Purpose.ORDER, purpose, epoch)).permutation(count)
