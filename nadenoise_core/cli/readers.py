"""`nadenoise study readers`: build a reader study, serve it, analyse it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from nadenoise_core.cli.console import errors, output, progress_bar, when_stopped
from nadenoise_core.errors import BadInputError
from nadenoise_core.readers.analyse import Analysis, Group, analyse_study, write_analysis
from nadenoise_core.readers.build import PAGE, build_study
from nadenoise_core.readers.cases import find_cases
from nadenoise_core.readers.comparison import PairTest
from nadenoise_core.readers.server import open_server

app = typer.Typer(help="Images ranked blind by readers: build, serve, analyse.", no_args_is_help=True)

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@app.command("build")
def build(
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
    with progress_bar() as progress:
        task = progress.add_task("cases", total=len(found))
        built = build_study(
            out,
            found,
            reference=reference,
            repeat=repeat,
            seed=seed,
            window=_window(window),
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    key = built.key
    _say(
        f"study {key.study}: {len(key.cases)} cases of {', '.join(key.methods)}; {repeat} shown twice; seed {key.seed}"
    )
    _say(f"for the readers: {built.page}")
    _say(f"for the organiser alone: {built.key_file}")


@app.command("serve")
def serve(
    study: Annotated[Path, typer.Argument(help="Folder of a study, or its page.")],
    results: Annotated[Path | None, typer.Option(help="Folder of the answers; else results in the study's.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; any but the loopback opens it to others.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="Port to listen on; 0: a free one.", min=0, max=65535)] = 8400,
) -> None:
    """Serve the page and keep every answer as it is given, until Ctrl-C."""
    page = study / PAGE if study.is_dir() else study
    folder = results or (study if study.is_dir() else study.parent) / "results"
    with open_server(page, folder, host, port) as server:
        if host not in _LOOPBACK:
            errors.print(
                "warning: whoever reaches this address can read and answer; there is no password", markup=False
            )
        _say(f"readers open {server.url}")
        _say(f"answers go to {folder}; Ctrl-C ends")
        when_stopped(lambda: threading.Thread(target=server.shutdown).start())  # it waits for the loop below
        server.serve_forever()
        _say("ended")


@app.command("analyse")
def analyse(
    key: Annotated[Path, typer.Argument(help="Key of the study (organiser/key.json).")],
    results: Annotated[list[Path], typer.Argument(help="Results, one file a reader.", metavar="RESULTS...")],
    out: Annotated[Path, typer.Option(help="Folder of readers.json and readers.csv.")] = Path("."),
) -> None:
    """Unblind the ranks: Table 3 of the paper, tests, agreement between and within readers."""
    analysis = analyse_study(key, results)
    written = write_analysis(analysis, out)
    output.print(rank_table(analysis))
    for group in analysis.groups:
        output.print(comparison_table(analysis, group))
    output.print(agreement_table(analysis))
    _say(f"results in {written[0]} and {written[1]}")


def rank_table(analysis: Analysis) -> Table:
    """Table 3: mean rank (SD) of each method, and how often it is first."""
    title = f"rank, mean (SD) and times first; {len(analysis.readers)} reader(s), 1 is best"
    table = Table("averages", "readings", *map(escape, analysis.methods), title=title)
    for group in analysis.groups:
        entries = [
            f"{entry.mean:.2f} ({'-' if entry.sd is None else f'{entry.sd:.2f}'}) {entry.first}x"
            for entry in group.methods
        ]
        table.add_row(_averages(group), str(group.methods[0].readings), *entries)
    return table


def comparison_table(analysis: Analysis, group: Group) -> Table:
    """The tests of one number of averages, p with Bonferroni's correction."""
    friedman = group.friedman
    words = (
        "Friedman: none"
        if friedman.chi_square is None
        else f"Friedman chi2({friedman.degrees}) = {friedman.chi_square:.2f}, p {_p(friedman.p)}"
    )
    table = Table("methods", "mean difference", "paired t", "Wilcoxon", title=f"{_averages(group)} averages; {words}")
    for t_test, signed_rank in zip(group.t_tests, group.wilcoxon, strict=True):
        names = f"{analysis.methods[t_test.first]} - {analysis.methods[t_test.second]}"
        table.add_row(escape(names), f"{t_test.difference:+.2f}", _tested(t_test), _tested(signed_rank))
    table.caption = "p after Bonferroni; t on all readings, Friedman and Wilcoxon on means over readers"
    return table


def agreement_table(analysis: Analysis) -> Table:
    """Agreement between and within readers."""
    w = f"{analysis.kendall_w:.3f} over {analysis.kendall_cases} cases" if analysis.kendall_w is not None else "none"
    table = Table("readings", "images", "same rank", "weighted kappa", "Spearman", title=f"agreement; Kendall's W {w}")
    lines = [(f"{pair.first}, {pair.second}", pair.agreement) for pair in analysis.between]
    lines += [(f"{reader}, shown twice", agreement) for reader, agreement in analysis.within.items()]
    for name, found in lines:
        table.add_row(
            escape(name), str(found.images), f"{found.same:.0%}", _number(found.kappa), _number(found.spearman)
        )
    return table


def _window(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise BadInputError(f"--window is {text!r}; give two numbers, as in --window 0,100") from None
    return low, high


def _averages(group: Group) -> str:
    return "all" if group.averages is None else str(group.averages)


def _tested(test: PairTest) -> str:
    return "none" if test.p_bonferroni is None else _p(test.p_bonferroni)


def _p(p: float | None) -> str:
    return "-" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _say(words: str) -> None:
    output.print(words, highlight=False, markup=False, soft_wrap=True)
