"""Running the command line: in this process, and as a process of its own."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit status, and what it printed."""

    status: int
    out: str
    err: str

    def is_refused(self, *words: str, status: int = 2) -> None:
        """One line on stderr, that holds these words; no traceback."""
        assert self.status == status, self
        assert len(self.err.splitlines()) == 1, self.err
        assert self.err.startswith("error: ") and "Traceback" not in self.err
        for word in words:
            assert word in self.err, self.err


@pytest.fixture
def command(monkeypatch, capfd) -> Callable[..., Outcome]:
    """Run `nadenoise` in this process, through its real entry."""
    from nadenoise_core.cli.main import main

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["nadenoise", *map(str, arguments)])
        capfd.readouterr()
        try:
            main()
            status = 0
        except SystemExit as ended:
            status = ended.code or 0
        out, err = capfd.readouterr()
        return Outcome(int(status), out, err)

    return run


@pytest.fixture
def process() -> Callable[..., Outcome]:
    """Run `nadenoise` as a process; `file_limit` is the size in bytes that no file may pass, as on a full disc."""

    def run(*arguments: object, file_limit: int | None = None, shell: str | None = None) -> Outcome:
        command = [sys.executable, "-m", "nadenoise_core.cli.main", *map(str, arguments)]
        if shell is not None:
            command = ["unshare", "--mount", "sh", "-c", shell + ' && exec "$@"', "sh", *command]

        def limit() -> None:
            if file_limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

        ended = subprocess.run(
            command, cwd=ROOT, env={**os.environ, "COLUMNS": "200"}, capture_output=True, text=True, timeout=600,
            preexec_fn=limit, check=False,
        )  # fmt: skip
        return Outcome(ended.returncode, ended.stdout, ended.stderr)

    return run


@pytest.fixture
def left_behind() -> Callable[[Path], list[str]]:
    """Everything that lies in a folder of results, hidden files too."""
    return lambda folder: sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
