"""Small TorchScript bundles, built where they are needed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

BuildBundle = Callable[..., Path]

METADATA: dict[str, Any] = {
    "format": 1,
    "name": "tiny",
    "version": "1.0",
    "description": "for tests",
    "input": {"channels": "complex", "normalisation": "noise"},
    "matrix": [16, 12],
    "averages": [1, 150],
}


@pytest.fixture
def build(save_bundle, tmp_path: Path) -> BuildBundle:
    """A bundle given as the body of its `forward(self, x)`; metadata of another kind may be given as text."""

    def make(body: str = "return x", metadata: Any = None, name: str = "tiny.pt", **changes: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        save_bundle(path, body, metadata if metadata is not None else json.dumps({**METADATA, **changes}))
        return path

    return make
