"""How many jobs at once a machine has room for."""

from __future__ import annotations

import os
from pathlib import Path

WORKER_MEMORY = 1 << 30
"""Bytes that a worker is counted with; most of it is libraries and networks (docs/scale.md)."""


def usual_count() -> int:
    """Processes at once, by the cores and the free memory that this process may use."""
    memory = _free_memory()
    room = cores() if memory is None else min(cores(), memory // WORKER_MEMORY)
    return max(1, room)


def cores() -> int:
    """Cores that this process may use: a job of Slurm or a container has fewer than the machine."""
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup("cpu.max").split()
    if len(quota) == 2 and quota[0].isdigit():
        mine = min(mine, max(1, int(quota[0]) // int(quota[1])))
    return mine


def _free_memory() -> int | None:
    """Bytes; None where the system does not say."""
    free = []
    for line in _text(Path("/proc/meminfo")).splitlines():
        if line.startswith("MemAvailable:"):
            free.append(1024 * int(line.split()[1]))
    most = _cgroup("memory.max").strip()
    if most.isdigit():
        free.append(int(most))
    return min(free, default=None)


def _cgroup(name: str) -> str:
    """A file of the control group (version 2) that this process is in; empty where there is none."""
    inside = _text(Path("/proc/self/cgroup")).strip().partition("::")[2]
    return _text(Path("/sys/fs/cgroup") / inside.lstrip("/") / name)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
