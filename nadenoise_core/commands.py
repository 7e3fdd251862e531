"""Commands that are imported when they are called: the program starts, and shows its help, without them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, TypeAlias

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from nadenoise_core import __version__


@dataclass(frozen=True)
class Group:
    """Commands under a common name."""

    help: str
    commands: Commands


Commands: TypeAlias = "Mapping[str, str | Group]"
"""Names of commands, and a line of help each."""


def new_app(help: str) -> typer.Typer:
    """A program of commands: short help, completion in the shell; help is plain text, whose names are never cut."""
    return typer.Typer(
        help=help,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


VersionFlag = Annotated[
    bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
]
DebugFlag = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error, and all log messages.")]


class _WholeHelp:
    """Of a command or group: its line of help is wrapped in lists, not cut."""

    help: str | None

    def get_short_help_str(self, limit: int = 45) -> str:
        """The line of help, whole: it is wrapped, not cut."""
        return self.help or ""


class LazyCommand(_WholeHelp, TyperCommand):
    """A command known by its name and a line of help; the function `command` of its module is what runs.

    Args:
        name: of the command.
        help: a line that says what it does.
        module: full name of its module.
    """

    def __init__(self, name: str, help: str, module: str) -> None:
        super().__init__(name, help=help, rich_markup_mode=None)
        self._module = module

    def load(self) -> Any:
        """The whole command, with its options and arguments."""
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
        app.command(self.name)(import_module(self._module).command)
        return get_command(app)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The context in which the whole command runs, shows its help, or completes a word."""
        return self.load().make_context(info_name, args, parent, **extra)


class LazyGroup(_WholeHelp, TyperGroup):
    """Commands under a common name."""


def whole_program(app: typer.Typer, commands: Commands, package: str) -> TyperGroup:
    """The program of an app with all of its commands; each one's module has its name in `package`."""
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    group.commands.update(lazy_commands(commands, package))
    return group


def lazy_commands(commands: Commands, package: str) -> dict[str, Any]:
    """Commands by name; each one's module, or a group's package of modules, has its name in `package`."""
    made: dict[str, Any] = {}
    for name, entry in commands.items():
        if isinstance(entry, Group):
            inner = lazy_commands(entry.commands, f"{package}.{name}")
            made[name] = LazyGroup(
                name=name, help=entry.help, commands=inner, no_args_is_help=True, rich_markup_mode=None
            )
        else:
            made[name] = LazyCommand(name, entry, f"{package}.{name}")
    return made
