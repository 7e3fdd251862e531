"""Who works on what several processes of several machines can reach."""

from __future__ import annotations

import os
import platform
from uuid import uuid4


def owner_mark() -> str:
    """A name for a piece of work of this process, unlike any other: process, machine, and a number."""
    return f"{os.getpid()}@{platform.node()}@{uuid4().hex[:8]}"


def has_died(mark: str) -> bool:
    """Whether a mark is of a process that ran on this machine and has ended; of other machines nothing is known."""
    process, _, rest = mark.partition("@")
    if rest.rpartition("@")[0] != platform.node() or not process.isdigit() or os.name != "posix":
        return False
    try:
        os.kill(int(process), 0)  # no signal: asks only
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
