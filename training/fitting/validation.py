"""How good a network is on pairs that it is not trained on, and which was the best so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from training.data.batches import Batch
from training.fitting.loss import Loss
from training.fitting.ranks import Rank
from training.fitting.step import placed, tensors


@dataclass(frozen=True)
class Best:
    """The best network so far.

    Attributes:
        loss: on the validation pairs.
        epoch: in which it was; 0 is the start.
    """

    loss: float = math.inf
    epoch: int = 0


@dataclass(frozen=True)
class Validation:
    """Pairs that are held out; the ranks share them.

    Attributes:
        batches: of pairs, the same at every call.
        loss: of output and clean image.
        rank: of this process.
    """

    batches: Sequence[Batch]
    loss: Loss
    rank: Rank

    def loss_of(self, network: nn.Module) -> float:
        """Mean loss of a network over all pairs, in float32."""
        network = network.eval()
        sums = torch.zeros(len(self.batches), dtype=torch.float64)
        with torch.no_grad():
            for number in range(self.rank.number, len(self.batches), self.rank.world_size):
                noisy, clean = (placed(part, self.rank.device) for part in tensors(self.batches[number]))
                sums[number] = len(noisy) * float(self.loss(network(noisy), clean, noisy))
        return float(self.rank.all_reduce_sum(sums).sum()) / sum(len(noisy) for noisy, _ in self.batches)
