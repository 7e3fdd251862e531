"""`nadenoise study readers analyse`: the ranks, unblinded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nadenoise_core.console import say, show_table
from nadenoise_core.readers.analyse import Analysis, Group, analyse_study, write_analysis
from nadenoise_core.readers.comparison import PairTest


def command(
    key: Annotated[Path, typer.Argument(help="Key of the study (organiser/key.json).")],
    results: Annotated[list[Path], typer.Argument(help="Results, one file a reader.", metavar="RESULTS...")],
    out: Annotated[Path, typer.Option(help="Folder of readers.json and readers.csv.")] = Path("."),
) -> None:
    """Unblind the ranks: Table 3 of the paper, tests, agreement between and within readers."""
    analysis = analyse_study(key, results)
    written = write_analysis(analysis, out)
    _show_ranks(analysis)
    for group in analysis.groups:
        _show_comparisons(analysis, group)
    say("p after Bonferroni; t on all readings, Friedman and Wilcoxon on means over readers")
    _show_agreement(analysis)
    say(f"results in {written[0]} and {written[1]}")


def _show_ranks(analysis: Analysis) -> None:
    """Table 3: mean rank (SD) of each method, and how often it is first."""
    title = f"rank, mean (SD) and times first; {len(analysis.readers)} reader(s), 1 is best"
    rows = []
    for group in analysis.groups:
        entries = [
            f"{entry.mean:.2f} ({'-' if entry.sd is None else f'{entry.sd:.2f}'}) {entry.first}x"
            for entry in group.methods
        ]
        rows.append((_averages(group), str(group.methods[0].readings), *entries))
    show_table(("averages", "readings", *analysis.methods), rows, title=title)


def _show_comparisons(analysis: Analysis, group: Group) -> None:
    """The tests of one number of averages, p with Bonferroni's correction."""
    friedman = group.friedman
    words = (
        "Friedman: none"
        if friedman.chi_square is None
        else f"Friedman chi2({friedman.degrees}) = {friedman.chi_square:.2f}, p {_p(friedman.p)}"
    )
    rows = []
    for t_test, signed_rank in zip(group.t_tests, group.wilcoxon, strict=True):
        names = f"{analysis.methods[t_test.first]} - {analysis.methods[t_test.second]}"
        rows.append((names, f"{t_test.difference:+.2f}", _tested(t_test), _tested(signed_rank)))
    columns = ("methods", "mean difference", "paired t", "Wilcoxon")
    show_table(columns, rows, title=f"{_averages(group)} averages; {words}")


def _show_agreement(analysis: Analysis) -> None:
    """Agreement between and within readers."""
    w = f"{analysis.kendall_w:.3f} over {analysis.kendall_cases} cases" if analysis.kendall_w is not None else "none"
    lines = [(f"{pair.first}, {pair.second}", pair.agreement) for pair in analysis.between]
    lines += [(f"{reader}, shown twice", agreement) for reader, agreement in analysis.within.items()]
    rows = [
        (name, str(found.images), f"{found.same:.0%}", _number(found.kappa), _number(found.spearman))
        for name, found in lines
    ]
    columns = ("readings", "images", "same rank", "weighted kappa", "Spearman")
    show_table(columns, rows, title=f"agreement; Kendall's W {w}")


def _averages(group: Group) -> str:
    return "all" if group.averages is None else str(group.averages)


def _tested(test: PairTest) -> str:
    return "none" if test.p_bonferroni is None else _p(test.p_bonferroni)


def _p(p: float | None) -> str:
    return "-" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
