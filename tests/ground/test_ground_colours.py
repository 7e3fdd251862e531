"""Values as colours, against matplotlib's; and as PNG, read by Pillow."""

from __future__ import annotations

from io import BytesIO

import matplotlib
import numpy as np
import pytest
from PIL import Image

from nadenoise_core.colours import coloured, png


@pytest.mark.parametrize("name", ["gray", "coolwarm", "viridis"])
def test_the_colours_are_those_of_matplotlib(name: str) -> None:
    values = np.linspace(-2.0, 6.0, 500)
    expected = 255 * matplotlib.colormaps[name]((values - 0.0) / 4.0)[:, :3]
    assert np.abs(coloured(values, 0.0, 4.0, name) - expected).max() < 9


def test_nan_has_the_colour_of_the_low_end() -> None:
    assert coloured(np.array([np.nan, 1.0]), 0.0, 1.0, "gray").tolist() == [[0, 0, 0], [255, 255, 255]]


def test_a_png_holds_the_colours_of_every_pixel() -> None:
    colours = coloured(np.arange(12.0).reshape(3, 4), 0.0, 11.0, "viridis")
    assert np.array_equal(np.asarray(Image.open(BytesIO(png(colours)))), colours)
