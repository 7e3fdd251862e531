"""The scan that no one waits for: it leaves nothing, and says nothing that an operator must read."""

from __future__ import annotations

import logging

import pytest

from nadenoise_core.chain.gadget import GadgetParameters
from nadenoise_core.chain.registry import gadget_class
from nadenoise_core.configuration.fields import FilePath, mark
from nadenoise_core.simulate.warm import warm_up
from nadenoise_core.stream.chain_folders import ChainFolders


@pytest.fixture
def only(monkeypatch):
    """Chain folders without the chains that come with nadenoise."""
    monkeypatch.setattr("nadenoise_core.stream.chain_folders.chain_files", lambda: [])
    return lambda folder: ChainFolders([folder])


def test_every_output_of_deliver_is_left_out(only, chain_file, tmp_path, caplog):
    outputs = {
        name: str(tmp_path / "out" / name)
        for name, field in gadget_class("deliver").Parameters.model_fields.items()
        if mark(field, FilePath)
    }
    assert set(outputs) >= {"folder", "outbox"} and issubclass(gadget_class("deliver").Parameters, GadgetParameters)
    chain_file(["accumulate", "reconstruct", "denoise", ("deliver", {**outputs, "send": "true"})], name="site.xml")
    before = sorted(tmp_path.rglob("*"))
    with caplog.at_level(logging.INFO, logger="nadenoise"):
        warm_up(only(tmp_path))
    assert sorted(tmp_path.rglob("*")) == before
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [("INFO", "chain site is ready")]


def test_a_chain_that_does_not_run_is_named(only, chain_file, tmp_path, caplog):
    chain_file(["accumulate", "reconstruct", ("denoise", {"bundle": "unheard_of"})], name="site.xml")
    warm_up(only(tmp_path))
    assert "chain site does not run over a virtual scan: unknown bundle 'unheard_of'" in caplog.text
