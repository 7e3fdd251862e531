"""`nadenoise-train bench`: networks beside what a user could have for nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from nadenoise_core.console import errors
from training.cli.options import quiet_torchscript
from training.errors import ConfigError
from training.evaluation.bench import CONTEXT, Entry, Field, Result, run
from training.evaluation.bench_tables import bench_report
from training.evaluation.methods import BASELINES, baseline, network


def command(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            help="Run, bundle of your own, or name of one of ours; NAME=PATH names it in the tables.", metavar="MODEL"
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(help=f"Baseline, may be repeated: {', '.join(BASELINES)}.", metavar="BASELINE"),
    ] = None,
    averages: Annotated[
        list[int] | None, typer.Option(min=1, help="Number of averages, may be repeated; 30 and 10 unless given.")
    ] = None,
    seed: Annotated[
        int,
        typer.Option(min=0, max=900_000, help="Of the first leg. Figures to report need seeds that chose nothing."),
    ] = 1000,
    legs: Annotated[int, typer.Option(min=2, help="Legs of every kind: independent, virtual calves, volunteers.")] = 10,
    head: Annotated[Path | None, typer.Option(help="NIfTI file of a real sodium head, as one object more.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """What networks and baselines leave of noise, bias and lesions, on legs and objects of known truth."""
    quiet_torchscript()
    entries = [_entry(model) for model in models or ()] + [Entry(name, baseline(name)) for name in against or ()]
    if not entries:
        raise ConfigError("there is nothing to compare; give a model, or --against a baseline")
    done = run(entries, averages or (30, 10), Field(seed, legs, head), _say)
    typer.echo(json.dumps(done, indent=1) if as_json else bench_report(done))


def _entry(model: str) -> Entry:
    name, _, path = model.rpartition("=")
    denoise, context = network(Path(path))
    if context > CONTEXT:
        raise ConfigError(f"{path}: wants to see {context} pixels around an image; the bench has {CONTEXT}")
    return Entry(name or Path(path).stem, denoise, context)


def _say(result: Result) -> None:
    errors.print(f"{result.name} at {result.averages} averages", highlight=False)
