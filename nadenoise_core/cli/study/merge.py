"""`nadenoise study merge`: the report of a study that was shared out."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from nadenoise_core.cli.study.run import Bids, Config, Ranks, Results, study_of, tell_report
from nadenoise_core.study.merge import merge_study


def command(
    config: Config,
    out: Annotated[Path, typer.Option(help="Folder of the study, that the shards had.")] = Path("study"),
    results: Results = None,
    bids: Bids = None,
    ranks: Ranks = None,
) -> None:
    """Make the report of a study that `nadenoise study run --shard` has evaluated.

    What is missing is named.
    """
    start = perf_counter()
    chosen = study_of(config, ranks, bids)
    tell_report(chosen, merge_study(chosen, out), out, results, bids, perf_counter() - start)
