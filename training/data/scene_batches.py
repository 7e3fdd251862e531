"""Which scenes make up a step: batches drawn from (seed, purpose, step, place in the batch) alone."""

from __future__ import annotations

import numpy as np
import torch

from nadenoise_core.sampling import SpiralDesign, sample_weights
from training.config import ScenePairSettings
from training.data.batches import Purpose
from training.data.objects import Objects
from training.data.scanner import Readout, Scanner
from training.data.scenes import Batch, Scenes

EPOCH_IMAGES = 4000  # endless scenes have no epoch; this many are called one
_AHEAD = 8  # steps whose scenes are drawn at once, which keeps a GPU busy


class SceneBatches:
    """Endless batches of fresh scenes, two images an object.

    Args:
        scenes: draws them.
        size: images a step.
        seed: of everything.
        purpose: TRAINING or STATISTICS.
    """

    def __init__(self, scenes: Scenes, size: int, seed: int, purpose: Purpose = Purpose.TRAINING) -> None:
        self.scenes, self.size, self.seed, self.purpose = scenes, size, seed, purpose
        self._block = 0  # steps `_AHEAD * _block` on, whose micro-batches are at hand
        self._drawn: dict[range, Batch] = {}

    @property
    def steps_per_epoch(self) -> int:
        """Of what is called an epoch."""
        return max(1, EPOCH_IMAGES // self.size)

    def part(self, step: int, places: range) -> Batch:
        """The scenes at these places of a step's batch."""
        block, within = divmod(step, _AHEAD)
        count = len(places) // 2
        if block != self._block:
            self._block, self._drawn = block, {}
        if places not in self._drawn:
            self._drawn[places] = self._batch((self.seed, self.purpose, block, places.start), _AHEAD * count)
        return self._drawn[places].objects(within * count, (within + 1) * count)

    def fixed(self, images: int | None) -> list[Batch]:
        """The same scenes whenever asked, to validate on."""
        count = max(1, (images or EPOCH_IMAGES) // self.size)
        return [self._batch((self.seed, Purpose.VALIDATION, number), self.size // 2) for number in range(count)]

    def _batch(self, key: tuple[int, ...], objects: int) -> Batch:
        seed = int(np.random.default_rng(key).integers(2**63))
        return self.scenes.draw(torch.Generator(self.scenes.device).manual_seed(seed), objects)


def make_scenes(
    settings: ScenePairSettings, objects: Objects, design: SpiralDesign, device: torch.device | None = None
) -> Scenes:
    """Scenes scanned by a spiral, on a field wider than the design's by the context that the network sees."""
    pixel = design.field_of_view / design.matrix
    trajectory = design.trajectory() * pixel
    interleaves, samples = trajectory.shape[:2]
    readout = Readout(
        trajectory.reshape(-1, 2),
        np.asarray(sample_weights(trajectory, (design.matrix, design.matrix)), np.float64).ravel(),
        np.tile(1e-3 * design.dwell_time * np.arange(samples), interleaves),
    )
    wide = design.matrix + 2 * settings.context
    return Scenes(objects, Scanner(readout, wide, device or torch.device("cpu")), settings, pixel)
