"""`nadenoise-train export`: from a run to a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from nadenoise_core.console import say
from nadenoise_core.denoise.bundle import Archive
from training.bundling.export import ARCHIVES
from training.bundling.export import export as export_run
from training.cli.options import Assignments, Calves, Count, changed, quiet_torchscript
from training.data.prepare import load_prepared
from training.errors import ConfigError, DataError
from training.evaluation.tables import report
from training.network.run import load_best


def command(
    run: Annotated[Path, typer.Argument(help="Folder that `nadenoise-train fit` wrote.")],
    name: Annotated[str | None, typer.Option(help="Of the bundle; that of the folder unless given.")] = None,
    version: Annotated[str, typer.Option(help="Of the bundle.")] = "1.0",
    out: Annotated[Path | None, typer.Option(help="Folder of the bundle; that of the run unless given.")] = None,
    keep: Annotated[
        float | None, typer.Option(min=0, help="Pixels: structure wider than this is left as measured; 0: none.")
    ] = None,
    only: Annotated[
        Literal["torchscript", "exported"] | None,
        typer.Option(help="One of the two formats; both unless given, but TorchScript alone of a U-shaped network."),
    ] = None,
    assignments: Assignments = None,
    calves: Calves = 20,
    images: Count = None,
) -> None:
    """Evaluate the best network of a run and write it as a bundle with metadata and card."""
    quiet_torchscript()
    made = load_best(run)[1]
    wanted = changed(made.config.plain(), assignments, run)
    cache = load_prepared(wanted.data)
    # A bundle that was fine-tuned need not tell the checksums of its images.
    if made.data and cache.provenance.sha256 != dict(made.data):
        raise DataError(f"{wanted.data.cache}: the run was made from other images; set data.cache to theirs")
    archives: tuple[Archive, ...] = ARCHIVES if only is None else (only,)
    if made.config.network.levels is not None:  # torch.export cannot keep its matrix free
        if only == "exported":
            raise ConfigError("a U-shaped network is written as TorchScript alone; leave --only out")
        archives = ("torchscript",)
    path, metadata = export_run(
        run,
        cache,
        out or run,
        name or run.resolve().name,
        version,
        made.config.network.keep if keep is None else keep,
        calves,
        images,
        archives,
    )
    typer.echo(report(metadata["metrics"]))
    say(f"\n{path}: {path.stat().st_size} bytes, validation loss {made.validation_loss:.5g} in epoch {made.epoch}")
