"""Where the labels of a map meet, and in which colours that is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.replay.panels import Panel

_COLOURS = ("#ffffff", "#ff9d3c", "#ff7fd0", "#5fe3ff", "#ff5a4d", "#d6e04a")
_BEFORE = "#a8a8a8"  # of labels before their pose was fitted


def outline_colours(labels: Iterable[int]) -> dict[int, str]:
    """Colour of every label, in the order of the labels."""
    return {label: _COLOURS[number % len(_COLOURS)] for number, label in enumerate(sorted(set(labels)))}


def outlines(panel: Panel) -> Iterator[tuple[NDArray[np.float64], str]]:
    """The edges of every region, and their colour; first, in grey, as they were drawn before a pose.

    Yields:
        (edges, 4): x, y of one end and x, y of the other, mm.
    """
    if panel.drawn is not None:
        yield _edges(panel.drawn, panel), _BEFORE
    if panel.labels is not None:
        for label, colour in outline_colours(int(label) for label in np.unique(panel.labels) if label > 0).items():
            yield _edges(np.where(panel.labels == label, 1, 0), panel), colour


def _edges(labels: NDArray[np.int64], panel: Panel) -> NDArray[np.float64]:
    """The edges of pixels between unlike labels."""
    left, right, bottom, top = panel.extent
    rows, columns = labels.shape
    padded = np.pad(labels, 1)
    across = np.argwhere(np.diff(padded, axis=0)[:, 1:-1])  # along a row, above it
    down = np.argwhere(np.diff(padded, axis=1)[1:-1])
    ends = np.concatenate([np.hstack([across, across + [0, 1]]), np.hstack([down, down + [1, 0]])])
    scale = np.array([(bottom - top) / rows, (right - left) / columns] * 2)
    return np.asarray((ends * scale + [top, left] * 2)[:, [1, 0, 3, 2]])
