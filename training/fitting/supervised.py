"""Fit the network of a configuration to the pairs that it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from training.config import Config, ScenePairSettings
from training.data.cache import Cache
from training.data.kspace import SpiralNoise
from training.data.pairs import make_pairs
from training.data.prepare import load_prepared
from training.data.scene_batches import make_scenes
from training.errors import ConfigError, DataError
from training.fitting.fit import Fit, Tuning, run_logged
from training.fitting.loss import make_loss
from training.fitting.ranks import Rank, distributed
from training.fitting.samples import Source
from training.network.start import Start


def fit(config: Config, out: Path, quiet: bool = False, start: Start | None = None) -> Fit:
    """Fit the network of a configuration, alone or with the other processes that torchrun started.

    Args:
        config: all of it; its cache must be there.
        out: folder of the run.
        quiet: write files only.
        start: begin with this network, of the same layers, instead of random weights.

    Raises:
        ConfigError: the start has other layers, or other processes are to draw scenes.
    """
    if config.fit.workers and isinstance(config.pairs, ScenePairSettings):
        raise ConfigError("scenes are drawn on the device of the network, in its own process; set fit.workers to 0")
    tuning = None
    if start is not None:
        mine, theirs = _layers(config), _layers(start.config)
        other = [name for name in mine if mine[name] != theirs.get(name)]
        if different := [f"{name} is {theirs.get(name)}, not {mine[name]}" for name in other]:
            raise ConfigError(f"the network to begin with has other layers: {different[0]}; set both alike")
        described = {"method": "supervised", "start": dict(start.described)}
        tuning = Tuning(start.weights, make_loss(config.loss), described)
    if config.fit.threads:
        torch.set_num_threads(config.fit.threads)
    with distributed(config.fit.device) as rank:
        cache = load_prepared(config.data)
        noise = SpiralNoise(config.design)
        training, validation = (_source(config, cache, noise, rank, part) for part in ("train", "validation"))
        fitted = Fit(out, config, training, validation, cache.provenance.sha256, rank, tuning)
        run_logged(fitted, quiet)
    return fitted


def _source(config: Config, cache: Cache, noise: SpiralNoise, rank: Rank, part: str) -> Source:
    """Pairs of the images of a part, or scenes of their limbs."""
    images = cache.parts[part]
    if not isinstance(config.pairs, ScenePairSettings):
        return make_pairs(config.pairs, images, noise, config.fit.seed)
    if cache.objects is None:
        raise DataError(f"{config.data.cache}: holds no objects; make it again with `nadenoise-train prepare`")
    objects = cache.objects.with_limbs(images.image, images.clearance)
    return make_scenes(config.pairs, objects, config.design, rank.device)


def _layers(config: Config) -> dict[str, Any]:
    """What the shapes of the weights depend on."""
    network = config.network
    if network.levels is not None:
        return {"levels": network.levels, "depths": network.depths, "channels": config.channels}
    return {"filters": network.filters, "blocks": network.blocks, "tail": network.tail, "channels": config.channels}
