"""`nadenoise stream`: a chain between two pipes."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from nadenoise_core.chain.chain import Chain
from nadenoise_core.chain.files import find_chain, read_chain
from nadenoise_core.denoise.apart import networks_apart
from nadenoise_core.errors import ChainError


def command(
    chain: Annotated[str, typer.Option(help="Name of a chain, or path of a chain file.")] = "sodium_calf",
) -> None:
    """Run a chain from stdin to stdout, in the form of Gadgetron's streams: ISMRMRD header, items, CLOSE.

    A stream that ends without CLOSE is one that failed.
    """
    chosen = read_chain(find_chain(chain))
    with networks_apart(chosen.has("denoise")):
        _run(chosen)


def _run(chain: Chain) -> None:
    from nadenoise_core.stream import messages  # after that process has begun: they take as long as torch
    from nadenoise_core.stream.connection import ScanConnection
    from nadenoise_core.stream.session import run_scan
    from nadenoise_core.stream.wire import Wire

    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as sink:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever prints must not write into the data
        connection = ScanConnection(Wire.of_files(sys.stdin.buffer, sink))
        opening = connection.open()
        if opening is None:
            raise ChainError("the stream ended before an ISMRMRD header came; send header, items, CLOSE")
        sink.write(messages.text_message(messages.HEADER, opening.header_xml))
        run_scan(connection, chain, opening.header_xml)
        sink.write(messages.close_message())
