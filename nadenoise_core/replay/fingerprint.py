"""What decides the results of a replay, as one checksum: results that are there are known by it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nadenoise_core import __version__
from nadenoise_core.chain.chain import Chain, Stage
from nadenoise_core.chain.registry import package_of
from nadenoise_core.denoise.bundle import installed_checksums
from nadenoise_core.mrd.pseudonyms import Pseudonyms
from nadenoise_core.replay.provenance import sha256_of


@dataclass(frozen=True)
class Origin:
    """What results come from.

    Attributes:
        raw_sha256: checksum of the raw file.
        fingerprint: checksum of all that decides the results.
    """

    raw_sha256: str
    fingerprint: str


def origin_of(raw: Path, chain: Chain, group: str | None, pseudonyms: Pseudonyms | None = None) -> Origin:
    """The raw data, the chain with the files that it reads, the networks, the version, and what is hidden.

    Args:
        raw: ISMRMRD file.
        chain: that it is replayed through.
        group: of the measurement in the raw file.
        pseudonyms: by which the results are de-identified.

    Raises:
        NadenoiseError: a property of the chain is wrong.
    """
    raw_sha256 = sha256_of(raw)
    decisive = {
        "version": __version__,
        "raw": raw_sha256,
        "group": group,
        "stages": [_described(stage) for stage in chain.stages],
        "bundles": sorted(installed_checksums()),
        "pseudonyms": None if pseudonyms is None else pseudonyms.word("fingerprint"),
    }
    return Origin(raw_sha256, hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest())


def _described(stage: Stage) -> dict[str, Any]:
    """All properties, and whose gadget it is; of files that are read, what is in them instead of where they are."""
    parameters = stage.parameters()
    read = {name: Path(path) for name, path in parameters.inputs().items()}
    contents = {name: sha256_of(path) for name, path in read.items() if path.is_file()}
    package = package_of(stage.name)
    offered = {} if package is None else {"package": package}
    return {"gadget": stage.name, **offered, **parameters.model_dump(mode="json"), **contents}
