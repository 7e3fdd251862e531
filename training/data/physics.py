"""What a scan makes of a scene beside its noise: tubes that lean, a field that is not even, signal that decays."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from training.config import ScenePairSettings
from training.data.draws import Draw

EDGE = 1 / 6  # standard deviation of a slice's edges over its thickness, as of `phantom.SliceProfile`
WATER = (30.0, 60.0)  # ms, T2* of tubes without gel
GEL = 0.5  # share of scenes with gel in the tubes


@dataclass(frozen=True)
class Lean:
    """How cylinders stand in a slice, (objects,) each.

    Attributes:
        direction: rad, from rows to columns.
        tangent: of the angle against the normal of the slice.
        slab: thickness of the slice, pixels.
    """

    direction: Tensor
    tangent: Tensor
    slab: Tensor


def leaning_discs(frequency: tuple[Tensor, Tensor], radius: Tensor, lean: Lean) -> Tensor:
    """Half spectra (objects, rows, columns / 2 + 1) of cylinders of amplitude 1 at the centre.

    A cylinder that leans is cut in an ellipse, R J1(2 pi R |k|) / |k| stretched, and averaged over the depth of the
    slice, which is the transform of its profile.

    Args:
        frequency: of rows and of half the columns, cycles/pixel.
        radius: (objects,) pixels.
        lean: against the slice.
    """
    direction, tangent, slab = (part[:, None, None] for part in (lean.direction, lean.tangent, lean.slab))
    rows, columns = frequency[0][:, None], frequency[1][None]
    along = torch.cos(direction) * rows + torch.sin(direction) * columns
    across = torch.cos(direction) * columns - torch.sin(direction) * rows
    short = radius[:, None, None]
    long = short * torch.sqrt(1 + tangent**2)
    k = torch.hypot(long * along, short * across).clamp(min=1e-6)
    turns = along * tangent * slab  # over the thickness of the slice
    profile = torch.sinc(turns) * torch.exp(-2 * (torch.pi * EDGE * turns) ** 2)
    spectrum: Tensor = long * short * torch.special.bessel_j1(2 * torch.pi * k) / k * profile
    return spectrum


def field_shares(draw: Draw, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Shares of two off-resonance frequencies that mix smoothly over the field of view, (objects, rows, columns) each.

    Args:
        draw: of the direction and the scale of the mixture.
        rows, columns: in parts of the field of view, from its centre.
    """
    angle, scale, start = (
        draw.uniform(low, high)[:, None, None] for low, high in ((0, 2 * torch.pi), (1, 5), (0, 2 * torch.pi))
    )
    share = 0.5 + 0.5 * torch.sin(scale * (torch.cos(angle) * rows + torch.sin(angle) * columns) + start)
    return share, 1 - share


def evolutions(draw: Draw, settings: ScenePairSettings, times: Tensor) -> list[Tensor]:
    """What becomes of the signal by each sample: of the body at two frequencies, and of tubes at the same.

    Args:
        draw: one an object.
        settings: how often and how strongly.
        times: (samples,) ms.

    Returns:
        Four factors (objects, samples), 1 at the first sample.
    """
    on = draw.happens(settings.blurred).float()
    turning = [
        torch.exp((-2e-3j * torch.pi * settings.off_resonance * on * draw.normal())[:, None] * times) for _ in range(2)
    ]
    decaying = draw.happens(settings.blurred)[:, None]
    tissue, gel = (_decay(draw, settings, times) for _ in range(2))
    water = torch.exp(-times / draw.uniform(*WATER)[:, None])
    filling = torch.where(draw.happens(GEL)[:, None], gel, water)
    one = torch.ones_like(times)
    return [torch.where(decaying, decay, one) * turn for decay in (tissue, filling) for turn in turning]


def _decay(draw: Draw, settings: ScenePairSettings, times: Tensor) -> Tensor:
    """Of spins of 3/2, a part of whose signal decays fast."""
    fast, slow = (torch.exp(-times / draw.log_uniform(span)[:, None]) for span in (settings.fast_decay, settings.decay))
    return settings.fast * fast + (1 - settings.fast) * slow
