"""What the program imports before it works: little, so that it starts at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nadenoise_core.cli.main import COMMANDS, program
from nadenoise_core.commands import Commands, Group

HEAVY = {
    "torch",
    "matplotlib",
    "scipy",
    "finufft",
    "ismrmrd",
    "gadgetron",
    "h5py",
    "pydicom",
    "nibabel",
    "requests",
    "yaml",
}


def entries(commands: Commands, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command that runs, by the words that call it."""
    found = []
    for name, said in commands.items():
        found += entries(said.commands, (*path, name)) if isinstance(said, Group) else [(*path, name)]
    return found


def imported(*arguments: str) -> set[str]:
    """Packages that `nadenoise` has imported when it ends."""
    code = (
        "import sys\nfrom contextlib import suppress\nfrom nadenoise_core.cli.main import main\n"
        "with suppress(SystemExit):\n    main()\n"
        "print('\\n' + ' '.join({name.partition('.')[0] for name in sys.modules}))"
    )
    ended = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return set(ended.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("chain", "--help"), ("model", "list", "--help")])
def test_help_imports_nothing_heavy(arguments):
    assert not imported(*arguments) & (HEAVY | {"numpy"})


@pytest.mark.parametrize(
    "arguments",
    [("chain", "list"), ("chain", "describe"), ("chain", "show", "sodium_calf"), ("chain", "check", "sodium_calf"),
     ("chain", "openrecon"), ("model", "list")],
    ids=" ".join,
)  # fmt: skip
def test_what_is_declared_is_told_without_the_libraries_of_the_data(arguments):
    assert not imported(*arguments) & HEAVY


def found(path: tuple[str, ...]):
    command = program()
    for name in path:
        command = command.commands[name]
    return command


@pytest.mark.parametrize("path", entries(COMMANDS), ids=" ".join)
def test_the_line_of_help_is_what_the_command_says(path):
    command = found(path)
    assert command.help.endswith(".")
    assert " ".join(command.load().help.split()).startswith(command.help.removesuffix("."))
