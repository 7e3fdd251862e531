"""`nadenoise-train guard`: how often the guard speaks with a network."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from training.cli.options import quiet_torchscript
from training.evaluation.bench import Entry
from training.evaluation.guard_rates import CONTRAST, RADIUS, guard_rates
from training.evaluation.methods import network


def command(
    model: Annotated[
        Path, typer.Argument(help="Run, bundle of your own, or name of one of ours, of a network of complex images.")
    ],
    scans: Annotated[int, typer.Option(min=2, help="Half of independent legs, half of virtual calves.")] = 400,
    seed: Annotated[int, typer.Option(min=0, max=900_000, help="Of the first leg.")] = 50_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print the rates as JSON.")] = False,
) -> None:
    """How often the guard finds a fault in good scans, and a disc that the denoised image lacks."""
    quiet_torchscript()
    rates = guard_rates(Entry(model.stem, *network(model)), scans, seed)
    if as_json:
        typer.echo(json.dumps(asdict(rates)))
        return
    faults = "; ".join(f"{count} x {fault}" for fault, count in rates.faults.items())
    typer.echo(
        f"{rates.scans} scans, legs of seeds {seed} to {seed + scans - 1}: a fault in {100 * rates.false_alarms:.1f} % "
        f"of good ones{f' ({faults})' if faults else ''}; a missing disc of r {RADIUS:g} mm with a contrast-to-noise "
        f"ratio of {CONTRAST:g} found in {100 * rates.found:.1f} %"
    )
