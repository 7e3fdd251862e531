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
        show_json([_described(bundle) for bundle in bundles])
        return
    rows = []
    for bundle in bundles:
        metadata = bundle.metadata
        (height, width), taken = metadata.matrix, metadata.input
        shown = (f"{width}x{height}", metadata.averages_in_words, f"{taken.channels}, {taken.normalisation}")
        rows.append((metadata.name, *shown, metadata.description))
    show_table(("bundle", "matrix", "averages", "input", "description"), rows)


def _described(bundle: Bundle) -> dict[str, Any]:
    """Name, file and what it is for; its training and figures are in its card."""
    metadata = bundle.metadata.model_dump(mode="json", exclude={"training", "metrics"})
    return {**metadata, "file": str(bundle.path), "sha256": bundle.sha256}
