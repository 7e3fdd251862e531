"""Commands that are imported when they are called: the program starts, and shows its help, without them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeAlias

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command


@dataclass(frozen=True)
class Group:
    """Commands under a common name."""

    help: str
    commands: Commands


Commands: TypeAlias = "Mapping[str, str | Group]"
"""Names of commands, and a line of help each."""


class LazyCommand(TyperCommand):
    """A command known by its name and a line of help; the function `command` of its module is what runs.

    Args:
        name: of the command.
        help: a line that says what it does.
        module: full name of its module.
    """

    def __init__(self, name: str, help: str, module: str) -> None:
        super().__init__(name, help=help)
        self._module = module

    def load(self) -> Any:
        """The whole command, with its options and arguments."""
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        app.command(self.name)(import_module(self._module).command)
        return get_command(app)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The context in which the whole command runs, shows its help, or completes a word."""
        return self.load().make_context(info_name, args, parent, **extra)


def lazy_commands(commands: Commands, package: str) -> dict[str, Any]:
    """Commands by name; each one's module, or a group's package of modules, has its name in `package`."""
    made: dict[str, Any] = {}
    for name, said in commands.items():
        if isinstance(said, Group):
            inner = lazy_commands(said.commands, f"{package}.{name}")
            made[name] = TyperGroup(
                name=name, help=said.help, commands=inner, no_args_is_help=True, rich_markup_mode="rich"
            )
        else:
            made[name] = LazyCommand(name, said, f"{package}.{name}")
    return made
