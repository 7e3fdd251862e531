"""The bench: denoisers beside one another on legs, volunteers and other objects, at several numbers of averages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.data.kspace import SpiralNoise
from training.evaluation import others
from training.evaluation.evaluate import rounded
from training.evaluation.frontier import (
    Bench,
    Denoise,
    Images,
    ObjectBench,
    Row,
    independent_legs,
    phantom_legs,
    volunteer_legs,
)
from training.evaluation.independent import transform

CONTEXT = 12  # pixels around the matrix that denoisers may see
OBJECTS = ("cartilage", "brain", "points", "bars")


@dataclass(frozen=True)
class Entry:
    """A denoiser of the bench.

    Attributes:
        name: in the tables.
        denoise: complex images and the noise of their real part.
        context: pixels around the matrix that it is given, at most CONTEXT.
    """

    name: str
    denoise: Denoise
    context: int = CONTEXT


@dataclass(frozen=True)
class Result:
    """One denoiser at one number of averages: figures of every kind of leg, and errors of other objects, mmol/L."""

    name: str
    averages: int
    legs: dict[str, Row]
    objects: dict[str, float]


class Field:
    """All that is measured on: independent legs, virtual calves, calibrated volunteers, and other objects.

    Args:
        seed: of the first leg of every kind, and of the noise of objects.
        count: legs of every kind.
        head: a real sodium head, NIfTI, as one object more.
    """

    def __init__(self, seed: int, count: int, head: Path | None = None) -> None:
        noise = SpiralNoise()
        self.seed, self.count, self.matrix = seed, count, noise.matrix
        wide = noise.matrix + 2 * CONTEXT
        seeds = range(seed, seed + count)
        # Lesions have no decay, so few will do in volunteers.
        self.legs = {
            "independent": Bench(noise, independent_legs(seeds), wide, places=3),
            "phantom": Bench(noise, phantom_legs(seeds), wide, places=2),
            "volunteers": Bench(noise, volunteer_legs(seed, count), wide, places=1),
        }
        k = noise.trajectory / noise.pixel
        objects = {name: transform(getattr(others, name)(), k).ravel() / noise.pixel**2 for name in OBJECTS}
        if head is not None:
            objects["head"] = others.head_kspace(head, noise.trajectory, noise.matrix)
        self.objects = ObjectBench(noise, objects, wide)

    def result(self, entry: Entry, averages: int) -> Result:
        """Figures of one denoiser."""
        denoise = self._within(entry)
        legs = {kind: bench.row(denoise, averages) for kind, bench in self.legs.items()}
        return Result(entry.name, averages, legs, self.objects.errors(denoise, averages, self.seed))

    def _within(self, entry: Entry) -> Denoise:
        """With the surroundings that it wants, and no more."""
        cut = CONTEXT - entry.context

        def denoise(images: Images, std: float) -> Images:
            size = images.shape[-1] - cut
            return entry.denoise(np.ascontiguousarray(images[..., cut:size, cut:size]), std)

        return denoise


def run(
    entries: Sequence[Entry],
    averages: Sequence[int],
    field: Field,
    progress: Callable[[Result], None] = lambda result: None,
) -> dict[str, Any]:
    """Figures of all denoisers at all numbers of averages as plain values for JSON, with the seeds."""
    results = []
    for count in sorted(averages, reverse=True):
        for entry in entries:
            results.append(field.result(entry, count))
            progress(results[-1])
    return {"seed": field.seed, "legs": field.count, "rows": [rounded(asdict(result)) for result in results]}
