"""Figures of the report: grids of images and maps (Figures 2 and 3), agreement (Figure 4), calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nadenoise_core.errors import BadInputError
from nadenoise_core.statistics import bland_altman, pearson
from nadenoise_core.study.measures import FIT, FIT_KNOWN_SLOPE, FITS, METHODS, REFERENCE_FIT, Measures
from nadenoise_core.study.nifti import nifti_stem

_COLOURS: dict[str, str] = {
    **{"reference": "0.2", "NUFFT": "tab:blue", "CS": "tab:orange", "CNN": "tab:green"},
    **{FIT: "tab:red", FIT_KNOWN_SLOPE: "tab:purple"},
}


def read_images(
    folder: Path, reference: int, averages: Sequence[int], kind: Literal["", "_atsc"]
) -> dict[tuple[str, int], NDArray[np.float64]]:
    """The images of a volunteer by method and averages, (rows, columns); those that are not there are left out.

    Args:
        folder: of the volunteer.
        reference: averages of the reference.
        averages: of the other methods.
        kind: "" for magnitudes, "_atsc" for maps.

    Raises:
        BadInputError: a file is no image.
    """
    import nibabel

    found: dict[tuple[str, int], NDArray[np.float64]] = {}
    wanted = [("reference", reference), *((method, count) for method in METHODS for count in averages)]
    for method, count in wanted:
        path = folder / "nifti" / f"{nifti_stem(method, count)}{kind}.nii.gz"
        if not path.is_file():
            continue
        try:
            found[method, count] = np.asarray(nibabel.load(path).dataobj, np.float64)[:, :, 0].T
        except Exception as error:  # of whatever type nibabel chooses
            raise BadInputError(
                f"{path}: cannot be read ({error}); delete the volunteer's folder and run again"
            ) from None
    return found


def draw_grid(
    images: Mapping[tuple[str, int], NDArray[np.float64]],
    reference: int,
    averages: Sequence[int],
    window: tuple[float, float],
    label: str,
    colours: str,
    seconds_per_average: float | None,
) -> bytes:
    """Methods down, averages across, the reference at the left; one window, one colour bar. PNG.

    Args:
        images: by method and averages.
        reference: averages of the reference.
        averages: of the other methods, falling.
        window: lowest and highest value shown.
        label: of the colour bar.
        colours: matplotlib's name of the colour map.
        seconds_per_average: to tell the acquisition time; None: not told.
    """
    figure = Figure(
        figsize=(1.55 * (len(averages) + 1) + 0.8, 1.6 * len(METHODS) + 0.45), layout="constrained", dpi=130
    )
    axes = figure.subplots(len(METHODS), len(averages) + 1, squeeze=False)
    shown: Any = None
    for row, method in enumerate(METHODS):
        for column, count in enumerate((reference, *averages)):
            axis = axes[row, column]
            axis.set(xticks=[], yticks=[])
            image = images.get(("reference" if column == 0 else method, count))
            if image is None or (column == 0 and row > 0):
                axis.set_axis_off()
            else:
                shown = axis.imshow(image, cmap=colours, vmin=window[0], vmax=window[1], interpolation="nearest")
            if row == 0:
                axis.set_title(_title(count, seconds_per_average), fontsize=8)
            if column <= 1:
                axis.set_ylabel("reference" if column == 0 else method, fontsize=9)
    if shown is not None:
        figure.colorbar(shown, ax=axes, label=label, shrink=0.7, extend="max")
    return _saved(figure, "png")


def draw_agreement(measures: Measures, region: str, averages: int) -> bytes:
    """Figure 4 for a region: above, correlation with the reference; below, Bland and Altman. SVG."""
    methods = (*METHODS, *measures.fits)
    figure = Figure(figsize=(3.2 * len(methods), 5.6), layout="constrained")
    axes = figure.subplots(2, len(methods), squeeze=False, sharey="row")
    for (above, below), method in zip(axes.T, methods, strict=True):
        reference = measures.values(f"atsc_{region}", REFERENCE_FIT if method in FITS else "reference")
        values = measures.values(f"atsc_{region}", method, averages)
        known = np.isfinite(values) & np.isfinite(reference)
        x, y = reference[known], values[known]
        above.set_title(f"{method}, {averages} averages", fontsize=10)
        above.set_xlabel(f"reference {region} aTSC, mmol/L")
        below.set_xlabel("mean of both, mmol/L")
        if len(x) < 3:
            continue
        above.plot(x, y, "o", color=_COLOURS[method], markersize=4)
        ends = np.array([min(x.min(), y.min()) - 1, max(x.max(), y.max()) + 1])
        above.plot(ends, ends, color="0.6", linewidth=0.8)
        found, limits = pearson(y, x), bland_altman(y, x)
        above.text(0.04, 0.96, f"r = {found.r:.3f}", transform=above.transAxes, va="top", fontsize=9)
        below.plot((x + y) / 2, y - x, "o", color=_COLOURS[method], markersize=4)
        for value, interval, style in (
            (limits.bias, limits.bias_interval, "-"),
            (limits.lower, limits.lower_interval, "--"),
            (limits.upper, limits.upper_interval, "--"),
        ):
            below.axhline(value, color="0.3", linestyle=style, linewidth=0.9)
            below.axhspan(interval.low, interval.high, 0.965, 1, color="0.5", alpha=0.35, linewidth=0)
        below.axhline(0, color="0.75", linewidth=0.6)
    axes[0, 0].set_ylabel(f"{region} aTSC, mmol/L")
    axes[1, 0].set_ylabel("method - reference, mmol/L")
    return _saved(figure, "svg")


def draw_calibration(measures: Measures, averages: int) -> bytes:
    """What the tubes of all volunteers read against their concentration, by method. SVG."""
    figure = Figure(figsize=(9.6, 2.9), layout="constrained")
    axes = figure.subplots(1, len(METHODS) + 1, squeeze=False, sharey=True)[0]
    concentrations = sorted(
        {float(row.measure.removeprefix("tube_")) for row in measures.rows if row.measure.startswith("tube_")}
    )
    for axis, method in zip(axes, ("reference", *METHODS), strict=True):
        count = None if method == "reference" else averages
        slope, intercept = (measures.values(name, method, count) for name in ("slope", "intercept"))
        r2 = measures.values("r2", method, count)
        for concentration in concentrations:
            signal = measures.values(f"tube_{concentration:g}", method, count)
            read = (signal - intercept) / slope
            axis.plot(np.full(len(read), concentration), read, "o", color=_COLOURS[method], markersize=3, alpha=0.6)
        ends = [0.0, max(concentrations, default=1.0)]
        axis.plot(ends, ends, color="0.6", linewidth=0.8)
        known = r2[np.isfinite(r2)]
        fit = f"\nR$^2$ {known.min():.4f} to {known.max():.4f}" if len(known) else ""
        axis.set_title(f"{method}{'' if count is None else f', {count} avg'}{fit}", fontsize=9)
        axis.set_xlabel("tube, mmol/L")
    axes[0].set_ylabel("calibrated reading, mmol/L")
    return _saved(figure, "svg")


def _title(averages: int, seconds_per_average: float | None) -> str:
    if seconds_per_average is None:
        return f"{averages}"
    minutes, seconds = divmod(round(averages * seconds_per_average), 60)
    return f"{averages} ({minutes}:{seconds:02d})"


def _saved(figure: Figure, form: Literal["png", "svg"]) -> bytes:
    from matplotlib import rc_context

    stored = BytesIO()
    # Without a date and random ids, the same study gives the same file.
    with rc_context({"svg.hashsalt": "nadenoise"}):
        figure.savefig(stored, format=form, metadata={"Date": None} if form == "svg" else {"Software": None})
    return stored.getvalue()
