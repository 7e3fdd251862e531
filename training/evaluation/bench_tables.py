"""Figures of the bench as Markdown tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from training.evaluation.tables import bias_and_deviation

KINDS = {"independent": "Independent legs", "phantom": "Virtual calves", "volunteers": "Calibrated volunteers"}
NAMES = {
    "plain": "plain image",
    "gaussian": "Gaussian 0.8 pixel",
    "total_variation": "total variation",
    "non_local_means": "non-local means",
    "block_matching": "block matching",
}


def bench_report(bench: Mapping[str, Any]) -> str:
    """The plain values of `bench.run` as Markdown tables, one for every kind of leg and one for other objects."""
    seed, count = bench["seed"], bench["legs"]
    lines = [
        f"Legs of seeds {seed} to {seed + count - 1} of every kind, two scans each. Errors of the signal in phase "
        "against the noiseless gridding, mmol/L: bias (standard deviation over scans). SNR is that of the paper, in "
        "units of the plain image's. Kept: share of the contrast of what is laid into muscle. False: pixels of uniform "
        "muscle below a quarter or above 1.9 of its level. Scatter: within uniform muscle, relative. Tubes: by "
        "concentration. Edge: sharpness of the strongest tube.",
    ]
    for kind, title in KINDS.items():
        lines += ["", f"### {title}", "", *_legs(bench["rows"], kind)]
    return "\n".join([*lines, "", "### Other objects, RMSE within each", "", *_objects(bench["rows"])])


def _legs(rows: Sequence[Mapping[str, Any]], kind: str) -> list[str]:
    lesions = list(rows[0]["legs"][kind]["lesions"])
    heads = ["averages", "image", "RMSE in the leg", "muscle", "skin", "SNR", f"kept: {', '.join(lesions)}"]
    lines = _head([*heads, "false %", "scatter", "tubes", "edge %"])
    for row in rows:
        figures = row["legs"][kind]
        kept = ", ".join(f"{figures['lesions'][name]:.2f}" for name in lesions)
        tubes = ", ".join(f"{bias:+.1f}" for bias in figures["tubes"])
        lines.append(
            f"| {row['averages']} | {NAMES.get(row['name'], row['name'])} | {figures['rmse']:.2f} "
            f"| {bias_and_deviation(figures['muscle'])} | {bias_and_deviation(figures['skin'])} "
            f"| {figures['snr']:.1f} | {kept} | {figures['false_structure']:.2f} | {figures['scatter']:.3f} "
            f"| {tubes} | {figures['edge']:+.1f} |"
        )
    return lines


def _objects(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    names = list(rows[0]["objects"])
    lines = _head(["averages", "image", *names])
    for row in rows:
        errors = " | ".join(f"{row['objects'][name]:.1f}" for name in names)
        lines.append(f"| {row['averages']} | {NAMES.get(row['name'], row['name'])} | {errors} |")
    return lines


def _head(titles: Sequence[str]) -> list[str]:
    return [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
