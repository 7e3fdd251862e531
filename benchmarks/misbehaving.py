"""A gadget that does to its process what no gadget may, for trying that nothing else suffers from it."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np

from nadenoise_core.chain.gadget import Gadget, GadgetParameters, Item, ItemType

KINDS = ("allocates", "loops", "loops_outside_python", "crashes", "aborts", "leaves", "is_killed")
_ITEMS = 10  # that pass before


class Misbehave(Gadget):
    """Let ten items pass, then misbehave."""

    takes = gives = ItemType.ACQUISITION

    class Parameters(GadgetParameters):
        """How."""

        how: str = "leaves"

    parameters: Parameters

    def process(self, items: Iterable[Item]) -> Iterator[Item]:
        """Pass items on, then misbehave."""
        for number, item in enumerate(items):
            if number == _ITEMS:
                getattr(self, self.parameters.how)()
            yield item

    def allocates(self) -> NoReturn:
        """Take memory without end."""
        held = []
        while True:
            held.append(np.ones(1 << 20))

    def loops(self) -> NoReturn:
        """Never come back."""
        while True:
            time.sleep(1e-3)  # spares whoever works beside it

    def loops_outside_python(self) -> None:
        """Keep the interpreter's lock, and sleep."""
        ctypes.PyDLL(None).usleep(1_000_000_000)

    def crashes(self) -> None:
        """Read where nothing is."""
        ctypes.string_at(0)

    def aborts(self) -> NoReturn:
        """End as C libraries do that find themselves in disorder."""
        os.abort()

    def leaves(self) -> NoReturn:
        """End the process as if all were well."""
        os._exit(0)

    def is_killed(self) -> None:
        """End as by the system, when memory is short."""
        os.kill(os.getpid(), signal.SIGKILL)


def offer(folder: Path) -> None:
    """Let a folder of Python's path look like that of an installed package which offers the gadget."""
    package = folder / "misbehaving-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: misbehaving\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[nadenoise.gadgets]\nmisbehave = benchmarks.misbehaving:Misbehave\n")
