"""`nadenoise check`: whether raw files fit a chain, before anything runs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from nadenoise_core.chain.chain import Chain
from nadenoise_core.chain.files import find_chain, read_chain
from nadenoise_core.cli.options import AsJson, Assignments, ChainName, Group, Raws
from nadenoise_core.cli.raws import raw_files
from nadenoise_core.console import note, say, show_error, show_json, show_table
from nadenoise_core.errors import as_ours
from nadenoise_core.replay.check import RawCheck, check_raw


def command(
    raws: Raws,
    chain: ChainName = "sodium_calf",
    assignments: Assignments = None,
    group: Group = None,
    as_json: AsJson = False,
) -> None:
    """Check raw files against a chain: what was found, what was assumed, and what is to be done.

    The header, every file that the chain names, and every readout are read; no image is made, and nothing is written.
    """
    chosen = read_chain(find_chain(chain)).with_assignments(assignments or ())
    checked, worst = [], 0
    for raw in raw_files(raws):
        try:
            found = check_raw(raw, chosen, group)
        except Exception as error:
            worst = max(worst, as_ours(error).exit_status if as_json else show_error(error))
            checked.append({"file": str(raw), "fits": False, "reason": str(as_ours(error))})
        else:
            checked.append({"file": str(raw), "fits": True, **asdict(found)})
            if not as_json:
                _show(raw, chosen, found)
    if as_json:
        show_json(checked)
    if worst:
        raise typer.Exit(worst)


def _show(raw: Path, chain: Chain, found: RawCheck) -> None:
    show_table(("what", "found"), _rows(found), title=raw.name)
    for warning in found.warnings:
        note(f"warning: {warning}")
    say(f"{raw}: fits the chain {chain.name}")


def _rows(found: RawCheck) -> list[tuple[str, str]]:
    (rows, columns), (height, width) = found.matrix, found.field_of_view
    return [
        ("acquisitions", str(found.acquisitions)),
        ("matrix", f"{columns} x {rows}"),
        ("field of view", f"{width:g} x {height:g} mm, slice {found.slice_thickness:g} mm"),
        ("TR, TE", f"{_listed(found.repetition_times)} ms, {_listed(found.echo_times)} ms"),
        ("flip angle", f"{_listed(found.flip_angles)} degrees"),
        ("images", f"{found.images}, of up to {found.averages} averages"),
        ("coils", str(found.coils)),
        ("readouts", f"{found.interleaves} interleaves of {found.samples} samples, {found.readout:.3g} ms"),
    ]


def _listed(values: tuple[Any, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values) or "not said"
