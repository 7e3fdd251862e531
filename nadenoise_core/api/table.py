"""Rows of a table, for people and programs."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from math import isnan
from typing import Any


class Table(list[dict[str, Any]]):
    """Rows with the same names; prints as a table, and is one to `pandas.DataFrame`."""

    def __init__(self, rows: Iterable[dict[str, Any]] = ()) -> None:
        super().__init__(rows)

    def __str__(self) -> str:
        lines = self._lines()
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)] if lines else []
        padded = (
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )
        return "\n".join(padded)

    def _repr_html_(self) -> str:
        head, *body = self._lines() or [[]]
        rows = ["".join(f"<td>{escape(cell)}</td>" for cell in line) for line in body]
        names = "".join(f"<th>{escape(name)}</th>" for name in head)
        return f"<table><tr>{names}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"

    def _lines(self) -> list[list[str]]:
        """The names, and every row as text; what is known of no row is left out."""
        if not self:
            return []
        columns = [(name, [_shown(row[name]) for row in self]) for name in self[0]]
        known = [[name, *cells] for name, cells in columns if any(cells)]
        return [list(line) for line in zip(*known, strict=True)]


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return "" if isnan(value) else f"{value:.4g}"
    return str(value)
