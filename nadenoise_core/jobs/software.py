"""What a process would compute with: version and networks. Workers elsewhere must have the same."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import lru_cache

from nadenoise_core import __version__
from nadenoise_core.denoise.bundle import offered_bundles, shipped_bundles


@dataclass(frozen=True)
class Software:
    """What results depend on.

    Attributes:
        version: of nadenoise.
        bundles: name and sha256 of each, by name.
        machine: that it is installed on.
    """

    version: str
    bundles: tuple[tuple[str, str], ...]
    machine: str

    def difference(self, other: Software) -> str | None:
        """In what another installation differs, in words; None if results are the same."""
        if other.version != self.version:
            return f"has nadenoise {other.version}, and here is {self.version}; install {self.version} there"
        mine, theirs = dict(self.bundles), dict(other.bundles)
        for name in sorted(mine.keys() | theirs.keys()):
            if mine.get(name) != theirs.get(name):
                here, there = (sums.get(name, "none")[:12] for sums in (mine, theirs))
                return f"has another bundle {name}: sha256 {there}, and here {here}; install its package anew there"
        return None


@lru_cache(maxsize=1)
def this_software() -> Software:
    """Of this process; the files of all installed bundles are read, and must have the checksums they came with.

    Raises:
        BundleError: a bundle is missing, or not what it was shipped as.
    """
    by_name = {bundle.name: bundle.sha256 for bundle in (*offered_bundles(), *shipped_bundles())}
    bundles = tuple(sorted(by_name.items()))
    return Software(__version__, bundles, platform.node())
