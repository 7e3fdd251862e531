"""How many averages a region needs until it is known well enough."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nadenoise_core.errors import BadInputError
from nadenoise_core.quantify.readings import RegionReading


@dataclass(frozen=True)
class Progress:
    """How near a region is to its target.

    Attributes:
        name: of the region.
        reach: half of its 95 % interval by noise and calibration, mmol/L.
        target: what `reach` is to be, mmol/L.
        averages: that are needed in all; as many as there are, or fewer, when the target is reached.
    """

    name: str
    reach: float
    target: float
    averages: int

    @property
    def reached(self) -> bool:
        """Whether the region is known well enough."""
        return self.reach <= self.target


def precision_targets(texts: Sequence[str]) -> dict[str, float]:
    """Targets of texts such as "muscle 1.0": mmol/L of half a 95 % interval.

    Raises:
        BadInputError: a text without a name and a number above 0.
    """
    targets = {}
    for text in texts:
        name, _, number = text.strip().rpartition(" ")
        try:
            target = float(number)
        except ValueError:
            target = math.nan
        if not (name.strip() and 0 < target < math.inf):
            raise BadInputError(f"'{text}' is no target; write a region and mmol/L, such as muscle 1.0")
        targets[name.strip()] = target
    return targets


def progress(readings: Iterable[RegionReading], averages: int, targets: Mapping[str, float]) -> tuple[Progress, ...]:
    """How near the regions with a target are to it; those that were not read are left out.

    Noise falls with the square root of the number of averages, and with it the error.
    """
    known = {reading.title: reading for reading in readings if reading.standard_error > 0}
    found = []
    for name, target in targets.items():
        if name in known:
            reach = known[name].quantile * known[name].standard_error
            found.append(Progress(name, reach, target, math.ceil(averages * (reach / target) ** 2)))
    return tuple(found)
