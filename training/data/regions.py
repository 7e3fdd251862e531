"""Parts of a body over which a network must be right in the mean: shells below the skin, and tissue beside edges.

They are found from the image of the body alone, so they are there for any anatomy.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn.functional import conv2d, pad

SHELLS = ((-1.5, 0.0), (0.5, 1.5), (1.5, 2.5), (2.5, 4.5))  # pixels from the surface, inside positive
INNER = 4.0  # pixels: deeper lies no shell
ALIKE = (0.8, 1.2)  # of the median within the body: the main tissue, which is muscle in a leg
FLAT = 0.05  # of that median: what a Gaussian of EDGE pixels takes away beside an edge is more
EDGE = 2.0
RIMS = ((0.5, 0.9), (0.15, 0.5))  # of the level of a tube


def depths(clearance: NDArray[np.floating]) -> NDArray[np.float16]:
    """Distance of every pixel of a body from outside it, in pixels; 0 outside.

    Args:
        clearance: (bodies, rows, columns) distance from the body, 0 within.
    """
    return np.stack([distance_transform_edt(image <= 0) for image in clearance]).astype(np.float16)


def body_regions(body: Tensor, clearance: Tensor, depth: Tensor) -> Tensor:
    """Masks (objects, regions, rows, columns): shells, flat main tissue, main tissue at edges, and what is dark there.

    Args:
        body: (objects, rows, columns) without noise.
        clearance, depth: likewise, pixels from the body and from outside it.
    """
    signed = torch.where(depth > 0, depth, -clearance)
    shells = [(signed > low) & (signed <= high) & (signed != 0) for low, high in SHELLS]
    inner = depth > INNER
    level = torch.where(inner, body, torch.nan).flatten(1).nanmedian(1).values.nan_to_num(0.0)[:, None, None]
    fine = body - blurred(body[:, None], EDGE)[:, 0]
    main = inner & (body > ALIKE[0] * level) & (body < ALIKE[1] * level)
    flat = main & (fine.abs() < FLAT * level)
    return torch.stack([*shells, flat, main & (fine >= FLAT * level), inner & (fine <= -FLAT * level)], 1).to(
        body.dtype
    )


def tube_regions(tubes: Tensor) -> Tensor:
    """Masks (objects, 2, rows, columns) of the rims of tubes, above and below half of their level.

    Args:
        tubes: (objects, tubes, rows, columns) images of single tubes; 0 where there is none.
    """
    share = tubes / tubes.amax((2, 3), keepdim=True).clamp(min=1e-6)
    return torch.stack([((share > low) & (share <= high)).any(1) for low, high in RIMS], dim=1).to(tubes.dtype)


def blurred(image: Tensor, width: float) -> Tensor:
    """(objects, channels, rows, columns) after a Gaussian of so many pixels, reflected at the edges."""
    reach = math.ceil(3 * width)
    offset = torch.arange(-reach, reach + 1, dtype=image.dtype, device=image.device)
    bell = torch.exp(-(offset**2) / (2 * width**2))
    bell = (bell / bell.sum()).view(1, 1, -1, 1).expand(image.shape[1], 1, -1, 1)
    padded = pad(image, [reach] * 4, mode="reflect")
    return conv2d(conv2d(padded, bell, groups=image.shape[1]), bell.transpose(2, 3), groups=image.shape[1])
