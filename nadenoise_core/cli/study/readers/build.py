"""`nadenoise study readers build`: the page for the readers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nadenoise_core.console import counting_bar, say
from nadenoise_core.errors import BadInputError
from nadenoise_core.readers.build import build_study
from nadenoise_core.readers.cases import find_cases


def command(
    out: Annotated[Path, typer.Argument(help="Folder of the study.")],
    cases: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of cases (a folder of NIfTI or DICOM images each, one a method), or lists (.csv, .yaml) of "
            "case, method, file, averages.",
            metavar="CASES...",
        ),
    ],
    methods: Annotated[str, typer.Option(help="Methods to take, in this order, as in reference,nufft,cs,cnn.")] = "",
    reference: Annotated[str, typer.Option(help="Method whose image gives the window of its case.")] = "reference",
    repeat: Annotated[int, typer.Option(help="Cases shown twice, to measure agreement within readers.", min=0)] = 0,
    seed: Annotated[int | None, typer.Option(help="Of the random orders; drawn if not given.", min=0)] = None,
    window: Annotated[
        str | None, typer.Option(help="LOW,HIGH of all cases; else the 1st to 99.5th percentile of the reference.")
    ] = None,
) -> None:
    """Build the page for the readers and the key for the organiser."""
    found = find_cases(cases, [method for method in methods.split(",") if method.strip()])
    with counting_bar("cases") as progress:
        built = build_study(
            out,
            found,
            reference=reference,
            repeat=repeat,
            seed=seed,
            window=_window(window),
            progress=progress,
        )
    key = built.key
    say(f"study {key.study}: {len(key.cases)} cases of {', '.join(key.methods)}; {repeat} shown twice; seed {key.seed}")
    say(f"for the readers: {built.page}")
    say(f"for the organiser alone: {built.key_file}")


def _window(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise BadInputError(f"--window is {text!r}; give two numbers, as in --window 0,100") from None
    return low, high
