"""The folder of a run: its checkpoint, its best network, and what both were made with."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nadenoise_core.errors import OutputError, reason_of
from nadenoise_core.files import whole_file
from training.config import Config, config_from_plain
from training.errors import DataError
from training.network.residual import ResidualDenoiser
from training.network.unet import UNet

Network = ResidualDenoiser | UNet

CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"

# These may be set anew when a run goes on: they do not change what a step does.
FREE = (
    "data.cache",
    "fit.epochs",
    "fit.minutes",
    "fit.patience",
    "fit.device",
    "fit.threads",
    "fit.workers",
)


@dataclass(frozen=True)
class Run:
    """What is known of a finished or unfinished run.

    Attributes:
        config: all of it.
        epoch, step: of the best network.
        minutes: of training until then.
        validation_loss: of the best network.
        processes: how many worked on it.
        data: part of the split to checksum of its images.
        tuning: how it was fine-tuned, and from which network; None if it was not.
    """

    config: Config
    epoch: int
    step: int
    minutes: float
    validation_loss: float
    processes: int
    data: Mapping[str, str]
    tuning: Mapping[str, Any] | None = None

    def plain(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        tuning = {} if self.tuning is None else {"tuning": dict(self.tuning)}
        return {
            "configuration": self.config.plain(),
            "epoch": self.epoch,
            "step": self.step,
            "minutes": self.minutes,
            "validation_loss": self.validation_loss,
            "processes": self.processes,
            "data": dict(self.data),
            **tuning,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], source: str) -> Run:
        """The inverse of `plain`; `source` is the file that kept it."""
        values = {name: plain[name] for name in ("epoch", "step", "minutes", "validation_loss", "processes", "data")}
        return cls(config_from_plain(plain["configuration"], source), **values, tuning=plain.get("tuning"))


def build_network(config: Config) -> Network:
    """The network of a configuration, with random weights."""
    wanted = config.network
    network: Network
    if wanted.levels is not None:
        network = UNet(wanted.levels, wanted.depths, config.channels)
    else:
        network = ResidualDenoiser(
            wanted.filters,
            wanted.blocks,
            config.channels,
            wanted.tail,
            wanted.zero_init,
            wanted.momentum,
            wanted.keep,
        )
    # A third faster than the default layout on a CPU with AVX-512.
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def load_best(folder: Path) -> tuple[Network, Run]:
    """The best network of a run, ready for use, and what is known of the run.

    Raises:
        DataError: there is none, or it is damaged.
    """
    path = folder / BEST
    if not path.is_file():
        raise DataError(f"{folder}: holds no {BEST}; give the folder that `nadenoise-train fit` wrote")
    state = load_state(path)
    run = Run.from_plain(state["run"], str(path))
    network = build_network(run.config)
    network.load_state_dict(state["network"])
    return network.eval(), run


def load_state(path: Path) -> dict[str, Any]:
    """What `save_state` wrote.

    Raises:
        DataError: it is damaged, or of another program.
    """
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError):
        state = None
    if not isinstance(state, dict) or not {"run", "network"} <= state.keys():
        raise DataError(f"{path}: is damaged, or of another version of nadenoise; delete it, or use another folder")
    return state


def save_state(state: dict[str, Any], path: Path) -> None:
    """Write plain values and tensors, all or nothing.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        with whole_file(path) as unfinished, unfinished.open("wb") as file:
            torch.save(state, file)
    except RuntimeError as error:  # of torch where the disc is full
        raise OutputError(f"cannot write {path}: {reason_of(error)}; check the folder and its free space") from None
