"""`nadenoise study readers`: what the organiser types, and what is told when it is wrong."""

from __future__ import annotations

import json

import pytest

from nadenoise_core.readers.formats import Answer, Key, Results, read_key

GIVEN = {"reference": 1, "cnn": 1, "cs": 2, "nufft": 4}


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setattr("nadenoise_core.console.output._width", 200)


@pytest.fixture
def cases(reader_cases, tmp_path):
    return reader_cases(tmp_path / "cases", subjects=3)


def answered(key: Key, reader: str, showings: int | None = None) -> Results:
    answers = {s.id: Answer(ranks={i: GIVEN[m] for i, m in s.images.items()}) for s in key.showings[:showings]}
    return Results(study=key.study, reader=reader, answers=answers).sealed()


def test_build_and_analyse(command, cases, tmp_path):
    study, out = tmp_path / "study", tmp_path / "out"
    said = command(
        "study", "readers", "build", study, cases, "--seed", 8, "--repeat", 1, "--methods", "reference,nufft,cs,cnn"
    )
    assert said.status == 0 and said.err == ""
    for words in ("6 cases of reference, nufft, cs, cnn", "seed 8", "organiser alone: ", str(study / "reader")):
        assert words in said.out
    key = read_key(study / "organiser" / "key.json")
    files = [tmp_path / "one.json", tmp_path / "other.json"]
    for file in files:
        file.write_bytes(answered(key, file.stem).to_json())
    said = command("study", "readers", "analyse", study / "organiser" / "key.json", *files, "--out", out)
    assert said.status == 0 and said.err == ""
    for words in ("2 reader(s)", "4.00 (0.00) 0x", "1.00 (0.00) 6x", "30 averages; Friedman", "Kendall's W 1.000"):
        assert words in said.out
    assert json.loads((out / "readers.json").read_text())["between"][0]["agreement"]["kappa"] == 1
    assert len((out / "readers.csv").read_text().splitlines()) == 1 + 2 * 7 * 4


def test_what_is_wrong_is_told_in_one_line(command, cases, tmp_path):
    study = tmp_path / "study"
    build = ("study", "readers", "build", study, cases)
    command(*build, "--window", "3").is_refused("--window is '3'; give two numbers")
    command(*build, "--reference", "best").is_refused("--reference is 'best'; the methods of the cases are")
    command(*build[:-1], tmp_path / "none").is_refused("none: no such folder or file")
    command("study", "readers", "serve", study).is_refused("study: cannot be read")
    assert command(*build).status == 0
    command(*build).is_refused("exists already; build the study into another folder")
    key_file = study / "organiser" / "key.json"
    command("study", "readers", "serve", key_file).is_refused("is no page of a reader study")
    results = tmp_path / "one.json"
    results.write_bytes(answered(read_key(key_file), "one", showings=4).to_json())
    analyse = ("study", "readers", "analyse", key_file, results, "--out", tmp_path / "out")
    command(*analyse).is_refused("reader one has 2 of 6 cases incomplete (number 5, 6 on the page)")
    results.write_text(results.read_text().replace(": 4", ": 2"))
    command(*analyse).is_refused("was changed after the reader saved it")
    assert not (tmp_path / "out").exists()
