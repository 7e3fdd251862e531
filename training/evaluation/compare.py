"""One noise-aware network against networks for single numbers of averages, on virtual calves.

No network is trained on these calves. At every number of averages the single-level network that was trained nearest
to it serves, as one would use it. Errors are those of magnitudes, for both kinds of network alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from nadenoise_core.paper import NOISE
from nadenoise_core.sampling import SpiralDesign
from training.config import config_from_plain
from training.data.kspace import SpiralNoise
from training.errors import ConfigError
from training.evaluation.calves import CALF_REPEATS, SEED, Figures, Scans, Subjects
from training.evaluation.evaluate import Paired, rounded
from training.evaluation.tables import bias_and_deviation, p_value
from training.network.model import Model, open_model

AVERAGES = (5, 7, 10, 15, 20, 25, 30, 40, 50, 100, 150)
OTHER_AVERAGES = (10, 30)  # of the conditions that no network is told
OTHER_NOISE = 1.25  # times what the number of averages lets expect
OTHER_TUBES = {"tube_diameter": 14.0, "tube_radius": 72.0}  # mm


@dataclass(frozen=True)
class SingleLevel:
    """A network for one number of averages."""

    averages: int
    model: Model


@dataclass(frozen=True)
class Contest:
    """Networks to compare, and the spiral they were all made for."""

    aware: Model
    singles: tuple[SingleLevel, ...]
    design: SpiralDesign


@dataclass(frozen=True)
class Condition:
    """How calves are scanned.

    Attributes:
        name: of what differs from the usual scan.
        averages: number of them.
        excess: noise, times what the number of averages lets expect; it is measured, so the noise-aware network is
            told it, while the single-level network is chosen by the number of averages.
        other_tubes: whether tubes are narrower and elsewhere.
    """

    name: str
    averages: int
    excess: float = 1.0
    other_tubes: bool = False


@dataclass(frozen=True)
class Outcome:
    """What the images of one condition are worth, over all scans."""

    rmse: float  # of magnitudes over the image, mmol/L
    muscle: tuple[float, float]  # bias and standard deviation of aTSC, mmol/L
    skin: tuple[float, float]  # likewise
    sharpness: float  # median change of the strongest tube's edge, percent

    @classmethod
    def of(cls, figures: Figures) -> Outcome:
        rmse = float(np.sqrt(np.mean(figures.rmse**2)))
        return cls(rmse, figures.bias.muscle, figures.bias.skin, figures.sharpness)


@dataclass(frozen=True)
class Comparison:
    """Both kinds of network under one condition."""

    condition: str
    averages: int
    single_averages: int  # that the serving single-level network was trained for
    input: Outcome
    noise_aware: Outcome
    single: Outcome
    test: Paired  # RMSE of the calves, each the mean over its scans: noise-aware minus single-level, mmol/L


CONDITIONS = (
    *(Condition("usual", averages) for averages in AVERAGES),
    *(Condition("other noise", averages, excess=OTHER_NOISE) for averages in OTHER_AVERAGES),
    *(Condition("other tubes", averages, other_tubes=True) for averages in OTHER_AVERAGES),
)


def open_contest(aware: Path, singles: Sequence[Path]) -> Contest:
    """Runs or bundles to compare.

    Args:
        aware: the noise-aware network; an older bundle that does not tell its configuration will do.
        singles: networks of the paper's pairs, each for one number of averages.

    Raises:
        ConfigError: a network that is not for one number of averages, two for the same, or for different scans.
        DataError: neither run nor bundle.
    """
    opened: dict[int, SingleLevel] = {}
    designs: dict[Path, SpiralDesign] = {}
    for path in singles:
        model, plain = open_model(path)
        if plain is None:
            raise ConfigError(f"{path}: does not say for how many averages it was made; give the folder of its run")
        config = config_from_plain(plain, str(path))
        if config.pairs.kind != "paper":
            raise ConfigError(f"{path}: is not for one number of averages; --against takes networks of paper pairs")
        averages = config.pairs.averages
        if averages in opened:
            raise ConfigError(f"{path}: is for {averages} averages, as another one is; give one for each number")
        opened[averages] = SingleLevel(averages, model)
        designs[path] = config.design
    if not opened:
        raise ConfigError("there is no network to compare with; give at least one")
    model, plain = open_model(aware)
    if plain is not None:
        designs[aware] = config_from_plain(plain, str(aware)).design
    design = designs[singles[0]]
    if different := [path for path, other in designs.items() if other != design]:
        raise ConfigError(f"{different[0]}: was made for another spiral or matrix than {singles[0]}; compare like ones")
    return Contest(model, tuple(opened.values()), design)


def nearest(singles: Sequence[SingleLevel], averages: int) -> SingleLevel:
    """The one trained at the least ratio to a number of averages; of two alike, that of fewer."""

    def distance(single: SingleLevel) -> tuple[Fraction, int]:
        # An exact ratio, so that ties are ties.
        return Fraction(max(single.averages, averages), min(single.averages, averages)), single.averages

    return min(singles, key=distance)


def compare(contest: Contest, seeds: Sequence[int], conditions: Sequence[Condition] = CONDITIONS) -> list[Comparison]:
    """Both kinds of network on the same scans of the calves of `seeds`.

    Raises:
        ConfigError: the pixels are too large for what is measured.
    """
    noise = SpiralNoise(contest.design)
    herds = {other: _subjects(noise, seeds, other) for other in {condition.other_tubes for condition in conditions}}
    return [_compared(contest, noise, herds[condition.other_tubes], condition) for condition in conditions]


def results(rows: Sequence[Comparison], seeds: Sequence[int]) -> dict[str, Any]:
    """A comparison as plain values for JSON, with the seeds it can be made again from."""
    return {
        "seed": SEED,
        "calf_seeds": list(seeds),
        "scans_of_each_calf": CALF_REPEATS,
        "noise_of_one_average": NOISE,
        "other_noise": OTHER_NOISE,
        "other_tubes": dict(OTHER_TUBES),
        "rows": [rounded(asdict(row)) for row in rows],
    }


def comparison_report(compared: dict[str, Any]) -> str:
    """The plain values of `results` as a Markdown table."""
    seeds = ", ".join(map(str, compared["calf_seeds"]))
    tubes = compared["other_tubes"]
    lines = [
        f"Virtual calves of seeds {seeds}; {compared['scans_of_each_calf']} scans of each, seed {compared['seed']}, "
        f"noise of one average {compared['noise_of_one_average']:g} mmol/L. RMSE of magnitudes over the image; aTSC "
        "as bias (standard deviation); median change of the strongest tube's edge; p of a Wilcoxon test of RMSE, "
        "calf by calf, noise-aware against single-level. "
        f"Other noise: {compared['other_noise']:g} times what the averages let expect. Other tubes: "
        f"{tubes['tube_diameter']:g} mm wide, {tubes['tube_radius']:g} mm from the centre.",
        "",
        "| scan | averages | image | RMSE mmol/L | muscle aTSC | skin aTSC | edge % | p |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in compared["rows"]:
        names = {"input": "input", "noise_aware": "noise-aware", "single": f"single, {row['single_averages']}"}
        for key, name in names.items():
            outcome = row[key]
            p = f"| {p_value(row['test']['p'])} |" if key == "noise_aware" else "| |"
            lines.append(
                f"| {row['condition']} | {row['averages']} | {name} | {outcome['rmse']:.2f} "
                f"| {bias_and_deviation(outcome['muscle'])} | {bias_and_deviation(outcome['skin'])} "
                f"| {outcome['sharpness']:+.1f} {p}"
            )
    return "\n".join(lines)


def _subjects(noise: SpiralNoise, seeds: Sequence[int], other_tubes: bool) -> Subjects:
    subjects = Subjects.of(noise, seeds, **(OTHER_TUBES if other_tubes else {}))
    if subjects is None:
        raise ConfigError(
            f"pixels of {noise.pixel:.3g} mm are too large for the tubes and the skin of the virtual calves; compare "
            "networks of a larger data.matrix"
        )
    return subjects


def _compared(contest: Contest, noise: SpiralNoise, subjects: Subjects, condition: Condition) -> Comparison:
    scans = Scans.of(subjects, noise, condition.averages, condition.excess)
    single = nearest(contest.singles, condition.averages)
    given, aware, other = (
        scans.figures(images)
        for images in (
            scans.noisy,
            contest.aware.denoise(scans.noisy, scans.std),
            single.model.denoise(scans.noisy, scans.std),  # a magnitude network, which makes no use of it
        )
    )
    before, after = (figures.rmse.reshape(-1, CALF_REPEATS).mean(axis=1) for figures in (other, aware))
    return Comparison(
        condition.name,
        condition.averages,
        single.averages,
        Outcome.of(given),
        Outcome.of(aware),
        Outcome.of(other),
        Paired.of(before, after),
    )
