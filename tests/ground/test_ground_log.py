"""Warnings reach those who collect them, from the thread that logs them, wherever in the code base that is."""

from __future__ import annotations

import ast
import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import nadenoise_core
from nadenoise_core.log import ROOT, recorded_warnings, warnings_sent_to

CODE = Path(nadenoise_core.__file__).parent


def test_each_thread_records_its_own(monkeypatch):
    together = Barrier(4)

    def work(number: int) -> list[str]:
        with recorded_warnings() as recorded:
            together.wait(20)
            for _ in range(2):
                logging.getLogger("nadenoise.gadget").warning("scan %d", number)
            together.wait(20)
        return recorded

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [[f"gadget: scan {number}"] for number in range(4)]
    assert not logging.getLogger(ROOT).handlers


def test_levels_are_given_and_what_is_below_is_not():
    received: list[tuple[int, str]] = []
    log = logging.getLogger("nadenoise.some.place")
    with warnings_sent_to(lambda *what: received.append(what)):
        log.info("all is well")
        log.error("nothing is")
    log.error("nobody asks")
    assert received == [(logging.ERROR, "some.place: nothing is")]


def test_names_that_others_gave_are_no_commands_to_a_terminal():
    code = (
        "import logging; from nadenoise_core.log import log_on_stderr; from nadenoise_core.console import note, "
        "print_error; name = '\\x1b[31ma\\nERROR b\\x9b\\u202e µ'; log_on_stderr(logging.ERROR); "
        "logging.getLogger('nadenoise.server').error('chain %s', name); note(name); print_error(ValueError(name))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    escaped = r"\x1b[31ma", r"ERROR b\x9b\u202e µ"
    assert ran.stderr.splitlines() == [
        r"ERROR nadenoise.server: chain " + r"\n".join(escaped),
        *escaped,
        "error: " + " ".join(escaped),
    ]


OTHERS = {
    ("cluster.py", "name"),  # Dask's own, which are kept quiet
    ("processes.py", "event.name"),  # a record of ours, of the name that it had in its process
}


def test_all_loggers_of_the_code_are_of_one_tree():
    names = []
    for path in [*CODE.rglob("*.py"), *(CODE.parent / "gadgets").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            made = isinstance(node, ast.Call) and ast.unparse(node.func).endswith("getLogger") and node.args
            if made and "cli" not in path.parts:  # without a name it is the root, whose handlers are asked for
                names.append((path.name, ast.unparse(node.args[0])))
    assert len(names) > 8
    assert {(file, name) for file, name in names if not name.lstrip("f'\"").startswith((ROOT, "ROOT"))} == OTHERS
