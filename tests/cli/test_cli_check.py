"""`nadenoise check`: what is found in a raw file, and what is wrong, before anything runs."""

from __future__ import annotations

import json
import shutil

import pytest


@pytest.fixture
def found(command):
    """What a check tells of files, and its exit status."""

    def check(*arguments):
        outcome = command("check", *arguments, "--json")
        return json.loads(outcome.out), outcome.status

    return check


def test_what_is_found_is_what_was_simulated(scan_file, found):
    (told,), status = found(scan_file(averages=3, coils=2, half_pulses=False))
    assert status == 0 and told["fits"] and told["warnings"] == []
    assert (told["acquisitions"], told["averages"], told["coils"], told["images"]) == (61, 3, 2, 1)
    assert (told["interleaves"], told["samples"]) == (20, 510) and told["dwell_time"] == pytest.approx(14.8)
    assert (told["matrix"], told["field_of_view"], told["slice_thickness"]) == ([80, 80], [180.0, 180.0], 30.0)
    assert (told["repetition_times"], told["echo_times"], told["flip_angles"]) == ([100.0], [0.23], [90.0])


def test_it_is_told_to_people(scan_file, command):
    raw = scan_file(averages=3)
    outcome = command("check", raw)
    assert outcome.status == 0 and outcome.err == ""
    lines = outcome.out.splitlines()
    assert lines[-1] == f"{raw}: fits the chain sodium_calf"
    assert any(line.split() == ["matrix", "80", "x", "80"] for line in lines)
    assert "20 interleaves of 510 samples, 7.55 ms" in outcome.out


def test_every_file_that_the_chain_names_is_opened(scan_file, command, tmp_path):
    raw = scan_file(averages=2)
    command("check", raw, "--set", f"reconstruct.b0_map={tmp_path / 'no.nii'}").is_refused("no.nii")
    command("check", raw, "--set", "denoise.bundle=papr_30").is_refused("unknown bundle 'papr_30'")
    options = ["--set", "accumulate.trajectory=spiral", "--set", "accumulate.max_gradient=10"]
    command("check", raw, *options).is_refused("scan.h5", "the acquisitions have 510")


def test_nothing_is_written(scan_file, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outbox = tmp_path / "outbox"
    assert command("check", scan_file(averages=2), "--set", f"deliver.outbox={outbox}").status == 0
    assert not list(tmp_path.iterdir())


def test_a_file_that_does_not_fit_does_not_stop_the_others(scan_file, command, found, tmp_path):
    shutil.copy(scan_file(averages=2), tmp_path / "good.h5")
    (tmp_path / "bad.h5").write_bytes(b"no HDF5")
    outcome = command("check", tmp_path)
    assert outcome.status == 2 and outcome.err.startswith("error: ") and "bad.h5" in outcome.err
    assert "good.h5: fits" in outcome.out
    told, status = found(tmp_path)
    assert status == 2 and [entry["fits"] for entry in told] == [False, True] and "bad.h5" in told[0]["reason"]


def test_warnings_are_told(scan_file, command, chain_file):
    chain = chain_file(["accumulate", "reconstruct"])
    outcome = command("check", scan_file(averages=3, half_pulse_phase=40.0), "--chain", chain)
    assert outcome.status == 0 and outcome.err.startswith("warning: accumulate: the half-pulses differ by 40 degrees")
