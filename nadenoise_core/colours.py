"""Values as colours: grey, a diverging map for differences, and one that rises evenly for concentrations."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray

_ANCHORS = {  # evenly spaced, linear between them; of matplotlib's maps of these names, to within 9 of 255
    "gray": "000000 ffffff",
    "coolwarm": (
        "3b4cc0 4e68d8 6282ea 779af7 8db0fe a3c2fe b9d0f9 ccd9ed dddcdc ecd3c5 "
        "f5c4ac f7b093 f4987a eb7d62 dd5f4b ca3b37 b40426"
    ),
    "viridis": (
        "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1fa088 "
        "28ae80 3fbc73 5ec962 84d44b addc30 d8e219 fde725"
    ),
}


def coloured(values: NDArray[np.floating], low: float, high: float, name: str) -> NDArray[np.uint8]:
    """Values as colours (..., 3); what lies beyond the ends takes their colour, and NaN that of the low end.

    Args:
        values: of any shape.
        low, high: values at the ends of the colours.
        name: gray, coolwarm or viridis.
    """
    anchors = np.array([list(bytes.fromhex(colour)) for colour in _ANCHORS[name].split()], np.float64)
    shares = np.clip(np.nan_to_num((np.asarray(values, np.float64) - low) / (high - low)), 0, 1) * (len(anchors) - 1)
    channels = [np.interp(shares, np.arange(len(anchors)), channel) for channel in anchors.T]
    return np.asarray(np.rint(np.stack(channels, axis=-1)), dtype=np.uint8)


def png(colours: NDArray[np.uint8]) -> bytes:
    """Colours (rows, columns, 3) as a PNG file, a pixel a pixel."""
    from PIL import Image

    encoded = BytesIO()
    Image.fromarray(colours).save(encoded, format="PNG")
    return encoded.getvalue()
