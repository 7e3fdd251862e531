"""`nadenoise serve`: one warm server for scanners, Gadgetron and clients."""

from __future__ import annotations

import logging
import os
import sys
from itertools import count
from pathlib import Path
from typing import Annotated

import typer

from nadenoise_core.cli.console import show_log, when_stopped
from nadenoise_core.cli.options import Deidentify, MaxMatrix, MaxMemory
from nadenoise_core.cli.pseudonyms import pseudonyms_by
from nadenoise_core.console import note
from nadenoise_core.errors import BadInputError
from nadenoise_core.monitor.scans import Scans
from nadenoise_core.monitor.web import Monitor
from nadenoise_core.mrd.budget import USUAL, Budget
from nadenoise_core.simulate.warm import warm_up
from nadenoise_core.stream.capture import Captures
from nadenoise_core.stream.chain_folders import ChainFolders
from nadenoise_core.stream.server import Limits, Server
from nadenoise_core.stream.workers import IS_POSSIBLE

_CAPTURING = 30.0  # s for files to become whole at the end


def command(
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen at; localhost: both loopback addresses. Any but those lets others use it."
        ),
    ] = "localhost",
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port; 0 takes a free one.")] = 18000,
    chains: Annotated[
        list[Path] | None, typer.Option(help="Folder of more chain files, and of what they open; may be repeated.")
    ] = None,
    max_scans: Annotated[
        int, typer.Option(min=1, max=256, help="Scans at once; all nodes of a scan in Gadgetron count as one.")
    ] = 8,
    idle: Annotated[float, typer.Option(min=1, help="Seconds without data after which a scan is given up.")] = 600.0,
    grace: Annotated[
        float, typer.Option(min=0, help="Seconds for which scans that run may go on after SIGTERM or Ctrl-C.")
    ] = 600.0,
    max_message: Annotated[int, typer.Option(min=1, max=4096, help="Largest array of a message, MiB.")] = 256,
    max_matrix: MaxMatrix = USUAL.matrix,
    max_memory: MaxMemory = USUAL.memory >> 20,
    workers: Annotated[
        int,
        typer.Option(
            min=0,
            max=64,
            help="Processes that wait for scans, each of which runs in one; more are made as needed. 0: all scans run "
            "in one.",
        ),
    ] = 2,
    worker_memory: Annotated[
        int, typer.Option(min=64, max=1 << 20, help="Most memory of the process of a scan, MiB, beside its libraries.")
    ] = 8192,
    worker_time: Annotated[
        float, typer.Option(min=1, help="Seconds that a chain may work without taking or giving anything.")
    ] = 600.0,
    capture: Annotated[Path | None, typer.Option(help="Folder to write the raw data of every scan to.")] = None,
    monitor: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of a web page, on this machine only, that shows scans.")
    ] = None,
    deidentify: Deidentify = None,
) -> None:
    """Serve scans until stopped.

    Gadgetron's client and FIRE name a chain; Gadgetron's nodes bring theirs.

    SIGTERM and Ctrl-C take no more scans and let those that run come to their end, within the grace; a second one ends
    them at once.
    """
    folders = _folders(chains or [])
    show_log(logging.INFO)

    scans = Scans() if monitor is not None else None
    captures = Captures(capture) if capture is not None else None
    limits = Limits(scans=max_scans, idle=idle, largest=max_message << 20, budget=Budget(max_matrix, max_memory << 20))
    watches = [watch for watch in (captures, scans) if watch is not None]
    server = Server((host, port), folders, limits, watches, pseudonyms_by(deidentify))
    signals = count(1)
    when_stopped(lambda: server.stop() if next(signals) == 1 else server.cut())
    if workers and not IS_POSSIBLE:
        note("scans run in one process: this system cannot give each its own")
    if workers and IS_POSSIBLE:
        server.start_workers(warm_up, workers, worker_memory << 20, worker_time)
    else:
        warm_up(folders)
    if scans is not None and monitor is not None:
        note(f"scans are shown at {Monitor(scans, monitor).url}")
    note(f"listening at {server.address[0]}:{server.address[1]}")
    done = server.serve(grace)
    if not done:
        note("the scans that ran on were cut")
    if captures is not None and not captures.finish(_CAPTURING):
        note("raw data that were still to be written stay in streams of messages, .mrd")
        done = False
    note("stopped")
    if not done:  # a thread that is deep in a library would hold up the end
        sys.stderr.flush()
        os._exit(1)


def _folders(chains: list[Path]) -> ChainFolders:
    for folder in chains:
        if not folder.is_dir():
            raise BadInputError(f"{folder}: no such folder of chain files; make it, or give another")
    return ChainFolders(chains)
