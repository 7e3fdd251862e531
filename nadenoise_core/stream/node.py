"""An external node that Gadgetron has started: gadgetron-python's connection, mended, with a chain run over it."""

from __future__ import annotations

from typing import Any

from nadenoise_core.chain.files import read_node
from nadenoise_core.denoise.apart import networks_apart
from nadenoise_core.stream.connection import ScanConnection, failures_reported
from nadenoise_core.stream.session import run_scan
from nadenoise_core.stream.wire import Wire


def run_node(connection: Any) -> None:
    """Run the gadgets of a node's `<configuration>` over Gadgetron's items.

    What fails is sent to Gadgetron as an ERROR message, which it passes on to its client, and raised.

    Args:
        connection: gadgetron.external.Connection, whose configuration and header are read.
    """
    scan = ScanConnection(Wire.of_socket(connection.socket.socket))
    connection.socket = scan.socket  # at its end, gadgetron-python writes to a peer that may be gone
    scan.peer = "gadgetron"
    with failures_reported(scan):
        chain = read_node(connection.raw_bytes.config or b"")
        with networks_apart(chain.has("denoise")):
            run_scan(scan, chain, connection.raw_bytes.header)
