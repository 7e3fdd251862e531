"""What several commands take, and how they read it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from nadenoise_core.configuration import Document
from training.config import Config, check_document, find_config, load_config

ConfigName = Annotated[str, typer.Argument(help="YAML file, or name of a shipped one.", metavar="CONFIG")]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Set a value of the configuration, e.g. fit.seed=3; may be repeated.", metavar="KEY=VALUE"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]
Calves = Annotated[int, typer.Option(min=1, help="Virtual calves to evaluate on.")]
Count = Annotated[int | None, typer.Option("--images", min=1, help="Test images to evaluate on; all unless given.")]


def config_of(name: str, assignments: list[str] | None) -> Config:
    """The configuration of a name or path, with values set."""
    return load_config(find_config(name), assignments or ())


def changed(plain: dict[str, Any] | None, assignments: list[str] | None, source: Path) -> Config:
    """A configuration that a file kept, with values set."""
    document = Document(str(source), plain or {}, {})
    for assignment in assignments or ():
        document = document.with_value(assignment)
    return check_document(document)


def quiet_torchscript() -> None:
    """torch 2.13 deprecates TorchScript with every call."""
    warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
