"""`nadenoise model list`: the bundles there are."""

from __future__ import annotations

from typing import Any

from nadenoise_core.cli.options import AsJson
from nadenoise_core.console import show_json, show_table
from nadenoise_core.denoise.bundle import Bundle, offered_bundles, shipped_bundles


def command(as_json: AsJson = False) -> None:
    """The bundles that come with nadenoise, or with installed packages."""
    bundles = shipped_bundles() + offered_bundles()
    if as_json:
        show_json([_said(bundle) for bundle in bundles])
        return
    rows = []
    for bundle in bundles:
        said = bundle.metadata
        matrix, averages = f"{said.matrix[1]}x{said.matrix[0]}", said.averages_in_words
        taken = f"{said.input.channels}, {said.input.normalisation}"
        rows.append((said.name, matrix, averages, taken, said.description))
    show_table(("bundle", "matrix", "averages", "input", "description"), rows)


def _said(bundle: Bundle) -> dict[str, Any]:
    """Name, file and what it is for; its training and figures are in its card."""
    said = bundle.metadata.model_dump(mode="json", exclude={"training", "metrics"})
    return {**said, "file": str(bundle.path), "sha256": bundle.sha256}
