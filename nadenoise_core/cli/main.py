"""`nadenoise`: the commands, and how errors are told."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from nadenoise_core import __version__
from nadenoise_core.cli import chain, deliver, demo, model, replay, send, serve, simulate, stream, study
from nadenoise_core.cli.console import print_error
from nadenoise_core.errors import NadenoiseError

app = typer.Typer(
    help="Rapid 2D 23Na MRI with a denoising network: from raw data to aTSC maps in DICOM.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("simulate")(simulate.simulate)
app.command("replay")(replay.replay)
app.command("demo")(demo.demo)
app.command("serve")(serve.serve)
app.command("send")(send.send)
app.command("stream")(stream.stream)
app.command("deliver")(deliver.deliver)
app.add_typer(chain.app, name="chain")
app.add_typer(model.app, name="model")
app.add_typer(study.app, name="study")

_debug = False


@app.callback()
def settings(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error, and all log messages.")
    ] = False,
) -> None:
    """Settings of all commands."""
    global _debug
    _debug = debug
    console = logging.StreamHandler(sys.stderr)
    console.setLevel(logging.DEBUG if debug else logging.ERROR)  # of the handler: reports collect the warnings, too
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
        handlers=[console],
    )


@app.command("version")
def show_version() -> None:
    """Show the version of nadenoise."""
    typer.echo(__version__)


def main() -> None:
    """Run the command line; an error is one line on stderr, and the exit status 2 (bad input) or 1 (failed work)."""
    try:
        app()
    except NadenoiseError as error:
        if _debug:
            raise
        print_error(error)
        sys.exit(error.exit_status)


if __name__ == "__main__":
    main()
