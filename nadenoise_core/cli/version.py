"""`nadenoise version`: the version."""

from __future__ import annotations

import typer

from nadenoise_core import __version__


def command() -> None:
    """Show the version of nadenoise."""
    typer.echo(__version__)
