"""`nadenoise-train fit`: fit the network of a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nadenoise_core.console import errors, say
from training.cli.options import Assignments, ConfigName, config_of, quiet_torchscript
from training.config import find_config
from training.fitting.supervised import fit as fit_network
from training.network.start import open_start


def command(
    config: ConfigName,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run, runs/CONFIG unless given; what is there goes on.")
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Begin with the network of this run or bundle (yours, or the name of one of ours), not at random.",
        ),
    ] = None,
    assignments: Assignments = None,
) -> None:
    """Fit the network; a run that was stopped goes on from its last epoch."""
    quiet_torchscript()
    path = find_config(config)
    wanted = config_of(config, assignments)
    folder = out or Path("runs") / path.stem
    try:
        fitted = fit_network(wanted, folder, start=None if start is None else open_start(start, wanted))
    except KeyboardInterrupt:
        errors.print("stopped; the same command goes on from the last epoch", highlight=False)
        raise typer.Exit(130) from None
    if fitted.rank.is_first:
        say(
            f"{folder}: {fitted.step} steps, {fitted.elapsed / 60:.1f} minutes, best validation loss "
            f"{fitted.best.loss:.5g} in epoch {fitted.best.epoch}, seed {wanted.fit.seed}"
        )
