"""One picture of a replay: the images, the aTSC map, the calibration line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ismrmrd
import numpy as np

from nadenoise_core.mrd.facts import AtscFacts, Kind
from nadenoise_core.mrd.image import known_facts, pixel_size, pixels_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LARGEST_CONCENTRATION = 100.0  # mmol/L, the upper end of the colour scale


def draw_overview(images: Sequence[ismrmrd.Image], path: Path) -> None:
    """Write the picture of a replay as a PNG file."""
    overview(images).savefig(path)


def overview(images: Sequence[ismrmrd.Image]) -> Figure:
    """Draw one image in all its kinds: NUFFT, denoised, aTSC with a colour bar in mmol/L, calibration line.

    Args:
        images: those that a chain gave, in order.
    """
    from matplotlib.figure import Figure

    # All panels are of one image: the last with a map, else the last.
    mapped = [image for image in images if known_facts(image).kind is Kind.ATSC] or list(images)
    index = mapped[-1].getHead().image_index if mapped else 0
    last = {known_facts(image).kind: image for image in images if image.getHead().image_index == index}
    shown = [last[kind] for kind in Kind if kind in last]
    panels = len(shown) + (Kind.ATSC in last)
    figure = Figure(figsize=(4.2 * max(panels, 1), 4.4), layout="constrained", dpi=110)
    axes = figure.subplots(1, max(panels, 1), squeeze=False)[0]
    brightest = max((_brightest(last[kind]) for kind in last if kind is not Kind.ATSC), default=1.0)
    for axis, image in zip(axes, shown, strict=False):
        facts = known_facts(image)
        is_map = facts.atsc is not None
        drawn = axis.imshow(
            pixels_of(image) if is_map else np.abs(pixels_of(image)),
            cmap="viridis" if is_map else "gray",
            vmin=0,
            vmax=_LARGEST_CONCENTRATION if is_map else brightest,
            extent=_extent(image),
            interpolation="nearest",
        )
        axis.set_title(facts.description, fontsize=10)
        axis.set_xlabel("mm")
        if facts.atsc is not None:
            figure.colorbar(drawn, ax=axis, label="mmol/L", shrink=0.8)
            _mark_tubes(axis, facts.atsc)
            _draw_calibration(axes[-1], facts.atsc)
    for axis in axes[panels:]:
        axis.set_axis_off()
    return figure


def _brightest(image: ismrmrd.Image) -> float:
    return float(np.percentile(np.abs(pixels_of(image)), 99.8))


def _extent(image: ismrmrd.Image) -> tuple[float, float, float, float]:
    """Left, right, bottom, top of the image in mm; pixel N//2 is the centre of the FOV."""
    rows, columns = pixels_of(image).shape
    height, width = pixel_size(image)
    left, top = -(columns // 2 + 0.5) * width, -(rows // 2 + 0.5) * height
    return left, left + columns * width, top + rows * height, top


def _mark_tubes(axis: Any, atsc: AtscFacts) -> None:
    from matplotlib.patches import Circle

    for tube in atsc.tubes:
        axis.add_patch(Circle(tube.centre, tube.diameter / 2, fill=False, edgecolor="white", linewidth=0.8))


def _draw_calibration(axis: Any, atsc: AtscFacts) -> None:
    concentrations = np.array([tube.concentration for tube in atsc.tubes])
    errors = [tube.std / np.sqrt(tube.pixels) for tube in atsc.tubes]
    ends = np.array([0, concentrations.max()])
    axis.plot(ends, atsc.line.slope * ends + atsc.line.intercept, color="tab:gray")
    signals = [tube.signal for tube in atsc.tubes]
    axis.errorbar(concentrations, signals, yerr=errors, fmt="o", color="tab:blue", capsize=3)
    axis.set_title(f"calibration, R$^2$ = {atsc.line.r2:.4f}", fontsize=10)
    axis.set_xlabel("tube, mmol/L")
    axis.set_ylabel("signal")
