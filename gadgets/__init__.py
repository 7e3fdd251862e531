"""The gadgets of nadenoise, one file each; Gadgetron starts `chain` as an external node."""

from __future__ import annotations

from typing import Any


def chain(connection: Any) -> None:
    """Run the gadgets of a node's `<configuration>` over a Gadgetron connection.

    Args:
        connection: gadgetron.external.Connection, or anything with its `header`, `raw_bytes`, iteration and `send`.
    """
    from nadenoise_core.stream.chain import build, read_node
    from nadenoise_core.stream.runner import run
    from nadenoise_core.stream.scan import read_scan

    stages = read_node(connection.raw_bytes.config or b"")
    for item in run(build(stages, read_scan(connection.header)), connection):
        connection.send(item)
