"""Fit a network: `python -m training.fit --out runs/noise_aware --minutes 85`.

Every step draws its pairs from (seed, step), so a run that is stopped and resumed gives the same network as
one that is not. Batch normalisation works with batch statistics at first; then the statistics are estimated
anew, and the rest of the run trains the network exactly as it will be used. What is validated and kept is a
moving average of the weights.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import time
from copy import deepcopy
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from training.cache import CACHE_FOLDER, SPLITS, Limbs, content_sha256, load_limbs
from training.kspace import SpiralNoise
from training.loss import LOSSES
from training.network import ResidualDenoiser, estimate_statistics, normalisation_layers
from training.pairs import Batch, PaperPairs, QuantitativePairs, ScaledPaperPairs


@dataclass(frozen=True)
class FitSettings:
    """Everything that decides the result, but for the data."""

    pairs: str = "quantitative"  # or "paper"
    averages: int = 30  # of the paper's pairs
    loss: str = "multiscale"  # or "mse" or "paper"
    start: str = ""  # best.pt of a run to go on from, with its statistics; empty: from random weights
    filters: int = 32
    blocks: int = 8
    tail: str = "reference"
    zero_init: bool = True
    keep: float = 0.0  # pixels, see ResidualDenoiser; a network trained with it learns to undo it
    momentum: float = 0.1  # of batch normalisation, in torch's sense
    batch: int = 16
    learning_rate: float = 1e-3
    last_learning_rate: float = 1e-5
    warm_up: int = 100  # steps
    clip: float = 1.0  # largest norm of the gradient
    averaging: float = 0.998  # decay of the moving average of the weights
    statistics_until: float = 0.25  # part of the run with batch statistics
    steps: int = 1_000_000  # the run ends at the first of steps and minutes
    minutes: float = 85.0
    validate_every: int = 250  # steps
    seed: int = 7


class PairSource(Protocol):
    """Where pairs come from."""

    @property
    def channels(self) -> int: ...

    def batch(self, rng: np.random.Generator, size: int) -> Batch: ...


class Fit:
    """One run: the network, its optimiser, its moving average, and how far it has come.

    Args:
        out: folder of the checkpoint, the best network and the log.
        settings: of the run.
        training, validation: sources of pairs.
        validation_batches: number of batches that the validation loss is the mean of.
    """

    def __init__(
        self,
        out: Path,
        settings: FitSettings,
        training: PairSource,
        validation: PairSource,
        validation_batches: int = 10,
    ) -> None:
        self.out = out
        self.settings = settings
        self.training = training
        self.loss = LOSSES[settings.loss]
        torch.manual_seed(settings.seed)
        self.network = build_network(settings, training.channels)
        self.frozen = bool(settings.start)
        if settings.start and not self._checkpoint.exists():
            self.network.load_state_dict(load_best(Path(settings.start))[0].state_dict())
        self.average = deepcopy(self.network).eval()
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=settings.learning_rate)
        self.step = 0
        self.elapsed = 0.0  # s
        self.best = math.inf
        out.mkdir(parents=True, exist_ok=True)
        (out / "settings.json").write_text(json.dumps(asdict(settings), indent=1))
        # Seeds of validation and of training differ in their first number.
        self.held_out = [
            _tensors(validation.batch(np.random.default_rng((settings.seed, 1, index)), settings.batch))
            for index in range(validation_batches)
        ]
        if self._checkpoint.exists():
            self._resume()

    @property
    def progress(self) -> float:
        """0 at the start, 1 at the end, by steps or by time, whichever is further."""
        return max(self.step / self.settings.steps, self.elapsed / (60 * self.settings.minutes))

    def run(self, stop_at: int | None = None) -> float:
        """Train to the end, or up to a step; the best validation loss."""
        losses: list[float] = []
        began = time.monotonic() - self.elapsed
        while self.progress < 1 and (stop_at is None or self.step < stop_at):
            if not self.frozen and self.progress >= self.settings.statistics_until:
                self._freeze_statistics()
            losses.append(self.train_step())
            self.elapsed = time.monotonic() - began
            if self.step % self.settings.validate_every == 0 or self.progress >= 1:
                self._validate(float(np.mean(losses)))
                self.save()
                losses.clear()
        self.save()
        return self.best

    def train_step(self) -> float:
        """One step of Adam; the loss of its batch."""
        noisy, clean = self._pairs(self.step)
        rate = learning_rate(self.settings, self.step, self.progress)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.network.train()
        if self.frozen:
            _use_running_statistics(self.network)
        loss = self.loss(self.network(noisy), clean, noisy)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        self.optimiser.step()
        self.step += 1
        decay = min(self.settings.averaging, (1 + self.step) / (10 + self.step))
        update_average(self.average, self.network, decay)
        return float(loss.detach())

    def validation_loss(self) -> float:
        with torch.no_grad():
            losses = [float(self.loss(self.average(noisy), clean, noisy)) for noisy, clean in self.held_out]
        return float(np.mean(losses))

    def save(self) -> None:
        """Write the checkpoint, all or nothing."""
        names = ("step", "elapsed", "frozen", "best")
        state = {name: getattr(self, name) for name in names}
        for name in ("network", "average", "optimiser"):
            state[name] = getattr(self, name).state_dict()
        save_atomically(state, self._checkpoint)

    @property
    def _checkpoint(self) -> Path:
        return self.out / "checkpoint.pt"

    def _resume(self) -> None:
        state = torch.load(self._checkpoint, weights_only=True)
        for name in ("step", "elapsed", "frozen", "best"):
            setattr(self, name, state[name])
        for name in ("network", "average", "optimiser"):
            getattr(self, name).load_state_dict(state[name])

    def _pairs(self, step: int) -> tuple[Tensor, Tensor]:
        return _tensors(self.training.batch(np.random.default_rng((self.settings.seed, 0, step)), self.settings.batch))

    def _freeze_statistics(self) -> None:
        # Steps counted from a million are never reached: the estimate has pairs of its own.
        batches = [self._pairs(1_000_000 + index)[0] for index in range(30)]
        estimate_statistics(self.network, batches)
        # From here on both share one set of statistics; the average's weights follow within its memory.
        for mine, theirs in zip(self.average.buffers(), self.network.buffers(), strict=True):
            mine.copy_(theirs)
        self.frozen = True

    def _validate(self, training_loss: float) -> None:
        loss = self.validation_loss()
        path = self.out / "log.csv"
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(("step", "minutes", "learning_rate", "training_loss", "validation_loss"))
            rate = self.optimiser.param_groups[0]["lr"]
            writer.writerow(
                (self.step, f"{self.elapsed / 60:.2f}", f"{rate:.3g}", f"{training_loss:.6f}", f"{loss:.6f}")
            )
        if loss < self.best:
            self.best = loss
            state = {
                "settings": asdict(self.settings),
                "channels": self.training.channels,
                "step": self.step,
                "minutes": self.elapsed / 60,
                "validation_loss": loss,
                "network": self.average.state_dict(),
            }
            save_atomically(state, self.out / "best.pt")


def build_network(settings: FitSettings, channels: int) -> ResidualDenoiser:
    network = ResidualDenoiser(
        settings.filters,
        settings.blocks,
        channels,
        settings.tail,
        settings.zero_init,
        settings.momentum,
        settings.keep,
    )
    # A third faster than the default layout on a CPU with AVX-512.
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def pair_source(settings: FitSettings, limbs: Limbs, noise: SpiralNoise) -> PairSource:
    """The pairs that the settings name."""
    if settings.pairs == "quantitative":
        return QuantitativePairs(limbs, noise)
    if settings.pairs == "paper":
        return ScaledPaperPairs(PaperPairs(limbs, noise), settings.averages)
    raise ValueError(f"unknown pairs '{settings.pairs}'; use quantitative or paper")


def load_best(path: Path) -> tuple[ResidualDenoiser, dict[str, Any]]:
    """The network of `best.pt`, ready for use, and what is known about its run."""
    state = torch.load(path, weights_only=True)
    network = build_network(FitSettings(**state["settings"]), state["channels"])
    network.load_state_dict(state.pop("network"))
    return network.eval(), state


def history(run: dict[str, Any]) -> list[dict[str, Any]]:
    """A run, as `load_best` describes it, after those it started from."""
    start = run["settings"].get("start")
    return [*(history(load_best(Path(start))[1]) if start else []), run]


def learning_rate(settings: FitSettings, step: int, progress: float) -> float:
    """A linear warm-up, then half a cosine down to the last rate."""
    low, high = settings.last_learning_rate, settings.learning_rate
    cosine = low + (high - low) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2
    return cosine * min(1.0, (step + 1) / settings.warm_up)


def update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """average <- decay * average + (1 - decay) * network, in place, statistics included."""
    with torch.no_grad():
        for mine, theirs in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
            if mine.dtype.is_floating_point:
                mine.lerp_(theirs, 1 - decay)
            else:
                mine.copy_(theirs)


def save_atomically(state: dict[str, Any], path: Path) -> None:
    partial = path.with_suffix(f".{os.getpid()}.partial")
    torch.save(state, partial)
    os.replace(partial, path)


def _tensors(batch: Batch) -> tuple[Tensor, Tensor]:
    noisy, clean = (torch.from_numpy(array).contiguous(memory_format=torch.channels_last) for array in batch)
    return noisy, clean


def _use_running_statistics(network: nn.Module) -> None:
    for layer in normalisation_layers(network):
        layer.eval()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; a checkpoint in it is resumed")
    parser.add_argument("--cache", type=Path, default=CACHE_FOLDER, help="folder of the rendered limbs")
    parser.add_argument("--threads", type=int, default=1)
    for field in fields(FitSettings):
        kind = type(field.default)
        option = {"action": argparse.BooleanOptionalAction} if kind is bool else {"type": kind}
        parser.add_argument(f"--{field.name.replace('_', '-')}", default=field.default, **option)
    return parser.parse_args()


def main() -> None:
    arguments = _arguments()
    settings = FitSettings(**{field.name: getattr(arguments, field.name) for field in fields(FitSettings)})
    torch.set_num_threads(arguments.threads)
    noise = SpiralNoise()
    limbs = {name: load_limbs(SPLITS[name], arguments.cache) for name in ("train", "validation")}
    arguments.out.mkdir(parents=True, exist_ok=True)
    checksums = {name: content_sha256(split) for name, split in limbs.items()}
    (arguments.out / "data.json").write_text(json.dumps(checksums, indent=1))
    training, validation = (pair_source(settings, limbs[name], noise) for name in ("train", "validation"))
    fit = Fit(arguments.out, settings, training, validation)
    best = fit.run()
    print(f"{fit.step} steps, {fit.elapsed / 60:.1f} minutes, best validation loss {best:.5f}")


if __name__ == "__main__":
    main()
