"""What the bench compares: networks and baselines, each a function of wide complex images and of their noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from training.errors import ConfigError
from training.evaluation import baselines
from training.evaluation.frontier import Denoise, Images
from training.network.model import Model, open_model

BASELINES: dict[str, Denoise] = {
    "plain": baselines.plain,
    "gaussian": baselines.gaussian,
    "total_variation": baselines.total_variation,
    "wavelets": baselines.wavelets,
    "non_local_means": baselines.non_local_means,
    "block_matching": baselines.block_matching,
}
_SMOOTH = 4.0  # pixels: the phase that a magnitude gets is that of the image after a Gaussian of this width


def baseline(name: str) -> Denoise:
    """The baseline of a name.

    Raises:
        ConfigError: there is none.
    """
    if name not in BASELINES:
        raise ConfigError(f"there is no baseline {name!r}; there are {', '.join(BASELINES)}")
    return BASELINES[name]


def network(path: Path) -> tuple[Denoise, int]:
    """The network of a run's folder or of a bundle, and the pixels around an image that it wants to see.

    Raises:
        DataError: neither run nor bundle.
    """
    model, _ = open_model(path)
    return of_model(model), model.context


def of_model(model: Model) -> Denoise:
    """The denoiser of a model; a network of magnitudes is given the smooth phase of its input."""

    def magnitude(images: Images, std: float) -> Images:
        smooth = [gaussian_filter(image, _SMOOTH) for image in images]
        return np.asarray(model.denoise(images, std) * np.exp(1j * np.angle(smooth)), np.complex64)

    return magnitude if model.channels == "magnitude" else model.denoise
