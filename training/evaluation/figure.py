"""A figure of examples: what the network is given, what it makes of it, and the truth."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np

from nadenoise_core.errors import OutputError
from nadenoise_core.files import write_whole
from training.data.cache import Images
from training.data.kspace import SpiralNoise
from training.evaluation.evaluate import evaluation_pair, evaluation_pairs
from training.network.model import Model

AVERAGES = (50, 30, 10)
NAMES = ("input", "denoised", "clean")


def draw_examples(
    model: Model,
    images: Images,
    noise: SpiralNoise,
    path: Path,
    averages: Sequence[int] = AVERAGES,
    index: int = 0,
) -> None:
    """Draw one test image of Table 1 at several numbers of averages, magnitudes in one window.

    Args:
        model: that denoises.
        images: of the test set.
        noise: the spiral.
        path: of the figure; its suffix says the format.
        averages: one row each.
        index: of the image.

    Raises:
        OutputError: the figure cannot be written.
        ValueError: no averages, or no such image.
    """
    from matplotlib.figure import Figure

    if not averages or not 0 <= index < len(images):
        raise ValueError(f"there is no image {index} of {len(images)} to draw at averages {tuple(averages)}")
    # Discs are drawn by the index of the image, so all before it are needed.
    pairs = evaluation_pairs(images.first(index + 1), noise)
    drawn = [evaluation_pair(pairs, index, count) for count in averages]
    denoised = model.denoise(np.stack([pair.noisy for pair in drawn]), np.array([pair.noise_std for pair in drawn]))
    top = float(drawn[0].clean.max())
    figure = Figure(figsize=(7.2, 1.95 * len(averages) + 0.3), layout="constrained", dpi=150)
    axes = figure.subplots(len(averages), len(NAMES), squeeze=False)
    for row, count, pair, output in zip(axes, averages, drawn, denoised, strict=True):
        for axis, image in zip(row, (pair.noisy, output, pair.clean), strict=True):
            shown = axis.imshow(np.abs(image) / top, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
        row[0].set_ylabel(f"{count} averages")
    for axis, name in zip(axes[0], NAMES, strict=True):
        axis.set_title(name)
    figure.colorbar(shown, ax=axes, label="magnitude, of the clean maximum", extend="max", shrink=0.7)
    drawing = BytesIO()
    try:
        figure.savefig(drawing, format=path.suffix.removeprefix(".") or "png", bbox_inches="tight")
    except ValueError as error:  # a suffix that matplotlib does not know
        raise OutputError(f"cannot write {path} ({error})") from None
    write_whole(path, drawing.getvalue(), private=False)
