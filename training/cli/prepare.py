"""`nadenoise-train prepare`: from a source of images to one cache."""

from __future__ import annotations

from typing import Annotated

import typer

from nadenoise_core.console import errors, progress_bar, say
from training.cli.options import Assignments, ConfigName, config_of
from training.data.prepare import load_prepared
from training.data.prepare import prepare as prepare_data
from training.sources import Journal

SHOWN = 20  # skipped files


def command(
    config: ConfigName,
    assignments: Assignments = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Make the cache again if it is there.")] = False,
) -> None:
    """Read the images, bring them to the matrix, split them by subject, and write one cache."""
    wanted = config_of(config, assignments).data
    if wanted.cache.is_file() and not overwrite:
        cache = load_prepared(wanted)
        say(f"{wanted.cache} is there already, of this configuration: {_counts(cache.provenance.images)}")
        return
    journal = Journal()
    with progress_bar() as bar:
        task = bar.add_task("prepare", total=None)
        journal.progress = lambda done, total: bar.update(task, completed=done, total=total)
        cache = prepare_data(wanted, journal)
    for name, reason in journal.skipped[:SHOWN]:
        errors.print(f"skipped {name}: {reason}", soft_wrap=True, highlight=False, markup=False)
    if len(journal.skipped) > SHOWN:
        errors.print(f"... and {len(journal.skipped) - SHOWN} more", highlight=False)
    for reason, count in cache.provenance.skipped.items():
        say(f"{count} skipped: {reason}")
    if journal.unchosen:
        say(f"{sum(journal.unchosen.values())} series or files are of another description and were left out")
    subjects = sum(cache.provenance.subjects.values())
    say(
        f"{wanted.cache}: {_counts(cache.provenance.images)} images of {subjects} subjects, split by seed {wanted.seed}"
    )


def _counts(images: dict[str, int]) -> str:
    return " + ".join(f"{number} {part}" for part, number in images.items())
