"""The ranks of one fit: one process, or as many as torchrun starts, on one machine or several."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from nadenoise_core.device import gpu_index
from training.errors import ConfigError


@dataclass(frozen=True)
class Rank:
    """This process among those that fit one network together.

    Attributes:
        device: what this process works on.
        number: of this rank, from 0.
        world_size: how many there are.
    """

    device: torch.device = torch.device("cpu")
    number: int = 0
    world_size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether it is this process that writes files and prints."""
        return self.number == 0

    def all_reduce_mean(self, tensors: Sequence[Tensor]) -> None:
        """Put the mean over all processes into each tensor."""
        if self.world_size == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.world_size
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def all_reduce_sum(self, values: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.world_size > 1:
            dist.all_reduce(values)
        return values

    def broadcast(self, value: Any) -> Any:
        """What the first rank has, for all."""
        if self.world_size == 1:
            return value
        held = [value]
        dist.broadcast_object_list(held, src=0)
        return held[0]


@contextmanager
def distributed(device: str) -> Iterator[Rank]:
    """Join the processes that torchrun started; alone without it.

    Args:
        device: "auto", "cpu", "cuda" or "cuda:N"; with torchrun, each process takes the GPU of its number.

    Raises:
        ConfigError: no such device.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    chosen = torch_device(device, int(os.environ.get("LOCAL_RANK", "0")) if size > 1 else None)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    if size == 1:
        yield Rank(chosen)
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Rank(chosen, dist.get_rank(), dist.get_world_size())
        dist.barrier()
    except BaseException:
        # Leaving would wait for the GPUs of the others, who wait for this one; torchrun ends them.
        if chosen.type != "cuda":
            dist.destroy_process_group()
        raise
    dist.destroy_process_group()
    gc.collect()  # what still holds tensors in threads of the group would abort the process at its end


def torch_device(name: str, local_rank: int | None = None) -> torch.device:
    """The device of a name, as torch has it, which needs no cupy.

    Args:
        name: as of `nadenoise_core.device`.
        local_rank: number of this process on its machine, whose GPU it takes; None: the one that is named.

    Raises:
        ConfigError: there is no such GPU.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and not count):
        return torch.device("cpu")
    number = gpu_index(name) if local_rank is None else local_rank
    if number >= count:
        raise ConfigError(f"fit.device is {name}, and there is no GPU {number} here; set fit.device to cpu")
    return torch.device("cuda", number)
