"""`nadenoise chain`: list, check and describe chains and gadgets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from nadenoise_core.chain.chain import Chain, Stage
from nadenoise_core.chain.files import chain_files, find_chain, read_chain
from nadenoise_core.chain.openrecon_label import describe_container, label_text
from nadenoise_core.chain.registry import gadget_class, gadget_names
from nadenoise_core.cli.console import output
from nadenoise_core.configuration.fields import shown, values
from nadenoise_core.denoise.bundle import find_bundle, noise_aware_bundles
from nadenoise_core.errors import ChainError
from nadenoise_core.mrd.rawfile import RawFile
from nadenoise_core.mrd.scan import parse_header, read_scan

app = typer.Typer(help="List, check and describe chains and gadgets.", no_args_is_help=True)


@app.command("list")
def list_chains() -> None:
    """The chains that come with nadenoise."""
    table = Table("chain", "stages", "file")
    for path in chain_files():
        chain = read_chain(path)
        table.add_row(chain.name, " > ".join(stage.name for stage in chain.stages), str(path))
    output.print(table)


@app.command("check")
def check(
    file: Annotated[str, typer.Argument(help="Chain file, or name of a chain.")],
    raw: Annotated[Path | None, typer.Option(help="Check the chain against this raw file's header, too.")] = None,
) -> None:
    """Check a chain file: elements, gadgets, properties, order of stages, bundles."""
    chain = read_chain(find_chain(file))
    matrix = None
    if raw is not None:
        with RawFile(raw) as opened:
            matrix = read_scan(parse_header(opened.header_xml)).encoding.matrix
    table = Table("stage", "takes", "gives", "needs")
    for stage in chain.stages:
        gadget = stage.gadget()
        table.add_row(stage.name, gadget.takes, gadget.gives, _needs(stage, chain, matrix))
    output.print(table)
    for line, words in chain.foreign:
        output.print(f"line {line}: {words} runs in the Gadgetron server only", highlight=False, markup=False)
    where = "in Gadgetron" if chain.foreign else "in this process and in Gadgetron"
    output.print(
        f"{file}: {len(chain.stages)} stages in {chain.nodes} node(s); runs {where}", highlight=False, soft_wrap=True
    )


@app.command("describe")
def describe(gadget: Annotated[str | None, typer.Argument(help="Name of a gadget; none: all of them.")] = None) -> None:
    """The properties of a gadget: type, range, default, meaning."""
    for name in [gadget] if gadget else gadget_names():
        described = gadget_class(name)
        summary = " ".join((described.__doc__ or "").split())
        table = Table("property", "values", "default", "meaning", title=f"{name}: {summary}", title_justify="left")
        for field_name, field in described.Parameters.model_fields.items():
            table.add_row(
                field_name,
                escape(values(field)),
                escape(shown(field.default)),
                escape(field.description or ""),
                end_section=True,
            )
        output.print(table)


@app.command("openrecon")
def openrecon(
    chain: Annotated[str, typer.Argument(help="Chain file, or name of a chain.")] = "sodium_calf",
    as_label: Annotated[bool, typer.Option("--label", help="As the container's label carries it, in base64.")] = False,
) -> None:
    """The description of an OpenRecon container that runs a chain, with the parameters that an operator sets."""
    described = describe_container(read_chain(find_chain(chain)), [path.stem for path in chain_files()])
    typer.echo(label_text(described) if as_label else json.dumps(described, indent=2))


def _needs(stage: Stage, chain: Chain, matrix: tuple[int, int] | None) -> str:
    """What a stage needs beside items; a bundle must be there and fit.

    Raises:
        ChainError: the bundle does not fit the matrix, or an average that the chain emits at.
    """
    if stage.name != "denoise":
        return ""
    parameters = stage.parameters().model_dump()
    levels = [level for before in chain.stages for level in before.parameters().model_dump().get("emit_at", ())]
    if parameters["bundle"] == "auto":
        bundles = noise_aware_bundles()
    else:
        bundles = [find_bundle(parameters["bundle"], parameters["bundle_sha256"])]
    for averages in levels or [None]:
        misfits = [bundle.misfit(matrix or bundle.metadata.matrix, averages) for bundle in bundles]
        if misfits and all(misfits):
            raise ChainError(f"{stage.source}:{stage.line}: no bundle fits: {'; '.join(map(str, misfits))}")
    return "bundle " + " or ".join(bundle.name for bundle in bundles)
