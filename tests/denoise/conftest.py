"""Small TorchScript bundles, built where they are needed."""

from __future__ import annotations

import itertools
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_numbers = itertools.count()
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
def build(tmp_path: Path) -> BuildBundle:
    """Save a network, given as the body of its `forward(self, x)`, with metadata; None: without."""

    def make(body: str = "return x", metadata: Any = None, name: str = "tiny.pt", **changes: Any) -> Path:
        torch = pytest.importorskip("torch")
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*torch.jit.*")
            module = type(f"Tiny{next(_numbers)}", (torch.jit.ScriptModule,), {})()  # a class has one forward
            module.define(f"def forward(self, x):\n    {body}\n")
            text = metadata if metadata is not None else json.dumps({**METADATA, **changes})
            torch.jit.save(module, str(path), _extra_files={"metadata.json": text} if text else {})
        return path

    return make
