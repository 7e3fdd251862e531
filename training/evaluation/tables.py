"""Figures of networks as Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nadenoise_core.paper import TABLE_1
from training.evaluation.evaluate import METRICS

SMALLEST_P = 1e-6  # what is smaller is written as smaller than this


def report(metrics: dict[str, Any]) -> str:
    """The figures as Markdown tables."""
    lines = _table_1_lines(metrics["table_1"])
    if metrics["regions"]:
        lines += [
            "",
            "| peak SNR | error falls by | tubes % | weak tubes % | muscle % |",
            "|---|---|---|---|---|",
        ]
    for row in metrics["regions"]:
        cells = " | ".join(_percent(row[key], row[f"{key}_error"]) for key in ("tubes", "weak_tubes", "muscle"))
        lines.append(f"| {row['peak_snr']:g} | {row['rmse_ratio']:.1f} x | {cells} |")
    return "\n".join(lines + _calves_lines(metrics["calves"]))


def _calves_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The sharpness of edges is a column where the figures have it."""
    if not rows:
        return []
    sharp = all(row.get("denoised_sharpness") is not None for row in rows)
    heads = ["averages", "image", "muscle aTSC", "skin aTSC", "tubes 10, 25, 50, 75, 100"]
    heads += ["edge %"] if sharp else []
    heads += ["falls by", "in muscle"]
    lines = ["", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in rows:
        for name in ("noisy", "denoised"):
            muscle, skin = (bias_and_deviation(row[name][key]) for key in ("muscle", "skin"))
            tubes = ", ".join(f"{bias:+.2f}" for bias, _ in row[name]["tubes"])
            edge = f"{row[f'{name}_sharpness']:+.1f} | " if sharp else ""
            ratios = f"{row['rmse_ratio']:.1f} x | {row['muscle_rmse_ratio']:.1f} x" if name == "denoised" else "|"
            lines.append(f"| {row['averages']} | {name} | {muscle} | {skin} | {tubes} | {edge}{ratios} |")
    return lines


def bias_and_deviation(values: Sequence[float]) -> str:
    """A bias with its standard deviation, as tables have it."""
    return f"{values[0]:+.2f} ({values[1]:.2f})"


def _table_1_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Ours beside the paper's, then the tests.

    Metrics without the paper's ranges and without tests are given the paper's medians alone.
    """
    lines = [
        "| averages | image | MSE x1e-3 | SSIM | PSNR dB | paper: MSE, SSIM, PSNR |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        for name, cells in zip(("noisy", "denoised"), TABLE_1[row["averages"]], strict=True):
            mse, ssim, psnr = (row[name][key] for key in METRICS)
            paper = [f"{cell.middle:.{digits}f}" for cell, digits in zip(cells, (1, 2, 1), strict=True)]
            if row.get("paper"):
                published = row["paper"][name]
                ranges = (
                    f"{1e3 * published['mse']['iqr']:.1f}",
                    f"{published['ssim']['iqr']:.2f}",
                    f"{published['psnr']['iqr']:.1f}",
                )
                paper = [f"{median} ({iqr})" for median, iqr in zip(paper, ranges, strict=True)]
            lines.append(
                f"| {row['averages']} | {name} | {1e3 * mse['median']:.2f} ({1e3 * mse['iqr']:.2f}) "
                f"| {ssim['median']:.3f} ({ssim['iqr']:.3f}) | {psnr['median']:.1f} ({psnr['iqr']:.1f}) "
                f"| {', '.join(paper)} |"
            )
    tested = [row for row in rows if row.get("tests")]
    if tested:
        heads = " | ".join(f"{metric} | p" for metric in ("change of MSE x1e-3", "change of SSIM", "change of PSNR dB"))
        lines += ["", f"| averages | {heads} |", "|---|---|---|---|---|---|---|"]
    for row in tested:
        mse, ssim, psnr = (row["tests"][key] for key in METRICS)
        changes = f"{1e3 * mse['change']:+.2f}", f"{ssim['change']:+.3f}", f"{psnr['change']:+.1f}"
        entries = (f"{change} | {p_value(test['p'])}" for change, test in zip(changes, (mse, ssim, psnr), strict=True))
        lines.append(f"| {row['averages']} | {' | '.join(entries)} |")
    return lines


def p_value(p: float) -> str:
    """Two digits; what is very small is a bound."""
    return f"< {SMALLEST_P:.0e}" if p < SMALLEST_P else f"{p:.2g}"


def _percent(value: float | None, error: float | None) -> str:
    return "" if value is None or error is None else f"{value:+.1f} ± {error:.1f}"
