"""A network with what it expects, applied to complex images: the same code before and after export."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nadenoise_core.denoise.bundle import Bundle, find_bundle
from nadenoise_core.denoise.network import load_network
from nadenoise_core.errors import BundleError
from training.data.pairs import Complex, channels, range_scale
from training.errors import DataError
from training.network.run import Run, load_best


@dataclass(frozen=True)
class Model:
    """A network and its input format, as `metadata.json` names it.

    Attributes:
        network: (images, channels, rows, columns) to the same.
        channels: "complex" or "magnitude".
        normalisation: "noise" or "range".
        context: pixels around an image that it wants to see too, on every side.
        batch: images that it is given at once.
    """

    network: Callable[[torch.Tensor], torch.Tensor]
    channels: str = "complex"
    normalisation: str = "noise"
    context: int = 0
    batch: int = 16

    def __post_init__(self) -> None:
        if (self.channels, self.normalisation) not in (("complex", "noise"), ("magnitude", "range")):
            raise ValueError(f"no such input format: {self.channels} images normalised by {self.normalisation}")

    @classmethod
    def of_run(cls, network: Callable[[torch.Tensor], torch.Tensor], run: Run) -> Model:
        """The network of a run, with the input it was trained on."""
        takes = run.config.input_format
        return cls(network, takes["channels"], takes["normalisation"], takes.get("context", 0))

    def denoise(self, images: Complex, noise_std: float | NDArray[np.floating]) -> Complex:
        """Denoise images; a magnitude network gives magnitudes.

        Args:
            images: (images, rows, columns), with `context` pixels around each where the network is to see them.
            noise_std: standard deviation of the noise in their real parts, one or one an image; magnitude networks
                make no use of it.

        Returns:
            (images, rows, columns) complex64, as wide as given.
        """
        if self.channels == "magnitude":
            return np.stack([self._magnitude(np.abs(image)) for image in images]).astype(np.complex64)
        std = np.broadcast_to(np.asarray(noise_std, np.float32), len(images))[:, None, None]
        parts = self._run(channels(images / std))
        return ((parts[:, 0] + 1j * parts[:, 1]) * std).astype(np.complex64)

    def _magnitude(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        low, scale = range_scale(image)
        denoised: NDArray[np.float32] = self._run(((image - low) / scale)[None, None])[0, 0] * scale + low
        return denoised

    def _run(self, parts: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.no_grad():
            done = [self.network(torch.from_numpy(part)) for part in _chunks(parts, self.batch)]
        images: NDArray[np.float32] = torch.cat(done).numpy()
        return images


def load_bundle(path: Path) -> tuple[Model, dict[str, Any]]:
    """Model and metadata of an exported bundle of either format. Loading one can run code: give only your own.

    Raises:
        DataError: it is no bundle.
    """
    try:
        bundle = Bundle(path)
        takes = bundle.metadata.input
        model = Model(load_network(bundle), takes.channels, takes.normalisation, takes.context)
    except (BundleError, ValueError):
        raise DataError(f"{path}: is no bundle of nadenoise, or damaged") from None
    return model, bundle.metadata.model_dump(mode="json")


def run_or_bundle(named: Path) -> Path:
    """The folder of a run or the file of a bundle; by its name, the file of one that comes with nadenoise.

    Raises:
        DataError: neither.
    """
    if named.exists():
        return named
    try:
        return find_bundle(str(named)).path
    except BundleError:
        raise DataError(f"{named}: no such run or bundle; `nadenoise model list` says which can be named") from None


def open_model(path: Path) -> tuple[Model, dict[str, Any] | None]:
    """The model of a run or a bundle, see `run_or_bundle`, and the configuration it was made with, if it says.

    Raises:
        DataError: neither.
    """
    path = run_or_bundle(path)
    if path.is_dir():
        network, run = load_best(path)
        return Model.of_run(network, run), run.config.plain()
    model, metadata = load_bundle(path)
    plain: dict[str, Any] | None = metadata.get("training", {}).get("configuration")
    return model, plain


def _chunks(parts: NDArray[np.float32], size: int) -> list[NDArray[np.float32]]:
    return [np.ascontiguousarray(parts[start : start + size], np.float32) for start in range(0, len(parts), size)]
