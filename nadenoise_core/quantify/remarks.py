"""What people should know of an aTSC map, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from nadenoise_core.quantify.calibration import Line
from nadenoise_core.quantify.precision import Progress
from nadenoise_core.quantify.readings import Tube

if TYPE_CHECKING:
    from nadenoise_core.quantify.atsc import ConcentrationMap

_CERTAIN = 4.0  # standard errors by noise
_LARGE = 0.1  # of the highest concentration, that a tube is off the line
_UNEVEN = 0.2  # of the signal, by which a tube scatters beyond noise; tilted and blurred ones have up to 0.15
_WORTH_SAYING = 0.1  # of the object, that a map says nothing of; its rim alone is less


@dataclass(frozen=True)
class Remark:
    """A sentence, and whether it warns."""

    text: str
    warns: bool = False


def on_tubes(result: ConcentrationMap, concentrations: Sequence[float]) -> Iterator[Remark]:
    """Which tubes are missing, of those of `concentrations` in mmol/L, which are far off the line, and bad places."""
    lost = sorted(set(concentrations) - {tube.concentration for tube in result.tubes})
    if lost:
        yield Remark(f"the tubes of {_listed(lost)} mmol/L are hidden by noise and left out", warns=True)
    line, largest = result.calibration, max(tube.concentration for tube in result.tubes)
    for tube in result.tubes:
        read = float(line.concentration(np.asarray(tube.signal)))
        error = result.noise_std / line.slope / max(tube.pixels, 1.0) ** 0.5
        if abs(read - tube.concentration) > max(_CERTAIN * error, _LARGE * largest):
            yield Remark(
                f"the tube of {tube.concentration:g} mmol/L reads {read:.3g}: check concentrations, their order, "
                "and the tube itself",
                warns=True,
            )
    share, error = _scatter_with_signal(result.tubes)
    if share > _UNEVEN**2 and share > _CERTAIN * error:
        yield Remark(
            f"the tubes scatter by {100 * share**0.5:.0f} % of their signal where they are measured: check "
            "tube_positions, tube_diameter or label map, bubbles in the tubes, off-resonance, and trajectory_delay",
            warns=True,
        )


def on_line(line: Line) -> Remark:
    """The calibration line."""
    return Remark(f"signal = {line.slope:.4g} * c + {line.intercept:.4g}, R2 {line.r2:.4f}")


def on_corrections(result: ConcentrationMap, factors: Mapping[str, float], maps: Sequence[str]) -> Iterator[Remark]:
    """What was corrected, and where it could not be.

    Args:
        result: the map.
        factors: by which the whole map was multiplied, by name.
        maps: names of the maps that the image was divided by.
    """
    if factors:
        factor, named = prod(factors.values()), ", ".join(f"{name} {value:.4g}" for name, value in factors.items())
        yield Remark(
            f"aTSC of tissue: all is multiplied by {factor:.4g} ({named}), so the tubes read {factor:.4g} times "
            "their concentration"
        )
    if maps:
        named = " and ".join(maps)
        yield Remark(f"corrected by {named}")
        if result.uncovered >= _WORTH_SAYING or result.uncovered_tubes:
            tubes = f" and the tubes of {_listed(result.uncovered_tubes)} mmol/L" if result.uncovered_tubes else ""
            yield Remark(
                f"{named}: nothing is known of {100 * result.uncovered:.0f} % of the object{tubes}; there the signal "
                "is not corrected",
                warns=True,
            )


def on_precision(progress: Sequence[Progress], averages: int) -> Iterator[Remark]:
    """How near regions are to their target, of so many averages."""
    for part in progress:
        interval = f"{part.name}: 95 % interval +- {part.reach:.2f} mmol/L, {part.target:g} wanted: "
        yield Remark(
            interval + ("reached" if part.reached else f"{part.averages} averages needed, {averages} are there")
        )


def _scatter_with_signal(tubes: Sequence[Tube]) -> tuple[float, float]:
    """What the variance in tubes rises by with their signal squared, and its standard error; noise is alike in all."""
    square, variance, pixels = np.array([(tube.signal**2, tube.std**2, tube.pixels) for tube in tubes]).T
    apart = square - square.mean()
    length = float(apart @ apart)
    if not length > 0:
        return 0.0, 0.0
    # Neighbours share noise, so that two pixels make one degree of freedom.
    error = float(variance.mean() * np.sqrt(4 / max(pixels.mean(), 1.0) / length))
    return float(apart @ variance) / length, error


def _listed(concentrations: Sequence[float]) -> str:
    return ", ".join(f"{concentration:g}" for concentration in concentrations)
