"""`nadenoise-train finetune`: go on with a network on a site's own repeats."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nadenoise_core.console import errors, say
from nadenoise_core.mrd.settings import averaging_settings
from training.cli.options import Assignments, changed, config_of, quiet_torchscript
from training.errors import ConfigError
from training.fitting.finetune import finetune as finetune_network
from training.fitting.finetune import tuning_config
from training.network.start import open_start


def command(
    files: Annotated[
        list[Path],
        typer.Argument(help="ISMRMRD raw files with repeated averages; several scans are better.", metavar="RAW"),
    ],
    start: Annotated[
        Path, typer.Option("--from", help="Run, bundle of your own, or name of one of ours, of a complex network.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the new run; what is there goes on.")],
    minutes: Annotated[float | None, typer.Option(min=0.01, help="How long; 20 unless given.")] = None,
    averages: Annotated[
        tuple[int, int] | None,
        typer.Option(help="Numbers of averages to denoise; those the network serves unless given.", metavar="LO HI"),
    ] = None,
    config: Annotated[
        str | None, typer.Option(help="Configuration of a bundle that does not tell its own.", metavar="CONFIG")
    ] = None,
    accumulate: Annotated[
        list[str] | None,
        typer.Option(
            help="Property of the chain's 'accumulate' that reads these raw files, if it is set there, e.g. "
            "average_counter=repetition; may be repeated.",
            metavar="NAME=VALUE",
        ),
    ] = None,
    assignments: Assignments = None,
) -> None:
    """Fine-tune a complex network on a site's own repeated averages; no clean image is needed (Noise2Noise)."""
    quiet_torchscript()
    if out.resolve() == start.resolve():
        raise ConfigError(f"{out}: is where the network comes from; choose another --out")
    begun = open_start(start, None if config is None else config_of(config, None))
    wanted = changed(tuning_config(begun.config, minutes).plain(), assignments, start)
    try:
        fitted = finetune_network(files, begun, wanted, out, averages, averaging_settings(accumulate or ()))
    except KeyboardInterrupt:
        errors.print("stopped; the same command goes on from the last epoch", highlight=False)
        raise typer.Exit(130) from None
    if fitted.rank.is_first:
        best = fitted.best
        found = f"{best.loss:.5g} in epoch {best.epoch}" if best.epoch else "never better, so unchanged"
        say(
            f"{out}: {fitted.step} steps, {fitted.elapsed / 60:.1f} minutes, validation loss {fitted.start_loss:.5g} "
            f"before, {found}; seed {wanted.fit.seed}"
        )
