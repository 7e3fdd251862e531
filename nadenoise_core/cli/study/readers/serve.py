"""`nadenoise study readers serve`: the page, served."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated

import typer

from nadenoise_core.cli.console import when_stopped
from nadenoise_core.console import note, say
from nadenoise_core.readers.build import PAGE
from nadenoise_core.readers.server import open_server

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def command(
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
            note("warning: whoever reaches this address can read and answer; there is no password")
        say(f"readers open {server.url}")
        say(f"answers go to {folder}; Ctrl-C ends")
        when_stopped(lambda: threading.Thread(target=server.shutdown).start())  # it waits for the loop below
        server.serve_forever()
        say("ended")
