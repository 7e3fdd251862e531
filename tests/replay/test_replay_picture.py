"""The picture of a replay: outlines against maps drawn by hand."""

from __future__ import annotations

import numpy as np

from nadenoise_core.replay.outlines import outline_colours, outlines
from nadenoise_core.replay.panels import Panel
from nadenoise_core.replay.picture import picture_of


def _panel(labels: np.ndarray, drawn: np.ndarray | None = None) -> Panel:
    values = np.zeros(labels.shape, np.float32)
    extent = (-4.0, 4.0, 6.0, -6.0)
    return Panel("aTSC", values, 0.0, 1.0, "gray", "", extent, ("R", "L", "A", "P"), labels=labels, drawn=drawn)


def test_outlines_are_the_edges_of_the_pixels_in_mm() -> None:
    labels = np.zeros((6, 4), np.int64)  # pixels of 2 x 2 mm
    labels[1, 2] = 7
    ((edges, colour),) = outlines(_panel(labels))
    assert colour == outline_colours([7])[7]
    assert {tuple(edge) for edge in edges.tolist()} == {
        (0.0, -4.0, 2.0, -4.0),
        (0.0, -2.0, 2.0, -2.0),
        (0.0, -4.0, 0.0, -2.0),
        (2.0, -4.0, 2.0, -2.0),
    }


def test_labels_as_drawn_come_first_and_grey() -> None:
    labels = np.eye(4, dtype=np.int64)
    colours = [colour for _, colour in outlines(_panel(labels, drawn=labels))]
    assert colours == ["#a8a8a8", *outline_colours([1]).values()]


def test_a_replay_without_images_has_a_picture_too() -> None:
    assert picture_of([]).size[0] > 0
