"""The gadgets of nadenoise, one file each; Gadgetron starts `chain` as an external node."""

from __future__ import annotations

from typing import Any


def chain(connection: Any) -> None:
    """Run the gadgets of a node's `<configuration>` over a Gadgetron connection.

    What fails is told to Gadgetron as an ERROR message, which it passes on to its client, and raised.

    Args:
        connection: gadgetron.external.Connection.
    """
    from nadenoise_core.stream.chain import build, read_node
    from nadenoise_core.stream.node import told
    from nadenoise_core.stream.runner import run
    from nadenoise_core.stream.scan import read_scan

    with told(connection):
        stages = read_node(connection.raw_bytes.config or b"")
        for item in run(build(stages, read_scan(connection.header)), connection):
            connection.send(item)
