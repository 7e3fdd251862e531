"""One step of a fit: its micro-batches, shared out over the ranks, and their gradients."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset

from training.config import Config, FitSettings
from training.data.batches import Batches
from training.data.scene_batches import SceneBatches
from training.errors import ConfigError
from training.fitting.ranks import Rank
from training.fitting.samples import Sample, SampleLoss, as_sample, loss_of, noisy_of
from training.fitting.statistics import MicroBatchStatistics, use_running_statistics

Parts = list[Sample]  # the micro-batches of a process


@dataclass(frozen=True)
class Steps(Dataset[Parts]):
    """The micro-batches that one process takes of every step."""

    batches: Batches | SceneBatches
    places: tuple[range, ...]

    def __getitem__(self, step: int) -> Parts:
        return [as_sample(self.batches.part(step, places)) for places in self.places]

    def load(self, steps: range, settings: FitSettings, device: torch.device) -> Iterator[Parts]:
        """The micro-batches of these steps, drawn in this process or by workers ahead of it."""
        if not settings.workers or not steps:
            return (self[step] for step in steps)
        return iter(
            DataLoader(
                self,
                batch_size=None,
                sampler=steps,
                num_workers=settings.workers,
                prefetch_factor=4,
                pin_memory=device.type == "cuda",
            )
        )


class Stepper:
    """Takes steps of Adam on a network.

    Args:
        network: on the device of the rank.
        loss: of what it makes of a sample.
        settings: precision, clipping, first learning rate.
        rank: of this process.
    """

    def __init__(self, network: nn.Module, loss: SampleLoss, settings: FitSettings, rank: Rank) -> None:
        self.network = network
        self.loss = loss
        self.settings = settings
        self.rank = rank
        self.optimiser = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
        self._shared = network if rank.world_size == 1 else _sharing_gradients(network)

    def take(self, parts: Parts, learning_rate: float, frozen: bool, progress: float = 1.0) -> Tensor:
        """One step on the micro-batches of this process; the mean loss of all processes.

        Args:
            parts: the samples.
            learning_rate: of this step.
            frozen: whether batch statistics stay as they are.
            progress: of the run, 0 to 1, which the cross loss asks for.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        self.network.train()
        if frozen:
            use_running_statistics(self.network)
        statistics = None if frozen else MicroBatchStatistics(self.network)
        self.optimiser.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.rank.device)
        for number, sample in enumerate(parts, 1):
            with self._gradients(last=number == len(parts)):
                loss = self._loss_of(sample, progress) / len(parts)
                loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
            if statistics is not None:
                statistics.collect()
        if statistics is not None:
            statistics.finish(self.rank)
        self.rank.all_reduce_mean([total])
        if self.settings.clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        self.optimiser.step()
        return total

    def leave(self) -> None:
        """Let go of the other ranks; the network can then be looked at, not trained."""
        self._shared = self.network

    def _loss_of(self, sample: Sample, progress: float) -> Tensor:
        narrow = self.settings.precision == "bfloat16"
        noisy = noisy_of(sample, self.rank.device)
        with torch.autocast(self.rank.device.type, torch.bfloat16, enabled=narrow):
            output: Tensor = self._shared(noisy)
        return loss_of(self.loss, output.float(), noisy, sample, progress)

    def _gradients(self, last: bool) -> AbstractContextManager[None]:
        """Ranks exchange gradients once a step, with the last micro-batch."""
        if isinstance(self._shared, DistributedDataParallel) and not last:
            return self._shared.no_sync()
        return nullcontext()


def share_out(config: Config, rank: Rank) -> tuple[range, ...]:
    """The places in the batch of each micro-batch that a rank takes.

    Raises:
        ConfigError: there are not as many for each rank.
    """
    batch = config.fit.batch
    size = config.fit.micro_batch or batch
    count = batch // size
    ranks = rank.world_size
    if count % ranks:
        fitting = [part for part in range(1, batch + 1) if batch % part == 0 and (batch // part) % ranks == 0]
        advice = f"set fit.micro_batch to {max(fitting)}" if fitting else "change fit.batch"
        raise ConfigError(
            f"fit.batch {batch} has {count} micro-batches of {size}, which {ranks} processes cannot share out "
            f"evenly; {advice} (with any number of processes, the result is that of this size)"
        )
    mine = count // ranks
    first = rank.number * mine
    return tuple(range(number * size, (number + 1) * size) for number in range(first, first + mine))


def _sharing_gradients(network: nn.Module) -> DistributedDataParallel:
    """Share gradients alone: `MicroBatchStatistics` shares the statistics of batch normalisation."""
    known = inspect.signature(DistributedDataParallel).parameters
    option = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"  # torch < 2.13
    options: dict[str, Any] = {option: False}
    return DistributedDataParallel(network, **options)
