"""The table, in three forms: for the terminal, Markdown, and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.rows.row import Entry, Row

RESULTS = Path(__file__).parent / "results"
_COLUMNS = ("task", "library", "how it is called", "ms, median (range)", "ours = 1", "difference", "error", "more")
_HOW = (
    "Wall-clock time of one thread (OMP_NUM_THREADS=1 and its like), data and plans ready in each library's own "
    "types; one call to warm up, then calls for two seconds, 3 to 100. BART is a process: its time holds its start, "
    "reading and writing. Ours = 1 compares least times, which other work on the machine disturbs least. Difference "
    "is that to our result, error that to the truth: relative root mean square within the disc of the field of view."
)


@dataclass(frozen=True)
class Report:
    """What was measured.

    Attributes:
        machine: see `machine.describe`.
        rows: each with its lines, the first of which is ours.
    """

    machine: dict[str, Any]
    rows: Sequence[tuple[Row, Sequence[Entry]]]

    def table(self) -> Table:
        """For the terminal."""
        table = Table(title=self._machine())
        for name in _COLUMNS:
            table.add_column(name, overflow="fold", no_wrap=name == "library")
        for cells, last in self._cells():
            table.add_row(*cells, end_section=last)
        return table

    def markdown(self) -> str:
        """The table, and how to read it."""
        lines = ["# Side by side", "", self._machine() + ".", "", _HOW, ""]
        lines += [f"- {row.title}: {row.about}." for row, _ in self.rows]
        lines += ["", _markdown_line(_COLUMNS), "|" + "---|" * len(_COLUMNS)]
        lines += [_markdown_line(cells) for cells, _ in self._cells()]
        versions = ", ".join(f"{name} {version}" for name, version in self.machine["versions"].items())
        return "\n".join(
            [
                *lines,
                "",
                f"Python {self.machine['python']}; {versions}. Of the load, the benchmark is 1.",
                "",
            ]
        )

    def write(self, folder: Path) -> None:
        """Write `bench.json` and `bench.md`."""
        folder.mkdir(parents=True, exist_ok=True)
        data = {
            "machine": self.machine,
            "how": _HOW,
            "rows": [
                {"title": row.title, "about": row.about, "entries": [entry.to_dict() for entry in entries]}
                for row, entries in self.rows
            ],
        }
        (folder / "bench.json").write_text(json.dumps(data, indent=2) + "\n")
        (folder / "bench.md").write_text(self.markdown())

    def _machine(self) -> str:
        machine = self.machine
        gpu = machine["gpu"] or "no GPU"
        load = f"load {machine['load']:g} before and {machine['load_after']:g} after"
        return f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']:g} GB, {gpu}, {load}"

    def _cells(self) -> Iterator[tuple[tuple[str, ...], bool]]:
        """Cells of each line, and whether it is the last of its row."""
        for row, entries in self.rows:
            for number, entry in enumerate(entries):
                yield (
                    (
                        row.title if number == 0 else "",
                        entry.library,
                        entry.call,
                        _time(entry),
                        _ratio(entry, entries[0]),
                        _part(entry.difference),
                        _part(entry.error),
                        "; ".join(
                            [*(f"{name} {value:.3g}" for name, value in entry.figures.items()), entry.note]
                        ).strip("; "),
                    ),
                    number == len(entries) - 1,
                )


def _markdown_line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _time(entry: Entry) -> str:
    timing = entry.timing
    if timing is None:
        return "-"
    if timing.repeats == 1:
        return _short(timing.median)
    return f"{_short(timing.median)} ({_short(timing.least)} to {_short(timing.most)})"


def _ratio(entry: Entry, ours: Entry) -> str:
    """Of the least times, for a peer."""
    if entry.library == ours.library or entry.timing is None or ours.timing is None:
        return ""
    return _short(entry.timing.least / ours.timing.least)


def _part(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"


def _short(value: float) -> str:
    """Three significant digits, without exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:#.3g}".rstrip(".")
