"""`nadenoise-train evaluate`: the figures of a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from training.cli.options import Assignments, Calves, Count, changed, config_of, quiet_torchscript
from training.data.kspace import SpiralNoise
from training.data.prepare import load_prepared
from training.errors import ConfigError
from training.evaluation.evaluate import evaluate as evaluate_model
from training.evaluation.figure import draw_examples
from training.evaluation.tables import report
from training.network.model import open_model


def command(
    model: Annotated[Path, typer.Argument(help="Run, bundle (.pt or .pt2) of your own, or name of one of ours.")],
    config: Annotated[
        str | None, typer.Option(help="Configuration whose test images to take; the model's own unless given.")
    ] = None,
    assignments: Assignments = None,
    calves: Calves = 20,
    images: Count = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    figure: Annotated[Path | None, typer.Option(help="PNG file to draw examples into.")] = None,
) -> None:
    """The figures of a network on the test images and on virtual calves, beside the paper's."""
    quiet_torchscript()
    network, plain = open_model(model)
    if config is None and plain is None:
        raise ConfigError(f"{model}: does not say which images it was made from; give --config")
    wanted = changed(plain, assignments, model) if config is None else config_of(config, assignments)
    test = load_prepared(wanted.data).parts["test"].first(images)
    noise = SpiralNoise(wanted.design)
    metrics = evaluate_model(network, test, noise, range(calves))
    if figure is not None:
        draw_examples(network, test, noise, figure)
    typer.echo(json.dumps(metrics, indent=1) if as_json else report(metrics))
