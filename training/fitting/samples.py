"""What a step is taken on: pairs of images, or scenes that know what was laid into them."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from training.config import CrossSettings, FitSettings
from training.data.batches import Batch, Batches, Purpose, fixed_batches
from training.data.pairs import Pairs
from training.data.scene_batches import SceneBatches
from training.data.scenes import Batch as SceneBatch
from training.data.scenes import Scenes
from training.fitting.cross_loss import cross_loss
from training.fitting.loss import Loss

Source: TypeAlias = Pairs | Scenes
Sample: TypeAlias = tuple[Tensor, Tensor] | SceneBatch  # noisy and clean images, or scenes
SampleLoss: TypeAlias = Loss | CrossSettings  # of pairs, or the weights of the cross loss of scenes


def batches_of(source: Source, size: int, seed: int, purpose: Purpose = Purpose.TRAINING) -> Batches | SceneBatches:
    """Endless batches."""
    if isinstance(source, Scenes):
        return SceneBatches(source, size, seed, purpose)
    return Batches(source, size, seed, purpose)


def anew(batches: Batches | SceneBatches, purpose: Purpose) -> Batches | SceneBatches:
    """Batches of the same source for another purpose."""
    source: Source = batches.scenes if isinstance(batches, SceneBatches) else batches.pairs
    return batches_of(source, batches.size, batches.seed, purpose)


def held_out(source: Source, settings: FitSettings) -> list[Sample]:
    """What is validated on, the same whenever asked."""
    count, size, seed = settings.validation_images, settings.batch, settings.seed
    if isinstance(source, Scenes):
        return list(SceneBatches(source, size, seed).fixed(count))
    return [as_sample(batch) for batch in fixed_batches(source, count, size, seed)]


def as_sample(batch: Batch | SceneBatch) -> Sample:
    """A batch as tensors."""
    if isinstance(batch, SceneBatch):
        return batch
    noisy, clean = (torch.from_numpy(np.ascontiguousarray(array)) for array in batch)
    return noisy, clean


def noisy_of(sample: Sample, device: torch.device) -> Tensor:
    """The noisy images, where the network is and in the layout that it is fast with."""
    return placed(sample.noisy if isinstance(sample, SceneBatch) else sample[0], device)


def loss_of(loss: SampleLoss, output: Tensor, noisy: Tensor, sample: Sample, progress: float) -> Tensor:
    """The loss of what a network made of a sample; `progress` of the run, 0 to 1."""
    if isinstance(sample, SceneBatch):
        if not isinstance(loss, CrossSettings):
            raise ValueError("scenes need the cross loss")
        return cross_loss(output, sample, loss, progress)
    if isinstance(loss, CrossSettings):
        raise ValueError("the cross loss needs scenes")
    return loss(output, placed(sample[1], output.device), noisy)


def placed(images: Tensor, device: torch.device) -> Tensor:
    """Images on a device, channels last."""
    return images.to(device, non_blocking=True, memory_format=torch.channels_last)
