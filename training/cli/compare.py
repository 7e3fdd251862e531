"""`nadenoise-train compare`: a noise-aware network beside others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from training.cli.options import Calves, quiet_torchscript
from training.evaluation.compare import compare as compare_models
from training.evaluation.compare import comparison_report, open_contest, results


def command(
    model: Annotated[
        Path, typer.Argument(help="Run, bundle of your own, or name of one of ours, of the noise-aware network.")
    ],
    against: Annotated[
        list[Path],
        typer.Option(
            help="Run, bundle of your own, or name of one of ours, of a network for one number of averages; may be "
            "repeated, and the nearest serves.",
            metavar="MODEL",
        ),
    ],
    calves: Calves = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """A noise-aware network beside networks for single numbers of averages, on virtual calves."""
    quiet_torchscript()
    compared = results(compare_models(open_contest(model, against), range(calves)), range(calves))
    typer.echo(json.dumps(compared, indent=1) if as_json else comparison_report(compared))
