"""`python -m benchmarks.cs_frontier`: the table of docs/method.md, and its picture.

Every method has a range of weights; the table has each at the weight that gives the paper's estimated SNR.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from benchmarks.cs_frontier.regularisers import Regularisers
from benchmarks.cs_frontier.volunteers import PIXEL, Case, Image, cases
from nadenoise_core.device import choose_device
from nadenoise_core.recon.model import SignalModel
from nadenoise_core.sampling import PAPER_SPIRAL, sample_weights

PAPER_SNR, PAPER_SKIN = 5.9, -1.12  # of compressed sensing at 30 averages, Tables 2 and 5
Point = tuple[float, float, float, float]  # SNR; biases of skin, mmol/L, and of the weakest tube, %; RMSE


def point(images: Sequence[Image], scans: Sequence[Case]) -> Point:
    """Median SNR and mean errors of images of these scans."""
    readings = [case.read(image) for case, image in zip(scans, images, strict=True)]
    truths = [case.read(case.clean) for case in scans]
    skin = np.mean([one.skin - true.skin for one, true in zip(readings, truths, strict=True)])
    tube = np.mean([one.weakest - true.weakest for one, true in zip(readings, truths, strict=True)])
    error = np.mean([case.error(one) for case, one in zip(scans, readings, strict=True)])
    weakest = min(scans[0].concentrations)
    return float(np.median([one.snr for one in readings])), float(skin), float(100 * tube / weakest), float(error)


def table(frontier: Mapping[str, Sequence[Point]]) -> str:
    """Markdown: every method at the paper's SNR, or at the nearest that it reaches."""
    rows: dict[str, list[str]] = {
        "estimated SNR": [],
        "skin, mmol/L": [],
        "tube of 10 mmol/L": [],
        "RMSE over the leg, mmol/L": [],
    }
    for points in frontier.values():
        values = np.array(sorted(points))
        snr = float(np.clip(PAPER_SNR, values[0, 0], values[-1, 0]))
        skin, tube, error = (float(np.interp(snr, values[:, 0], values[:, column])) for column in (1, 2, 3))
        texts = f"{snr:.1f}", f"{skin:+.1f}", f"{tube:+.0f} %", f"{error:.1f}"
        for row, text in zip(rows.values(), texts, strict=True):
            row.append(text)
    lines = [f"| | {' | '.join(frontier)} |", "|---" * (len(frontier) + 1) + "|"]
    return "\n".join([*lines, *(f"| {name} | {' | '.join(row)} |" for name, row in rows.items())])


def draw(frontier: Mapping[str, Sequence[Point]], path: Path) -> None:
    """Errors against the estimated SNR, with the paper's compressed sensing."""
    figure = Figure(figsize=(10.5, 3.7), layout="constrained", dpi=120)
    axes = figure.subplots(1, 3)
    for name, points in frontier.items():
        values = np.array(sorted(points))
        for column, axis in enumerate(axes, 1):
            axis.plot(values[:, 0], values[:, column], "s" if len(values) == 1 else "o-", markersize=3, label=name)
    labels = ("skin, mmol/L", "tube of 10 mmol/L, %", "RMSE over the leg, mmol/L")
    for axis, label, limits in zip(axes, labels, ((-6.5, 0.3), (-35, 28), (3.5, 10.5)), strict=True):
        axis.set(xlabel="estimated SNR", ylabel=label, xlim=(3, 13), ylim=limits)
    axes[0].plot(PAPER_SNR, PAPER_SKIN, "*", markersize=12, color="crimson", label="paper's CS")
    axes[2].legend(*axes[0].get_legend_handles_labels(), fontsize=7, loc="upper right")
    figure.savefig(path)


def main() -> None:
    """Run it; about three minutes of one core."""
    parser = argparse.ArgumentParser(description="What regularisers take from skin and weak tubes.")
    parser.add_argument("--volunteers", type=int, default=8)
    parser.add_argument("--draws", type=int, default=2, help="of noise, for each volunteer")
    parser.add_argument("--averages", type=int, default=30)
    parser.add_argument("--picture", type=Path, help="PNG file to draw into")
    given = parser.parse_args()
    matrix = (PAPER_SPIRAL.matrix, PAPER_SPIRAL.matrix)
    trajectory = (PAPER_SPIRAL.trajectory() * PIXEL).astype(np.float32)
    weights, device = np.asarray(sample_weights(trajectory, matrix)), choose_device("cpu")
    model = SignalModel(trajectory, weights, matrix, device, None)
    scans = list(cases(model, weights, given.volunteers, given.draws, given.averages))
    frontier: dict[str, list[Point]] = {}
    for name, (solve, strengths) in Regularisers(model, device).methods().items():
        for weight in strengths:
            images = [solve(case.gridded, case.noise, weight) for case in scans]
            frontier.setdefault(name, []).append(point(images, scans))
            snr, skin, tube, error = frontier[name][-1]
            print(f"{name}, weight {weight:g}: SNR {snr:.1f}, skin {skin:+.1f}, tube {tube:+.0f} %, RMSE {error:.1f}")
    print(table(frontier))
    if given.picture:
        draw(frontier, given.picture)


if __name__ == "__main__":
    main()
