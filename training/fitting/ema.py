"""The exponential moving average (EMA) of a network's weights: it is what a fit validates and keeps."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def ema_of(network: nn.Module, decay: float) -> AveragedModel:
    """The EMA of a network, which begins as the network itself.

    `update_parameters` mixes weights and statistics in with the decay min(decay, (1 + n) / (10 + n)) at update n, so
    that the beginning of a fit is soon forgotten.

    Args:
        network: whose weights are followed.
        decay: 0 to 1, of many updates.
    """

    def mixed(mine: Tensor, theirs: Tensor, count: Tensor | int) -> Tensor:
        if not mine.dtype.is_floating_point:
            return theirs
        # On the device, or every weight would wait for it.
        updates = torch.as_tensor(count)
        kept = torch.clamp((1 + updates) / (10 + updates), max=decay).to(mine.dtype)
        return torch.lerp(mine, theirs, 1 - kept)

    ema = AveragedModel(network, avg_fn=mixed, use_buffers=True)
    ema.update_parameters(network)  # the first is a copy
    return ema.eval()
