"""Runs and bundles that are opened by path or by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from nadenoise_core.denoise.bundle import find_bundle
from training.errors import DataError
from training.network.model import open_model, run_or_bundle


def test_ours_are_opened_by_name() -> None:
    model, configuration = open_model(Path("noise_aware"))
    assert model.context == find_bundle("noise_aware").metadata.input.context > 0
    assert configuration is not None and configuration["network"]


def test_what_lies_there_goes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_or_bundle(Path("paper_30")) == find_bundle("paper_30").path
    (tmp_path / "paper_30").mkdir()
    assert run_or_bundle(Path("paper_30")) == Path("paper_30")
    with pytest.raises(DataError, match="paper_31: no such run or bundle; `nadenoise model list` says"):
        run_or_bundle(Path("paper_31"))
