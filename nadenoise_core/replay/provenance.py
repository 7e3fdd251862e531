"""What results come from: checksums of files, versions of packages."""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from nadenoise_core import __version__

_REPORTED_PACKAGES = ("numpy", "scipy", "finufft", "torch", "ismrmrd", "gadgetron", "pydicom", "cufinufft", "cupy")


def versions() -> dict[str, str]:
    """Versions of nadenoise, Python and the packages that results depend on."""
    found = {"nadenoise": __version__, "python": platform.python_version()}
    for package in _REPORTED_PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def sha256_of(path: Path) -> str:
    """Checksum of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
