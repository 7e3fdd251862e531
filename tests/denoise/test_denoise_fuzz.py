"""Bundles, given anything: read, or refused in a sentence.

`NADENOISE_FUZZ=10000` tries more inputs than the few hundred of every day.
"""

from __future__ import annotations

import json
import os
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nadenoise_core.denoise.bundle import Bundle
from nadenoise_core.errors import BundleError

EXAMPLES = int(os.environ.get("NADENOISE_FUZZ", "300"))
METADATA = {
    "format": 1, "name": "tiny", "version": "1", "description": "", "matrix": [8, 8], "averages": [1, 9],
    "input": {"channels": "complex", "normalisation": "noise"},
}  # fmt: skip

many = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "bundle.pt"


def archive(metadata: str, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stored = BytesIO()
    with zipfile.ZipFile(stored, "w", method) as made:
        made.writestr("bundle/extra/metadata.json", metadata)
        made.writestr("bundle/data.pkl", b"0" * 64)
    return stored.getvalue()


def read(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        assert Bundle(path).name == "tiny"
    except BundleError as error:
        assert len(str(error).splitlines()) == 1


@many
@given(st.lists(st.tuples(st.integers(0, 1 << 10), st.binary(max_size=4)), min_size=1, max_size=4), st.integers(0, 400))
def test_archives_with_other_bytes(path, changes, cut) -> None:
    content = bytearray(archive(json.dumps(METADATA)))
    for place, other in changes:
        place %= len(content)
        content[place : place + len(other)] = other
    read(path, bytes(content[: len(content) - cut]))


@many
@given(st.dictionaries(st.sampled_from([*METADATA, "peak_snr", "training"]), anything, max_size=3))
def test_metadata_with_other_values(path, changes) -> None:
    changes.pop("name", None)
    read(path, archive(json.dumps({**METADATA, **changes})))
