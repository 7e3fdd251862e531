"""`nadenoise study list`: the configurations there are."""

from __future__ import annotations

from nadenoise_core.cli.options import AsJson
from nadenoise_core.console import show_json, show_table
from nadenoise_core.study.config import shipped_studies


def command(as_json: AsJson = False) -> None:
    """The configurations that come with nadenoise."""
    studies = {name: str(path) for name, path in shipped_studies().items()}
    if as_json:
        show_json([{"name": name, "file": path} for name, path in studies.items()])
    else:
        show_table(("study", "file"), studies.items())
