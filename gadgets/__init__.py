"""The gadgets of nadenoise, one file each; Gadgetron starts `chain` as an external node."""

from __future__ import annotations

from typing import Any


def chain(connection: Any) -> None:
    """Run the gadgets of a node's `<configuration>` over a Gadgetron connection.

    What fails is sent to Gadgetron as an ERROR message, which it passes on to its client, and raised.

    Args:
        connection: gadgetron.external.Connection.
    """
    from nadenoise_core.stream.node import run_node

    run_node(connection)
