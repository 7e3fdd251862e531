"""`nadenoise model describe`: the card of a bundle."""

from __future__ import annotations

from typing import Annotated

import typer

from nadenoise_core.cli.options import AsJson
from nadenoise_core.console import say, show_json, show_markdown, show_table
from nadenoise_core.denoise.bundle import Bundle, find_bundle


def command(
    name: Annotated[str, typer.Argument(help="Name of a bundle, or path of a .pt or .pt2 file.")],
    sha256: Annotated[str | None, typer.Option(help="Checksum that a bundle given by path must have.")] = None,
    as_json: AsJson = False,
) -> None:
    """What a bundle was trained for, how, and how well it did: its card (a .md file beside it), or its main facts."""
    bundle = find_bundle(name, sha256)
    if as_json:
        metadata = bundle.metadata.model_dump(mode="json")
        show_json({"file": str(bundle.path), "sha256": bundle.sha256, "metadata": metadata})
        return
    say(str(bundle.path))
    say(f"sha256 {bundle.sha256}")
    card = bundle.path.with_suffix(".md")
    if card.is_file():
        say("")
        show_markdown(card.read_text(encoding="utf-8"))
    else:
        show_table(("what", "said"), _main_facts(bundle))
        say("--json shows all of its metadata")


def _main_facts(bundle: Bundle) -> list[tuple[str, str]]:
    metadata = bundle.metadata
    snr = f"{metadata.peak_snr[0]:g} to {metadata.peak_snr[1]:g}" if metadata.peak_snr else ""
    return [
        ("name", f"{metadata.name} {metadata.version}"),
        ("description", metadata.description),
        ("input", f"{metadata.input.channels}, normalised by {metadata.input.normalisation}"),
        ("matrix", f"{metadata.matrix[1]} x {metadata.matrix[0]}"),
        ("averages", metadata.averages_in_words),
        ("peak SNR", snr),
    ]
