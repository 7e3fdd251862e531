"""Running the blocks of a page, one after another, in a folder of its own."""

from __future__ import annotations

import atexit
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from docs_build.blocks import ROOT, Block, blocks_of

_OPERATORS = set("|&;<>()`$*")


class BlockError(Exception):
    """A block of a page does not run; says which, and what it printed."""


@dataclass(frozen=True)
class Session:
    """What the blocks of a page did.

    Attributes:
        folder: that they ran in, with the files that they wrote.
        outputs: of every block that ran, by its line.
    """

    folder: Path
    outputs: dict[int, str]


@cache
def run_page(page: Path) -> Session:
    """Run the blocks of a page; once in a process, however often it is asked for.

    Raises:
        BlockError: a block fails.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"{page.stem}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    names: dict[str, Any] = {"__name__": "__main__"}
    outputs = {}
    for block in blocks_of(page.read_text(encoding="utf-8")):
        if block.runs:
            place = f"{page.relative_to(ROOT)}:{block.line}"
            with _inside(folder):
                outputs[block.line] = _shown(
                    _python(block, place, names) if block.language == "python" else _shell(block, place), folder
                )
    return Session(folder, outputs)


def commands_of(text: str) -> Iterator[list[str]]:
    """The commands of nadenoise in a shell's text, whatever stands around them, as words."""
    joined = re.sub(r"\\\n\s*", " ", text)
    for found in re.finditer(
        r"(?:^|[|;&(])\s*(nadenoise(?:-train)?(?: [^|;&<>)\n]*)?)(?=$|[|;&<>)\n])", joined, re.MULTILINE
    ):
        yield shlex.split(found[1], comments=True)


def parse(words: list[str]) -> None:
    """Parse a command of nadenoise without running it.

    Raises:
        BlockError: there is no such command or option, or a value cannot be.
    """
    command: Any = _program(words[0])
    rest = [word for word in words[1:] if word not in ("-h", "--help")]
    path = [words[0]]
    while hasattr(command, "commands"):
        if not rest or rest[0].startswith("-"):
            return
        name = rest.pop(0)
        if name not in command.commands:
            raise BlockError(f"'{' '.join(path)}' has no command '{name}'")
        path.append(name)
        command = command.commands[name]
    try:
        command.make_context(" ".join(path), rest)
    except Exception as error:  # of click, which typer may have within it
        reason = error.format_message() if hasattr(error, "format_message") else str(error)
        raise BlockError(f"{' '.join(words)}: {reason}") from None


def _python(block: Block, place: str, names: dict[str, Any]) -> str:
    printed = io.StringIO()
    try:
        with redirect_stdout(printed), redirect_stderr(printed):
            exec(compile("\n" * (block.line - 1) + block.code, place, "exec"), names)  # noqa: S102
    except Exception:
        raise BlockError(f"{place}: fails\n{printed.getvalue()}{traceback.format_exc()}") from None
    return printed.getvalue()


def _shell(block: Block, place: str) -> str:
    """Run a block of a shell; commands of nadenoise that stand alone run in this process, which has its libraries."""
    lines = re.sub(r"\\\n\s*", " ", block.code).splitlines()
    commands = [shlex.split(line, comments=True) for line in lines]
    if all(map(_stands_alone, commands, lines)):
        return "".join(_command(words, place) for words in commands if words)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    ended = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", block.code],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=300,
    )  # fmt: skip
    if ended.returncode:
        raise BlockError(f"{place}: ends with status {ended.returncode}\n{ended.stdout}")
    return ended.stdout


def _stands_alone(words: list[str], line: str) -> bool:
    """Whether this process can run a line of a shell: a make target, or a command of nadenoise with no operators."""
    code = line.partition(" #")[0]
    return (
        not words or words[0] == "make" or (words[0] in ("nadenoise", "nadenoise-train") and not _OPERATORS & set(code))
    )


def _command(words: list[str], place: str) -> str:
    if words[0] == "make":  # targets are too long to run: they must be there
        ended = subprocess.run(["make", "--dry-run", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise BlockError(f"{place}: {ended.stderr}")
        return ""
    printed = io.StringIO()
    status: Any = 0
    try:
        with redirect_stdout(printed), redirect_stderr(printed):
            _program(words[0]).main(words[1:], prog_name=words[0])
    except SystemExit as ended_by:
        status = ended_by.code
    except Exception as error:
        status = error
    if status:
        raise BlockError(f"{place}: {' '.join(words)}: {status}\n{printed.getvalue()}")
    return printed.getvalue()


def _program(name: str) -> Any:
    if name == "nadenoise":
        from nadenoise_core.cli.main import program

        return program()
    from training.cli.main import program as training_program

    return training_program()


def _shown(output: str, folder: Path) -> str:
    """An output without the places of this machine."""
    return output.replace(f"{folder}{os.sep}", "").replace(str(ROOT), "...")


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Work in a folder."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
