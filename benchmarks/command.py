"""The command line of the benchmark."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

from rich.console import Console

from benchmarks.machine import describe, load
from benchmarks.problem import Problem
from benchmarks.report import RESULTS, Report
from benchmarks.rows import ROWS

_WIDTH = 180  # of the table where there is no terminal to tell


def main() -> None:
    """Measure the rows asked for, show the table, and write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="nadenoise side by side with its peers")
    parser.add_argument("rows", nargs="*", metavar="row", help=f"which to measure, all by default: {', '.join(ROWS)}")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of bench.json and bench.md")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.rows if name not in ROWS]
    if unknown:
        parser.error(f"unknown row '{unknown[0]}'; use {', '.join(ROWS)}")
    console = Console(stderr=True)
    machine, problem = describe(), Problem()
    rows = []
    # Libraries warn of their own future; that is their users' business.
    with warnings.catch_warnings(), console.status("") as status:
        warnings.simplefilter("ignore")
        for name in arguments.rows or ROWS:
            rows.append((ROWS[name], ROWS[name].entries(problem, status.update)))
    report = Report(machine | {"load_after": load()}, rows)
    report.write(arguments.out)
    terminal = Console()
    if not terminal.is_terminal:
        terminal = Console(width=_WIDTH)
    terminal.print(report.table())
    print(f"written to {arguments.out}")
