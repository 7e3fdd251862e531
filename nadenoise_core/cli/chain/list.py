"""`nadenoise chain list`: the chains there are."""

from __future__ import annotations

from nadenoise_core.chain.files import chain_files, read_chain
from nadenoise_core.cli.options import AsJson
from nadenoise_core.console import show_json, show_table


def command(as_json: AsJson = False) -> None:
    """The chains that come with nadenoise."""
    chains = [read_chain(path) for path in chain_files()]
    if as_json:
        show_json(
            [
                {"name": chain.name, "stages": [stage.name for stage in chain.stages], "file": chain.source}
                for chain in chains
            ]
        )
        return
    rows = [(chain.name, " > ".join(stage.name for stage in chain.stages), chain.source) for chain in chains]
    show_table(("chain", "stages", "file"), rows)
