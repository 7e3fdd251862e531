"""The run of a fit: where it stands, and its loop.

Every pair of every step comes from (seed, step, place in the batch), so a run that is killed and goes on from its
checkpoint gives the same network as one that is not, and so does one that several ranks share out, up to rounding. A
step cuts its batch into micro-batches of fixed size: batch normalisation and the loss see one at a time, gradients add
up, and each rank takes some of them.

Where the configuration says so, batch statistics are fixed after a part of the run, so that the rest of it trains the
network exactly as it will be used, and what is validated and kept is the EMA of the weights.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nadenoise_core.errors import NadenoiseError
from training.config import Config
from training.data.batches import Purpose
from training.fitting.checkpoint import read_checkpoint, write_checkpoint
from training.fitting.ema import ema_of
from training.fitting.loss import make_loss
from training.fitting.ranks import Rank
from training.fitting.runlog import Row, RunLog
from training.fitting.samples import SampleLoss, Source, anew, as_sample, batches_of, held_out, noisy_of
from training.fitting.schedule import learning_rate
from training.fitting.step import Parts, Stepper, Steps, share_out
from training.fitting.validation import Best, Validation
from training.network.residual import estimate_statistics
from training.network.run import BEST, Run, build_network, save_state

STATISTICS_BATCHES = 30


class DivergedError(NadenoiseError):
    """The loss is no number any more."""


@dataclass(frozen=True)
class Tuning:
    """A fit that begins with a network instead of random weights.

    Its batch statistics stay as they are, so that it is trained as it will be used; and unless training makes it
    better by the validation loss, the network itself is what is kept.

    Attributes:
        weights: the state of the network.
        loss: instead of the configuration's.
        described: how and from what it is tuned, in plain values.
    """

    weights: Mapping[str, Tensor]
    loss: SampleLoss
    described: Mapping[str, Any]


class Fit:
    """One run: the network, its optimiser, its EMA, and how far it has come.

    Args:
        out: folder of the checkpoint, the best network and the log; a checkpoint in it is gone on from.
        config: of the run.
        training, validation: pairs, or scenes.
        data: part of the split to checksum of its images.
        rank: of this process among those that share the work.
        tuning: of a network that is there.

    Raises:
        ConfigError: the batch cannot be shared out, or the checkpoint is of another configuration.
        DataError: the checkpoint is damaged, or of other images.
    """

    def __init__(
        self,
        out: Path,
        config: Config,
        training: Source,
        validation: Source,
        data: Mapping[str, str] | None = None,
        rank: Rank | None = None,
        tuning: Tuning | None = None,
    ) -> None:
        self.out = out
        self.config = config
        self.settings = config.fit
        self.data = dict(data or {})
        self.rank = rank or Rank()
        self.batches = batches_of(training, self.settings.batch, self.settings.seed)
        self.places = share_out(config, self.rank)
        self.tuning = tuning
        loss = make_loss(config.loss) if tuning is None else tuning.loss
        torch.manual_seed(self.settings.seed)
        self.network = build_network(config).to(self.rank.device)
        if tuning is not None:
            self.network.load_state_dict(tuning.weights)
        self.ema = None if self.settings.averaging is None else ema_of(self.network, self.settings.averaging)
        self.frozen = tuning is not None
        self.step = 0
        self.elapsed = 0.0  # s
        self.best = Best()
        self.stepper = Stepper(self.network, loss, self.settings, self.rank)
        self._resume()
        self.validation = Validation(held_out(validation, self.settings), loss, self.rank)
        self.start_loss = math.inf if tuning is None else self._judge_start(tuning)

    @property
    def steps(self) -> int:
        """Of the whole run, if time does not end it."""
        return self.settings.epochs * self.batches.steps_per_epoch

    @property
    def epoch(self) -> int:
        """Epochs that are done."""
        return self.step // self.batches.steps_per_epoch

    @property
    def progress(self) -> float:
        """0 at the start, 1 at the end, by steps or by time, whichever is further."""
        by_time = self.elapsed / (60 * self.settings.minutes) if self.settings.minutes else 0.0
        return max(self.step / self.steps, by_time)

    @property
    def kept(self) -> nn.Module:
        """The network that is validated and kept."""
        return self.network if self.ema is None else self.ema.module

    @property
    def finished(self) -> bool:
        """Whether steps, time or patience have run out."""
        patience = self.settings.patience
        return self.progress >= 1 or (patience is not None and self.epoch - self.best.epoch >= patience)

    def run(self, stop_at: int | None = None, log: RunLog | None = None) -> float:
        """Train to the end, or up to a step; the best validation loss."""
        began = time.monotonic() - self.elapsed
        losses = torch.zeros((), device=self.rank.device)
        count = 0
        last = self.steps if stop_at is None else min(stop_at, self.steps)
        steps = range(self.step, self.step if self.finished else last)
        for parts in Steps(self.batches, self.places).load(steps, self.settings, self.rank.device):
            if not self.frozen and self._freezes:
                self._freeze_statistics()
            losses += self.train_step(parts)
            count += 1
            self.elapsed = time.monotonic() - began
            if self.settings.minutes is not None:
                self.elapsed = self.rank.broadcast(self.elapsed)
            ended = self.progress >= 1
            if log is not None:
                mean = losses / count
                log.step(self.step, lambda mean=mean: float(mean), self._seconds_left)  # type: ignore[misc]
            if self.step % self.batches.steps_per_epoch == 0 or ended:
                self._end_epoch(losses / count, log)
                losses.zero_()
                count = 0
                if self.finished:
                    break
        return self.best.loss

    def train_step(self, parts: Parts) -> Tensor:
        """One step on the micro-batches of this process; the mean loss of all processes."""
        loss = self.stepper.take(parts, self.learning_rate, self.frozen, self.progress)
        self.step += 1
        if self.ema is not None:
            self.ema.update_parameters(self.network)
        return loss

    @property
    def learning_rate(self) -> float:
        """Of the coming step."""
        return learning_rate(self.settings, self.step, self.progress)

    def leave(self) -> None:
        """Let go of the other ranks; what is left can be looked at, not trained."""
        self.stepper.leave()

    def state(self) -> dict[str, Any]:
        """All that the rest of the run depends on."""
        return {
            "run": self._described().plain(),
            "progress": {
                **{name: getattr(self, name) for name in _PROGRESS},
                "best": self.best.loss,
                "best_epoch": self.best.epoch,
            },
            "network": self.network.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
            "optimiser": self.stepper.optimiser.state_dict(),
        }

    @property
    def _freezes(self) -> bool:
        part = self.settings.freeze_statistics
        return part is not None and self.progress >= part

    def _freeze_statistics(self) -> None:
        """Estimate the statistics anew, on pairs of their own; every process does the same."""
        batches, everything = anew(self.batches, Purpose.STATISTICS), range(self.settings.batch)
        drawn = (as_sample(batches.part(step, everything)) for step in range(STATISTICS_BATCHES))
        estimate_statistics(self.network, (noisy_of(sample, self.rank.device) for sample in drawn))
        # From here on both share one set of statistics; the EMA's weights follow within its memory.
        if self.ema is not None:
            for mine, theirs in zip(self.ema.module.buffers(), self.network.buffers(), strict=True):
                mine.copy_(theirs)
        self.frozen = True

    @property
    def _seconds_left(self) -> float:
        return self.elapsed * (1 - self.progress) / self.progress if self.progress > 0 else math.inf

    def _judge_start(self, tuning: Tuning) -> float:
        """The validation loss of the network that is tuned; it is the best until another is better."""
        network = deepcopy(self.network)
        network.load_state_dict(tuning.weights)
        loss = self.validation.loss_of(network)
        if self.step == 0:
            self.best = Best(loss)
            if self.rank.is_first:
                self._save_best()
        return loss

    def _end_epoch(self, training_loss: Tensor, log: RunLog | None) -> None:
        rate = self.stepper.optimiser.param_groups[0]["lr"]
        loss = self.validation.loss_of(self.kept)
        if not math.isfinite(loss):
            raise DivergedError(
                f"{self.out}: the loss is no number any more at step {self.step}; lower fit.learning_rate (it is "
                f"{self.settings.learning_rate:g}), set fit.clip, or network.zero_init"
            )
        # A run that time ends in mid-epoch counts that epoch as one.
        epoch = math.ceil(self.step / self.batches.steps_per_epoch)
        better = loss < self.best.loss
        if better:
            self.best = Best(loss, epoch)
        if not self.rank.is_first:
            return
        if better:
            self._save_best()
        if log is not None:
            log.epoch(Row(epoch, self.step, self.elapsed / 60, rate, float(training_loss), loss, better))
        write_checkpoint(self.state(), self.out)

    def _save_best(self) -> None:
        save_state({"run": self._described().plain(), "network": self.kept.state_dict()}, self.out / BEST)

    def _described(self) -> Run:
        tuning = None if self.tuning is None else dict(self.tuning.described)
        minutes, ranks = self.elapsed / 60, self.rank.world_size
        return Run(self.config, self.best.epoch, self.step, minutes, self.best.loss, ranks, self.data, tuning)

    def _resume(self) -> None:
        state = read_checkpoint(self.out, self._described(), self.rank)
        if state is None:
            return
        for name in _PROGRESS:
            setattr(self, name, state["progress"][name])
        self.best = Best(state["progress"]["best"], state["progress"]["best_epoch"])
        self.network.load_state_dict(state["network"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        self.stepper.optimiser.load_state_dict(state["optimiser"])


_PROGRESS = ("step", "elapsed", "frozen")


def run_logged(fitted: Fit, quiet: bool) -> None:
    """Train to the end; the first rank logs, with a progress bar unless it is quiet."""
    with RunLog(fitted.out, fitted.step, fitted.steps, quiet) if fitted.rank.is_first else nullcontext() as log:
        fitted.run(log=log)
    fitted.leave()
