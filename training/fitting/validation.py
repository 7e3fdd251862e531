"""How good a network is on pairs that it is not trained on, and which was the best so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from training.data.scenes import Batch as SceneBatch
from training.fitting.ranks import Rank
from training.fitting.samples import Sample, SampleLoss, loss_of, noisy_of


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
        samples: the same at every call.
        loss: of what a network makes of one.
        rank: of this process.
    """

    samples: Sequence[Sample]
    loss: SampleLoss
    rank: Rank

    def loss_of(self, network: nn.Module) -> float:
        """Mean loss of a network over all pairs, in float32."""
        network = network.eval()
        sums = torch.zeros(len(self.samples), dtype=torch.float64)
        counts = [len(sample) if isinstance(sample, SceneBatch) else len(sample[0]) for sample in self.samples]
        with torch.no_grad():
            for number in range(self.rank.number, len(self.samples), self.rank.world_size):
                sample = self.samples[number]
                noisy = noisy_of(sample, self.rank.device)
                sums[number] = counts[number] * float(loss_of(self.loss, network(noisy), noisy, sample, 1.0))
        return float(self.rank.all_reduce_sum(sums).sum()) / sum(counts)
