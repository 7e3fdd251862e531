"""The network that a fit begins with: of a run, or taken out of a bundle."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nadenoise_core.denoise.bundle import Bundle
from training.config import Config, config_from_plain
from training.errors import ConfigError, DataError
from training.network.model import load_bundle, run_or_bundle
from training.network.residual import normalisation_layers
from training.network.run import build_network, load_best


@dataclass(frozen=True)
class Start:
    """A network to begin with.

    Attributes:
        weights: its state.
        config: it was made with.
        data: part of the split to checksum of the images that it was made from.
        described: where it comes from, in plain values.
    """

    weights: Mapping[str, Tensor]
    config: Config
    data: Mapping[str, str]
    described: Mapping[str, Any]


def open_start(path: Path, config: Config | None = None) -> Start:
    """The network of a run's folder, or of a bundle. Loading a bundle can run code: give only files of your own.

    Args:
        path: of either, or the name of a bundle, see `run_or_bundle`.
        config: of a bundle that does not tell its own.

    Raises:
        ConfigError: a bundle that does not tell its configuration, and none is given.
        DataError: neither run nor bundle, or a network that is not of its configuration.
    """
    path = run_or_bundle(path)
    if path.is_dir():
        network, run = load_best(path)
        return Start(network.state_dict(), run.config, run.data, run.plain())
    _, metadata = load_bundle(path)
    training = metadata.get("training", {})
    if config is None:
        if "configuration" not in training:
            raise ConfigError(f"{path}: does not say how it was made; give --config, or the folder of its run")
        config = config_from_plain(training["configuration"], str(path))
    described = {
        "bundle": metadata["name"],
        "version": metadata["version"],
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "keep": training.get("keep", 0.0),
    }
    return Start(bundle_weights(path, config), config, _checksums(training.get("data", {})), described)


def bundle_weights(path: Path, config: Config) -> dict[str, Tensor]:
    """The state of an exported network, as the network of `config` loads it.

    Freezing has folded each batch normalisation into the convolution before it, so those of the result do nothing,
    but for the last one of the paper's tail, which follows no convolution.

    Raises:
        DataError: the bundle is not TorchScript, or its convolutions are not those of the configuration or were not
            folded.
    """
    if Bundle(path).archive != "torchscript":
        raise DataError(
            f"{path}: weights can be taken out of a TorchScript bundle alone; give its .pt file, or the folder of its "
            "run"
        )
    network = build_network(config).eval()
    scripted = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    if config.network.levels is not None:  # it has no normalisation to fold, so its state is as it was
        return _own_state(scripted, network, path)
    nodes = list(scripted.inlined_graph.nodes())
    convolutions = [_constants(node)[:2] for node in nodes if "conv" in node.kind()]
    convolutions = [given for given in convolutions if given[1] is not None]  # `keep` smooths without a bias
    unfolded = [_constants(node) for node in nodes if "batch_norm" in node.kind()]
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    shapes = [layer.weight.shape for layer in layers]
    last = normalisation_layers(network)[-1:] if config.network.tail == "paper" else []
    if shapes != [None if weight is None else weight.shape for weight, _ in convolutions] or len(unfolded) != len(last):
        raise DataError(
            f"{path}: its weights cannot be taken out of the bundle as a network of this configuration; give the "
            "folder of its run"
        )
    for layer, given in zip(layers, convolutions, strict=True):
        _fill((layer.weight, layer.bias), given)
    for norm in normalisation_layers(network):
        _fill((norm.running_var,), (torch.full((norm.num_features,), 1 - norm.eps),))
    for norm, given in zip(last, unfolded, strict=True):
        _fill((norm.weight, norm.bias, norm.running_mean, norm.running_var), given)
    return dict(network.state_dict())


def _own_state(scripted: Any, network: nn.Module, path: Path) -> dict[str, Tensor]:
    state = dict(scripted.state_dict())
    try:
        network.load_state_dict(state)
    except RuntimeError:
        raise DataError(
            f"{path}: its weights are not those of a network of this configuration; give the folder of its run"
        ) from None
    return state


def _constants(node: Any) -> list[Tensor | None]:
    """The tensors that a frozen graph gives to an operation, beside its input."""
    return [value.toIValue() for value in list(node.inputs())[1:5]]


def _fill(targets: Sequence[Tensor | None], given: Sequence[Tensor | None]) -> None:
    with torch.no_grad():
        for mine, theirs in zip(targets, given, strict=False):
            if mine is not None and theirs is not None:
                mine.copy_(theirs)


def _checksums(data: Mapping[str, Any]) -> dict[str, str]:
    """The checksums of images; a bundle may say other things of its data."""
    return {str(part): str(data[part]) for part in ("train", "validation", "test") if part in data}
