"""`--deidentify` of the commands that write what a scan was."""

from __future__ import annotations

import json

import pytest

from nadenoise_core.mrd.pseudonyms import read_pseudonyms

PLAIN = ["accumulate", "reconstruct", "deliver"]


@pytest.fixture
def raw(scan_file, tmp_path):
    made = tmp_path / "Mustermann.h5"
    made.write_bytes(scan_file(averages=2).read_bytes())
    return made


def test_replay(raw, chain_file, command, tmp_path):
    key, out = tmp_path / "study.key", tmp_path / "out"
    given = ("replay", raw, "--chain", chain_file(PLAIN), "--out", out, "--deidentify", key)
    first = command(*given)
    assert first.status == 0 and "made a new key" in first.err
    (folder,) = out.iterdir()
    report = json.loads((folder / "report.json").read_text())
    assert folder.name.endswith(report["deidentification"]["measurement"]) and report["raw"]["file"] == "[removed]"
    assert "Mustermann" not in (folder / "report.html").read_text()
    again = command(*given)
    assert again.status == 0 and "done before" in again.out and list(out.iterdir()) == [folder]
    key.write_text("short")
    command(*given).is_refused("study.key: the key of the pseudonyms has 5 bytes")


def test_study_export(raw, command, tmp_path):
    key, out = tmp_path / "study.key", tmp_path / "nifti"
    assert command("study", "export", raw, "--out", out, "--deidentify", key).status == 0
    names = sorted(path.name for path in out.iterdir())
    assert len(names) == 4 and not any("mustermann" in name.lower() for name in names)
    told = json.loads((out / next(name for name in names if name.endswith(".json"))).read_text())
    assert told["patient"] == read_pseudonyms(key).word("patient", "calf-3")
