"""What it was measured on, and with which versions."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.peers import bart

LIBRARIES = {
    "nadenoise": "nadenoise",
    "finufft": "finufft",
    "SigPy": "sigpy",
    "mri-nufft": "mri-nufft",
    "torchkbnufft": "torchkbnufft",
    "mrpro": "mrpro",
    "BART": None,
}
"""Name of each library's distribution; None: it is no Python package."""

_BELOW = ("numpy", "scipy", "torch", "numba")  # what libraries stand on


def missing(library: str) -> str | None:
    """How to install a library; None if it is there."""
    distribution = LIBRARIES[library]
    if distribution is None:
        return None if shutil.which("bart") else "apt-get install bart"
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return f"pip install {distribution}"
    return None


def describe() -> dict[str, Any]:
    """Machine and versions, as plain data."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpu": _gpu(),
        "system": platform.platform(),
        "load": load(),
        "python": platform.python_version(),
        "versions": _versions(),
    }


def load() -> float:
    """How many processes want to run, mean of the last minute: ours is one of them."""
    return round(os.getloadavg()[0], 2)


def _versions() -> dict[str, str]:
    versions = {}
    for library in LIBRARIES:
        if missing(library):
            versions[library] = "not installed"
        else:
            distribution = LIBRARIES[library]
            versions[library] = bart.version() if distribution is None else metadata.version(distribution)
    for name in _BELOW:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", information.read_text()) if information.exists() else None
    return found.group(1) if found else platform.processor() or platform.machine()


def _gpu() -> str | None:
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    asked = subprocess.run([program, "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True)
    return asked.stdout.strip().replace("\n", ", ") or None
