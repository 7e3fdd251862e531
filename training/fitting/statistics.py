"""Running statistics of batch normalisation, when a batch is cut into micro-batches.

A running statistic is a linear mix of its last value and that of a batch. So every micro-batch starts from the same
value, and the mean over micro-batches, of all processes, is the new one: it does not matter who worked on which.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.fitting.ranks import Rank
from training.network.residual import normalisation_layers


class MicroBatchStatistics:
    """Collects the statistics of one step.

    Args:
        network: in training mode, before its first micro-batch.
    """

    def __init__(self, network: nn.Module) -> None:
        buffers = [buffer for layer in normalisation_layers(network) for buffer in layer.buffers()]
        self._live = [buffer for buffer in buffers if buffer.is_floating_point()]
        self._counters = [buffer for buffer in buffers if not buffer.is_floating_point()]
        self._before = [buffer.clone() for buffer in (*self._live, *self._counters)]
        self._sums = [torch.zeros_like(buffer) for buffer in self._live]
        self._count = 0

    def collect(self) -> None:
        """Take what a micro-batch left, after its backward pass, and go back to the start."""
        self._count += 1
        for mean, buffer, before in zip(self._sums, self._live, self._before, strict=False):
            mean += buffer
            buffer.copy_(before)

    def finish(self, rank: Rank) -> None:
        """Set the statistics to the mean over all micro-batches of all processes."""
        means: list[Tensor] = [total / self._count for total in self._sums]
        rank.all_reduce_mean(means)
        for buffer, mean in zip(self._live, means, strict=True):
            buffer.copy_(mean)
        for counter, before in zip(self._counters, self._before[len(self._live) :], strict=True):
            counter.copy_(before + 1)


def use_running_statistics(network: nn.Module) -> None:
    """Let batch normalisation use its running statistics, as it does when the network is used."""
    for layer in normalisation_layers(network):
        layer.eval()
