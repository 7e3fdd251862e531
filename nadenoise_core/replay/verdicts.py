"""What a reader of a report must know before the numbers, in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from nadenoise_core.mrd.facts import ImageFacts
from nadenoise_core.quantify.precision import Progress
from nadenoise_core.quantify.readings import RegionReading

_ENOUGH, _FEW, _VERY_FEW = 20, 10, 5  # averages


class Level(Enum):
    """How much a sentence weighs; the value is its class in the page."""

    GOOD = "good"
    NOTE = "note"
    CAUTION = "caution"
    BAD = "bad"


@dataclass(frozen=True)
class Verdict:
    """A sentence, and how much it weighs."""

    level: Level
    text: str


def on_averages(averages: int, denoised: bool) -> Verdict | None:
    """What few averages do to the images; None where there are enough.

    The shares are of muscle's pixels of eight virtual legs with the paper's noise, by the shipped network.
    """
    if averages >= _ENOUGH:
        return None
    made = f"Made of {averages} average{'s' if averages > 1 else ''}."
    if not denoised:
        level = Level.CAUTION if averages > _FEW else Level.BAD
        return Verdict(level, f"{made} Single pixels are mostly noise: read regions, with their intervals.")
    if averages > _FEW:
        return Verdict(
            Level.CAUTION,
            f"{made} Below {_ENOUGH} averages small spots in the images may not be there: read regions rather than "
            "single pixels.",
        )
    if averages > _VERY_FEW:
        return Verdict(
            Level.BAD,
            f"{made} Muscle shows structure that is not there: of {_FEW} averages about one of its pixels in 20 reads "
            "below 5 or above 40 mmol/L. Read regions, with their intervals, and no single pixels.",
        )
    return Verdict(
        Level.BAD,
        f"{made} Do not read structure from these images: of {_VERY_FEW} averages about one of muscle's pixels in 7 "
        "reads below 5 or above 40 mmol/L. Regions alone tell something, with their intervals.",
    )


def on_network(plain: ImageFacts | None, denoised: ImageFacts | None) -> Verdict:
    """Whether what the network took away could be noise; None: there is no such image."""
    if denoised is None:
        reasons = [text for text in (plain.comments if plain is not None else ()) if text.startswith("not denoised")]
        return Verdict(Level.NOTE, reasons[0] if reasons else "No network was used.")
    if denoised.residual is None:
        return Verdict(Level.NOTE, "What the network took away was not checked: it works on magnitudes.")
    faults = denoised.residual.faults()
    if faults:
        return Verdict(Level.BAD, f"The denoised image is not to be trusted: {'; '.join(faults)}.")
    return Verdict(Level.GOOD, "What the network took away has the size and the grain of noise, everywhere.")


def on_precision(progress: Sequence[Progress]) -> tuple[Verdict, ...]:
    """How near regions are to the precision that is wanted of them."""
    return tuple(
        Verdict(Level.GOOD, f"{part.name}: ± {part.reach:.2f} mmol/L by noise, as wanted (± {part.target:g}).")
        if part.reached
        else Verdict(
            Level.NOTE,
            f"{part.name}: ± {part.reach:.2f} mmol/L by noise, ± {part.target:g} wanted: {part.averages} averages "
            "would do.",
        )
        for part in progress
    )


def on_region(region: RegionReading) -> Verdict | None:
    """Whether the method explains the signal of a region; None where it does not tell."""
    if region.residual != region.residual:
        return None
    if region.is_explained:
        return Verdict(Level.GOOD, "explained but for noise")
    return Verdict(
        Level.BAD,
        f"not explained (residual {region.residual:.2f}, noise reaches {region.residual_limit:.2f}): uneven tissue, "
        "motion, or labels that do not fit",
    )
