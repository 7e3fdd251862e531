"""Fit a network.

Every pair of every step comes from (seed, step, place in the batch), so a run that is killed and goes on from its
checkpoint gives the same network as one that is not, and so does one that several processes share out, up to rounding.
A step cuts its batch into micro-batches of fixed size: batch normalisation and the loss see one at a time, gradients
add up, and each process takes some of them.

Where the configuration says so, batch statistics are fixed after a part of the run, so that the rest of it trains the
network exactly as it will be used, and what is validated and kept is a moving average of the weights.
"""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset

from nadenoise_core.errors import NadenoiseError, OutputError
from training.config import Config
from training.data.batches import Batch, Batches, Purpose, fixed_batches
from training.data.kspace import SpiralNoise
from training.data.pairs import Pairs, make_pairs
from training.data.prepare import load_prepared
from training.errors import ConfigError, DataError
from training.fitting.loss import Loss, make_loss
from training.fitting.ranks import Team, joined
from training.fitting.runlog import Row, RunLog
from training.fitting.schedule import learning_rate
from training.fitting.statistics import MicroBatchStatistics
from training.network.residual import estimate_statistics, normalisation_layers
from training.network.run import BEST, CHECKPOINT, FREE, Run, build_network, load_state, save_state
from training.network.start import Start

STATISTICS_BATCHES = 30

Parts = list[tuple[Tensor, Tensor]]  # noisy and clean of each micro-batch of a process


class DivergedError(NadenoiseError):
    """The loss is no number any more."""


@dataclass(frozen=True)
class Steps(Dataset[Parts]):
    """The micro-batches that one process takes of every step."""

    batches: Batches
    places: tuple[range, ...]

    def __getitem__(self, step: int) -> Parts:
        return [_tensors(self.batches.part(step, places)) for places in self.places]


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
    loss: Loss
    described: Mapping[str, Any]


class Fit:
    """One run: the network, its optimiser, its moving average, and how far it has come.

    Args:
        out: folder of the checkpoint, the best network and the log; a checkpoint in it is gone on from.
        config: of the run.
        training, validation: pairs.
        data: part of the split to checksum of its images.
        team: the processes that share the work.
        tuning: of a network that is there.

    Raises:
        ConfigError: the batch cannot be shared out, or the checkpoint is of another configuration.
        DataError: the checkpoint is damaged, or of other images.
    """

    def __init__(
        self,
        out: Path,
        config: Config,
        training: Pairs,
        validation: Pairs,
        data: Mapping[str, str] | None = None,
        team: Team | None = None,
        tuning: Tuning | None = None,
    ) -> None:
        self.out = out
        self.config = config
        self.settings = config.fit
        self.data = dict(data or {})
        self.team = team or Team()
        self.batches = Batches(training, self.settings.batch, self.settings.seed)
        self.places = share_out(config, self.team)
        self.tuning = tuning
        self.loss = make_loss(config.loss) if tuning is None else tuning.loss
        torch.manual_seed(self.settings.seed)
        self.network = build_network(config).to(self.team.device)
        if tuning is not None:
            self.network.load_state_dict(tuning.weights)
        self.average = deepcopy(self.network).eval() if self.settings.averaging is not None else None
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=self.settings.learning_rate)
        self.frozen = tuning is not None
        self.step = 0
        self.elapsed = 0.0  # s
        self.best = math.inf
        self.best_epoch = 0
        self._resume()
        self._parallel: nn.Module = self.network
        if self.team.size > 1:
            self._parallel = _parallel(self.network)
        self.held_out = fixed_batches(
            validation, self.settings.validation_images, self.settings.batch, self.settings.seed
        )
        self.start_loss = math.inf  # of a network that is tuned
        if tuning is not None:
            self._judge_start(tuning)

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
        return self.network if self.average is None else self.average

    @property
    def finished(self) -> bool:
        """Whether steps, time or patience have run out."""
        patience = self.settings.patience
        return self.progress >= 1 or (patience is not None and self.epoch - self.best_epoch >= patience)

    def run(self, stop_at: int | None = None, log: RunLog | None = None) -> float:
        """Train to the end, or up to a step; the best validation loss."""
        began = time.monotonic() - self.elapsed
        losses = torch.zeros((), device=self.team.device)
        count = 0
        for parts in self._loader(stop_at):
            if not self.frozen and self._freezes:
                self._freeze_statistics()
            losses += self.train_step(parts)
            count += 1
            self.elapsed = time.monotonic() - began
            if self.settings.minutes is not None:
                self.elapsed = self.team.agreed(self.elapsed)
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
        return self.best

    def train_step(self, parts: Parts) -> Tensor:
        """One step of Adam on the micro-batches of this process; the mean loss of all processes."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate
        self.network.train()
        if self.frozen:
            _use_running_statistics(self.network)
        statistics = None if self.frozen else MicroBatchStatistics(self.network)
        self.optimiser.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.team.device)
        for number, (noisy, clean) in enumerate(parts, 1):
            noisy, clean = self._placed(noisy), self._placed(clean)
            with self._gradients(last=number == len(parts)):
                loss = self._loss(noisy, clean) / len(parts)
                loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
            if statistics is not None:
                statistics.collect()
        if statistics is not None:
            statistics.finish(self.team)
        self.team.average([total])
        if self.settings.clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        self.optimiser.step()
        self.step += 1
        if self.average is not None and self.settings.averaging is not None:
            decay = min(self.settings.averaging, (1 + self.step) / (10 + self.step))
            update_average(self.average, self.network, decay)
        return total

    @property
    def rate(self) -> float:
        """The learning rate of the coming step."""
        return learning_rate(self.settings, self.step, self.progress)

    def validation_loss(self, network: nn.Module | None = None) -> float:
        """Mean loss of a network, the kept one unless given, over the validation images, in float32."""
        kept = (network or self.kept).eval()
        sums = torch.zeros(len(self.held_out), dtype=torch.float64)
        with torch.no_grad():
            for number in range(self.team.rank, len(self.held_out), self.team.size):
                noisy, clean = (self._placed(part) for part in _tensors(self.held_out[number]))
                sums[number] = len(noisy) * float(self.loss(kept(noisy), clean, noisy))
        return float(self.team.total(sums).sum()) / sum(len(noisy) for noisy, _ in self.held_out)

    def disband(self) -> None:
        """Let go of the other processes; what is left can be looked at, not trained."""
        self._parallel = self.network

    def state(self) -> dict[str, Any]:
        """All that the rest of the run depends on."""
        return {
            "run": self._described(self.best).plain(),
            "progress": {name: getattr(self, name) for name in _PROGRESS},
            "network": self.network.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def _loss(self, noisy: Tensor, clean: Tensor) -> Tensor:
        narrow = self.settings.precision == "bfloat16"
        with torch.autocast(self.team.device.type, torch.bfloat16, enabled=narrow):
            output: Tensor = self._parallel(noisy)
        return self.loss(output.float(), clean, noisy)

    def _gradients(self, last: bool) -> AbstractContextManager[None]:
        """Processes exchange gradients once a step, with the last micro-batch."""
        if isinstance(self._parallel, DistributedDataParallel) and not last:
            return self._parallel.no_sync()
        return nullcontext()

    def _loader(self, stop_at: int | None) -> Iterator[Parts]:
        steps = range(self.step, self.steps if stop_at is None else min(stop_at, self.steps))
        if self.finished or not steps:
            return iter(())
        dataset = Steps(self.batches, self.places)
        if not self.settings.workers:
            return (dataset[step] for step in steps)
        return iter(
            DataLoader(
                dataset,
                batch_size=None,
                sampler=steps,
                num_workers=self.settings.workers,
                prefetch_factor=4,
                pin_memory=self.team.device.type == "cuda",
            )
        )

    def _placed(self, images: Tensor) -> Tensor:
        return images.to(self.team.device, non_blocking=True, memory_format=torch.channels_last)

    @property
    def _freezes(self) -> bool:
        part = self.settings.freeze_statistics
        return part is not None and self.progress >= part

    def _freeze_statistics(self) -> None:
        """Estimate the statistics anew, on pairs of their own; every process does the same."""
        batches = Batches(self.batches.pairs, self.settings.batch, self.settings.seed, Purpose.STATISTICS)
        everything = range(self.settings.batch)
        given = (self._placed(_tensors(batches.part(step, everything))[0]) for step in range(STATISTICS_BATCHES))
        estimate_statistics(self.network, given)
        # From here on both share one set of statistics; the average's weights follow within its memory.
        if self.average is not None:
            for mine, theirs in zip(self.average.buffers(), self.network.buffers(), strict=True):
                mine.copy_(theirs)
        self.frozen = True

    @property
    def _seconds_left(self) -> float:
        return self.elapsed * (1 - self.progress) / self.progress if self.progress > 0 else math.inf

    def _judge_start(self, tuning: Tuning) -> None:
        """The network that is tuned is the best until another is better."""
        network = deepcopy(self.network)
        network.load_state_dict(tuning.weights)
        self.start_loss = self.validation_loss(network)
        if self.step == 0:
            self.best = self.start_loss
            if self.team.leads:
                self._save_best()

    def _end_epoch(self, training_loss: Tensor, log: RunLog | None) -> None:
        rate = self.optimiser.param_groups[0]["lr"]
        loss = self.validation_loss()
        if not math.isfinite(loss):
            raise DivergedError(
                f"{self.out}: the loss is no number any more at step {self.step}; lower fit.learning_rate (it is "
                f"{self.settings.learning_rate:g}), set fit.clip, or network.zero_init"
            )
        # A run that time ends in mid-epoch counts that epoch as one.
        epoch = math.ceil(self.step / self.batches.steps_per_epoch)
        better = loss < self.best
        if better:
            self.best, self.best_epoch = loss, epoch
        if not self.team.leads:
            return
        if better:
            self._save_best()
        if log is not None:
            log.epoch(Row(epoch, self.step, self.elapsed / 60, rate, float(training_loss), loss, better))
        save_state(self.state(), self.out / CHECKPOINT)

    def _save_best(self) -> None:
        kept = {"run": self._described(self.best).plain(), "network": self.kept.state_dict()}
        save_state(kept, self.out / BEST)

    def _described(self, loss: float) -> Run:
        minutes = self.elapsed / 60
        described = None if self.tuning is None else self.tuning.described
        return Run(self.config, self.best_epoch, self.step, minutes, loss, self.team.size, self.data, described)

    def _resume(self) -> None:
        path = self.out / CHECKPOINT
        if self.team.leads:
            try:
                self.out.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(f"cannot write {self.out}: {error.strerror}; choose another --out") from None
        # One process reads, so that machines need not share the folder.
        state = self.team.agreed(load_state(path) if self.team.leads and path.is_file() else None)
        if state is None:
            return
        before = Run.from_plain(state["run"], str(path))
        if different := self.config.differences(before.config, FREE):
            raise ConfigError(
                f"{path}: this run was begun with another configuration: {different[0]}; choose another --out, or "
                "delete the folder"
            )
        if before.data != self.data:
            raise DataError(f"{path}: this run was begun with other images; choose another --out, or delete the folder")
        if before.tuning != (None if self.tuning is None else dict(self.tuning.described)):
            raise DataError(
                f"{path}: this run was begun from another network or with other scans; choose another --out, or "
                "delete the folder"
            )
        for name in _PROGRESS:
            setattr(self, name, state["progress"][name])
        self.network.load_state_dict(state["network"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])


_PROGRESS = ("step", "elapsed", "frozen", "best", "best_epoch")


def fit(config: Config, out: Path, quiet: bool = False, start: Start | None = None) -> Fit:
    """Fit the network of a configuration, alone or with the other processes that torchrun started.

    Args:
        config: all of it; its cache must be there.
        out: folder of the run.
        quiet: write files only.
        start: begin with this network, of the same layers, instead of random weights.

    Raises:
        ConfigError: the start has other layers.
    """
    tuning = None
    if start is not None:
        mine, theirs = _layers(config), _layers(start.config)
        if different := [f"{name} is {theirs[name]}, not {mine[name]}" for name in mine if mine[name] != theirs[name]]:
            raise ConfigError(f"the network to begin with has other layers: {different[0]}; set both alike")
        described = {"method": "supervised", "start": dict(start.described)}
        tuning = Tuning(start.weights, make_loss(config.loss), described)
    if config.fit.threads:
        torch.set_num_threads(config.fit.threads)
    with joined(config.fit.device) as team:
        cache = load_prepared(config.data)
        noise = SpiralNoise(config.design)
        training, validation = (
            make_pairs(config.pairs, cache.parts[part], noise, config.fit.seed) for part in ("train", "validation")
        )
        fitted = Fit(out, config, training, validation, cache.provenance.sha256, team, tuning)
        with RunLog(out, fitted.step, fitted.steps, quiet) if team.leads else nullcontext() as log:
            fitted.run(log=log)
        fitted.disband()
    return fitted


def _layers(config: Config) -> dict[str, Any]:
    """What the shapes of the weights depend on."""
    network = config.network
    return {"filters": network.filters, "blocks": network.blocks, "tail": network.tail, "channels": config.channels}


def update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """average <- decay * average + (1 - decay) * network, in place, statistics included."""
    with torch.no_grad():
        for mine, theirs in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
            if mine.dtype.is_floating_point:
                mine.lerp_(theirs, 1 - decay)
            else:
                mine.copy_(theirs)


def share_out(config: Config, team: Team) -> tuple[range, ...]:
    """The places in the batch of each micro-batch that a process takes.

    Raises:
        ConfigError: there are not as many for each process.
    """
    batch = config.fit.batch
    size = config.fit.micro_batch or batch
    count = batch // size
    if count % team.size:
        fitting = [part for part in range(1, batch + 1) if batch % part == 0 and (batch // part) % team.size == 0]
        advice = f"set fit.micro_batch to {max(fitting)}" if fitting else "change fit.batch"
        raise ConfigError(
            f"fit.batch {batch} has {count} micro-batches of {size}, which {team.size} processes cannot share out "
            f"evenly; {advice} (with any number of processes, the result is that of this size)"
        )
    mine = count // team.size
    first = team.rank * mine
    return tuple(range(number * size, (number + 1) * size) for number in range(first, first + mine))


def _parallel(network: nn.Module) -> DistributedDataParallel:
    """Share gradients alone: `MicroBatchStatistics` shares the statistics of batch normalisation."""
    known = inspect.signature(DistributedDataParallel).parameters
    option = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"  # torch < 2.13
    options: dict[str, Any] = {option: False}
    return DistributedDataParallel(network, **options)


def _tensors(batch: Batch) -> tuple[Tensor, Tensor]:
    noisy, clean = (torch.from_numpy(np.ascontiguousarray(array)) for array in batch)
    return noisy, clean


def _use_running_statistics(network: nn.Module) -> None:
    for layer in normalisation_layers(network):
        layer.eval()
