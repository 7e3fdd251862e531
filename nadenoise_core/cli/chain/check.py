"""`nadenoise chain check`: whether a chain can run, and on a raw file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nadenoise_core.chain.chain import Chain, Stage
from nadenoise_core.chain.files import find_chain, read_chain
from nadenoise_core.cli.options import AsJson, chain_names
from nadenoise_core.console import say, show_json, show_table
from nadenoise_core.denoise.bundle import find_bundles
from nadenoise_core.errors import BadInputError, ChainError


def command(
    file: Annotated[str, typer.Argument(help="Chain file, or name of a chain.", autocompletion=chain_names)],
    raw: Annotated[Path | None, typer.Option(help="Check the chain against this raw file's header, too.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check a chain file: elements, gadgets, properties, order of stages, bundles and other files."""
    chain = read_chain(find_chain(file))
    matrix = _matrix_of(raw) if raw is not None else None
    for stage in chain.stages:
        try:
            stage.parameters().open_inputs()
        except BadInputError as error:
            raise ChainError(f"{stage.place()}: {error}") from None
    needs = [_needed_bundles(stage, chain, matrix) for stage in chain.stages]
    if as_json:
        stages = [{**described, "bundles": names} for described, names in zip(chain.describe(), needs, strict=True)]
        foreign = [{"line": line, "element": element} for line, element in chain.foreign]
        show_json({"name": chain.name, "nodes": chain.nodes, "stages": stages, "only_in_gadgetron": foreign})
        return
    rows = []
    for stage, names in zip(chain.stages, needs, strict=True):
        gadget = stage.gadget()
        rows.append((stage.name, gadget.takes, gadget.gives, f"bundle {' or '.join(names)}" if names else ""))
    show_table(("stage", "takes", "gives", "needs"), rows)
    for line, element in chain.foreign:
        say(f"line {line}: {element} runs in the Gadgetron server only")
    where = "in Gadgetron" if chain.foreign else "in this process and in Gadgetron"
    nodes = "one node" if chain.nodes == 1 else f"{chain.nodes} nodes"
    say(f"{file}: {len(chain.stages)} stages in {nodes}; runs {where}")


def _matrix_of(raw: Path) -> tuple[int, int]:
    """Matrix of a raw file, (rows, columns)."""
    from nadenoise_core.mrd.rawfile import RawFile
    from nadenoise_core.mrd.scan import read_scan

    with RawFile(raw) as opened:
        return read_scan(opened.header_xml).encoding.matrix


def _needed_bundles(stage: Stage, chain: Chain, matrix: tuple[int, int] | None) -> list[str]:
    """Names of the bundles that a stage needs; they must be there, and one must fit.

    Raises:
        ChainError: none fits the matrix, or an average that the chain emits at.
    """
    if stage.name != "denoise":
        return []
    parameters = stage.parameters().model_dump()
    levels = [level for before in chain.stages for level in before.parameters().model_dump().get("emit_at", ())]
    bundles = find_bundles(parameters["bundle"], parameters["bundle_sha256"])
    for averages in levels or [None]:
        misfits = [bundle.misfit(matrix or bundle.metadata.matrix, averages) for bundle in bundles]
        if misfits and all(misfits):
            raise ChainError(f"{stage.source}:{stage.line}: no bundle fits: {'; '.join(map(str, misfits))}")
    return [bundle.name for bundle in bundles]
