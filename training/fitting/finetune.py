"""Fine-tune a complex, noise-aware network on a site's own repeated averages, without any clean image.

What is learnt from, and why it is right: `training.fitting.repeats`. The result is the folder of a run, which can be
evaluated and exported as any other; where it is no better than its start by the scans held out, it is the start.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from nadenoise_core.mrd.settings import AveragingSettings
from nadenoise_core.mrd.single_averages import read_averages
from training.config import Config
from training.errors import ConfigError, DataError
from training.fitting.fit import Fit, Tuning, run_logged
from training.fitting.loss import SCALES
from training.fitting.ranks import distributed
from training.fitting.repeats import RepeatPairs, Repeats, grid_repeats, hold_out, repeat_loss
from training.network.start import Start

EPOCH_PAIRS = 128
MINUTES = 20.0
# On top of the start's own; the user's come on top of these.
SETTINGS: Mapping[str, Any] = {
    "epochs": 10_000,  # time ends it
    "minutes": MINUTES,
    "patience": None,
    "batch": 8,
    "micro_batch": None,
    "learning_rate": 1e-4,
    "schedule": "cosine",
    "last_learning_rate": 1e-6,
    "warm_up": 20,
    "clip": 1.0,
    "averaging": 0.99,
    "validation_images": 64,
}


def tuning_config(config: Config, minutes: float | None = None) -> Config:
    """The configuration of the fine-tuning of a network that was made with `config`."""
    settings = dict(SETTINGS) if minutes is None else {**SETTINGS, "minutes": minutes}
    return config.model_copy(update={"fit": config.fit.model_copy(update=settings)})


def finetune(
    files: Sequence[Path],
    start: Start,
    config: Config,
    out: Path,
    averages: tuple[int, int] | None = None,
    raw: AveragingSettings | None = None,
    quiet: bool = False,
) -> Fit:
    """Fine-tune a network on raw files; what is in the folder already goes on.

    Args:
        files: ISMRMRD raw files, each of one slice with repeated averages; three or more are better than one.
        start: the network.
        config: see `tuning_config`.
        out: folder of the run.
        averages: lowest and highest number of averages of what is denoised; those the network serves unless given.
        raw: how the raw files are to be read, as a chain's `accumulate` reads them.
        quiet: write files only.

    Raises:
        ConfigError: the range of averages is no range.
        RawDataError: a raw file that cannot be read.
        DataError: averages that cannot be used, or a network for magnitude images.
    """
    if start.config.pairs.kind == "paper":
        raise DataError(
            "the network to begin with is for magnitude images, whose noise has a mean of its own; only complex "
            "networks can be fine-tuned on repeats"
        )
    scans, described = _read_scans(files, raw)
    low, high = averages or _served(start.config)
    if not 1 <= low <= high:
        raise ConfigError(f"averages {low} to {high}: give two numbers from 1, the smaller one first")
    seed = config.fit.seed
    training, validation = (RepeatPairs(part, (low, high), EPOCH_PAIRS) for part in hold_out(scans, seed))
    tuning = Tuning(
        start.weights,
        repeat_loss((1,) if config.loss.name == "mse" else SCALES),
        {
            "method": "Noise2Noise",
            "averages": [low, high],
            "scans": described,
            "held_out": "scans" if len(scans) > 1 else "averages",
            "start": dict(start.described),
        },
    )
    if config.fit.threads:
        torch.set_num_threads(config.fit.threads)
    with distributed(config.fit.device) as rank:
        fitted = Fit(out, config, training, validation, start.data, rank, tuning)
        run_logged(fitted, quiet)
    return fitted


def _read_scans(
    files: Sequence[Path], raw: AveragingSettings | None
) -> tuple[list[Repeats], list[dict[str, str | int]]]:
    """The averages of each raw file, and what is said of them."""
    scans: list[Repeats] = []
    described: list[dict[str, str | int]] = []
    for path in files:
        single = read_averages(path, raw)
        scans.append(grid_repeats(single, str(path)))
        described.append({"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "averages": len(scans[-1])})
        rows, columns = single.matrix
        if rows != columns or scans[-1].images.shape[1:] != scans[0].images.shape[1:]:
            raise DataError(f"{path}: its matrix is {rows}x{columns}; scans must have one square matrix")
    if len({scan["sha256"] for scan in described}) < len(described):
        raise DataError("the same raw file is given twice; a scan must not be learnt from and validated on")
    return scans, described


def _served(config: Config) -> tuple[int, int]:
    pairs = config.pairs
    return (pairs.averages, pairs.averages) if pairs.kind == "paper" else pairs.averages
