"""What a command line has: short help, version, completion, JSON, plain tables, one line for a fault."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nadenoise_core import __version__
from nadenoise_core.chain.files import chain_files, read_chain
from nadenoise_core.chain.registry import gadget_names
from nadenoise_core.denoise.bundle import shipped_bundles
from nadenoise_core.sampling import PAPER_SPIRAL

LONG = "a_folder_with_a_name_that_is_longer_than_a_terminal_is_wide" * 2


@pytest.mark.parametrize("words", [("-h",), ("chain", "-h"), ("chain", "show", "-h"), ("study", "readers", "-h")])
def test_short_help(words, command):
    outcome = command(*words)
    assert outcome.status == 0 and outcome.out == command(*words[:-1], "--help").out and "Usage: " in outcome.out


def test_version(command):
    assert command("--version").out.strip() == __version__


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("nadenoise cha", "chain"),
        ("nadenoise chain des", "describe"),
        ("nadenoise replay --out", "--out"),
        ("nadenoise replay --chain sodium_calf_l", "sodium_calf_live"),
        ("nadenoise chain describe quan", "quantify"),
    ],
)
def test_completion_in_a_shell(line, completed):
    environment = {
        **os.environ, "_NADENOISE_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))
    }  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-m", "nadenoise_core.cli.main"], env=environment, capture_output=True, text=True, check=False
    )
    assert completed in ended.stdout.split(), ended


class TestTraining:
    """`nadenoise-train` has the same surface."""

    def test_help_version_and_list(self):
        from click.testing import CliRunner

        from training.cli.main import program

        def run(*words):
            return CliRunner().invoke(program(), words, prog_name="nadenoise-train").stdout

        assert "Usage: nadenoise-train" in run("-h") and run("fit", "-h") == run("fit", "--help")
        assert run("--version").strip() == __version__
        listed = json.loads(run("configs", "--json"))
        assert listed and all(Path(config["file"]).is_file() and config["makes"] for config in listed)


def test_help_cuts_no_name(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    for option in ("--trajectory-delay", "--half-pulse-phase", "--no-half-pulses"):
        assert option in command("simulate", "-h").out


@pytest.mark.parametrize("words", [(), ("chain",), ("model",), ("study",), ("study", "readers")])
def test_help_cuts_no_sentence(words, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert not [line for line in command(*words, "-h").out.splitlines() if line.endswith("...") and "Usage" not in line]


class TestTables:
    def test_nothing_is_cut_in_a_pipe(self, command, chain_file, tmp_path, monkeypatch):
        monkeypatch.setenv("COLUMNS", "40")
        lines = command("chain", "list").out.splitlines()
        assert lines[0].split() == ["chain", "stages", "file"] and len(lines) == 1 + len(chain_files())
        for path, line in zip(chain_files(), lines[1:], strict=True):
            assert line.startswith(path.stem) and line.endswith(str(path))
        assert not set("│┃─━…") & set("".join(lines))

    def test_nothing_is_cut_in_a_terminal(self, monkeypatch, capsys):
        from nadenoise_core import console

        monkeypatch.setattr(console.output, "_force_terminal", True)
        monkeypatch.setattr(console.output, "_width", 40)
        console.show_table(["a", "path"], [["[bold]", LONG]])
        shown = capsys.readouterr().out
        assert "[bold]" in shown and "…" not in shown
        assert sum(shown.count(letter) for letter in "_") == LONG.count("_")


class TestJson:
    def test_chains(self, command):
        listed = json.loads(command("chain", "list", "--json").out)
        assert [chain["name"] for chain in listed] == [path.stem for path in chain_files()]
        assert listed[0]["stages"] == [stage.name for stage in read_chain(chain_files()[0]).stages]

    def test_properties(self, command):
        described = json.loads(command("chain", "describe", "--json").out)
        assert list(described) == gadget_names()
        assert described["quantify"]["properties"]["tube_diameter"]["unit"] == "mm"
        assert described["quantify"]["properties"]["tube_diameter"]["maximum"] == 80

    def test_a_check(self, command):
        checked = json.loads(command("chain", "check", "sodium_calf", "--json").out)
        assert checked["nodes"] == 1 and checked["only_in_gadgetron"] == []
        by_name = {stage["gadget"]: stage for stage in checked["stages"]}
        assert by_name["denoise"]["bundles"] == ["noise_aware"] and by_name["quantify"]["tube_diameter"] == 20

    def test_bundles(self, command):
        listed = {bundle["name"]: bundle for bundle in json.loads(command("model", "list", "--json").out)}
        assert set(listed) == {bundle.name for bundle in shipped_bundles()}
        described = json.loads(command("model", "describe", "paper_30", "--json").out)
        assert described["sha256"] == listed["paper_30"]["sha256"] and described["metadata"]["metrics"]

    def test_studies(self, command):
        (study,) = (said for said in json.loads(command("study", "list", "--json").out) if said["name"] == "paper")
        assert Path(study["file"]).is_file()


def test_describe_shows_the_card(command):
    for bundle in shipped_bundles():
        card = bundle.path.with_suffix(".md").read_text()
        outcome = command("model", "describe", bundle.name)
        assert outcome.status == 0 and bundle.sha256 in outcome.out and card.rstrip() in outcome.out


def test_a_bundle_without_a_card_tells_its_main_facts(bundle_file, command):
    path, sha256 = bundle_file("return x", averages=[3, 9])
    lines = command("model", "describe", path, "--sha256", sha256).out.splitlines()
    assert len(lines) < 15 and any(line.split() == ["averages", "3", "to", "9"] for line in lines)


class TestShow:
    def test_a_chain_shown_is_a_chain(self, command, tmp_path):
        text = command("chain", "show", "sodium_calf").out
        assert text == chain_files()[0].read_text()
        (tmp_path / "my.xml").write_text(text)
        assert command("chain", "check", tmp_path / "my.xml").status == 0

    def test_an_unknown_chain_is_told(self, command):
        command("chain", "show", "sodium_calv").is_refused("did you mean 'sodium_calf'?")


class TestSet:
    """`replay --set`, checked before anything runs."""

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ("quantify", ["--set quantify", "gadget.property=value"]),
            ("quantify=3", ["gadget.property=value"]),
            ("quantfy.maps=all", ["the chain has no gadget 'quantfy'", "did you mean 'quantify'?"]),
            ("quantify.map=all", ["--set quantify.map=all: gadget 'quantify': there is no property map", "'maps'"]),
            ("quantify.maps=al", ["--set quantify.maps=al", "maps is 'al'; allowed is best, all"]),
            ("quantify.tube_diameter=900", ["from 0 to 80 mm"]),
        ],
    )
    def test_what_is_wrong_is_told(self, given, words, command, tmp_path):
        command("replay", tmp_path / "no.h5", "--set", given).is_refused(*words)

    def test_what_is_set_runs(self, scan_file, chain_file, command, tmp_path):
        chain = chain_file(["accumulate", "reconstruct", ("quantify", {"tube_diameter": "20"})])
        positions = tmp_path / "trajectory.npy"
        np.save(positions, PAPER_SPIRAL.trajectory() * 180)  # cycles/FOV
        # The last two go with each other.
        positions_too = ["--set", "accumulate.trajectory=file", "--set", f"accumulate.trajectory_file={positions}"]
        options = ["--set", "quantify.concentrations=10,25,50,75,100", "--set", "accumulate.emit_at = 1, 2"]
        options += positions_too
        outcome = command("replay", scan_file(averages=2), "--chain", chain, "--out", tmp_path / "out", *options)
        assert outcome.status == 0
        report = json.loads((tmp_path / "out" / "scan" / "report.json").read_text())
        stages = {stage["gadget"]: stage for stage in report["chain"]["stages"]}
        assert stages["accumulate"]["emit_at"] == [1, 2]
        assert stages["quantify"]["concentrations"] == [10, 25, 50, 75, 100]
        assert [image["averages"] for image in report["images"] if image["kind"] == "plain"] == [1, 2]


class TestFolder:
    def test_every_raw_file_in_it_is_replayed(self, scan_file, chain_file, command, tmp_path):
        folder = tmp_path / "scans"
        folder.mkdir()
        for name in ("b.h5", "a.h5", "notes.txt"):
            shutil.copy(scan_file(averages=1), folder / name)
        outcome = command(
            "replay", folder, "--chain", chain_file(["accumulate", "reconstruct"]), "--out", tmp_path / "out",
            "--jobs", 1,
        )  # fmt: skip
        assert outcome.status == 0
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "b"]

    def test_one_without_raw_files_is_told(self, command, tmp_path):
        command("replay", tmp_path).is_refused("holds no .h5 file")


class TestBids:
    """`--bids`, asked for before anything runs."""

    def test_images_lie_in_the_dataset(self, scan_file, chain_file, command, tmp_path):
        raw = shutil.copy(scan_file(averages=1), tmp_path / "sub-3_ses-b_calf.h5")
        options = ["--chain", chain_file(["accumulate", "reconstruct"]), "--out", tmp_path / "out"]
        outcome = command("replay", raw, *options, "--bids", tmp_path / "bids")
        assert outcome.status == 0 and f"and in {tmp_path / 'bids' / 'sub-3' / 'ses-b'}" in outcome.out
        names = {path.name for path in (tmp_path / "bids" / "sub-3" / "ses-b" / "anat").iterdir()}
        assert names == {f"sub-3_ses-b_acq-1avg_nuc-23Na_rec-nufft_sodium.{end}" for end in ("json", "nii.gz")}
        shutil.rmtree(tmp_path / "out")
        again = command("replay", raw, *options, "--bids", tmp_path / "bids")
        again.is_refused("ses-b: exists already", "--overwrite")
        assert not (tmp_path / "out").exists()

    def test_a_folder_of_others_is_left_alone(self, command, tmp_path):
        (tmp_path / "mine.txt").write_text("")
        command("study", "run", "paper", "--out", tmp_path / "out", "--bids", tmp_path).is_refused("is no BIDS dataset")
        assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


class TestFaults:
    """An exception that is none of ours is one line, and the next file of a batch runs."""

    @pytest.fixture
    def scans(self, scan_file, tmp_path):
        for name in ("bad.h5", "good.h5"):
            shutil.copy(scan_file(averages=1), tmp_path / name)
        return tmp_path / "bad.h5", tmp_path / "good.h5"

    @pytest.fixture
    def fault(self, monkeypatch):
        """A fault of ours that one file brings out."""
        from nadenoise_core.replay import replay as room

        replay = room.replay

        def failing(raw, *arguments, **options):
            if raw.stem == "bad":
                return {}["a word of\ntwo lines"]
            return replay(raw, *arguments, **options)

        monkeypatch.setattr(room, "replay", failing)

    def test_is_one_line(self, fault, scans, command, tmp_path):
        command("replay", scans[0], "--out", tmp_path / "out").is_refused(
            "KeyError", "fault of nadenoise", "report it", "--debug", status=1
        )

    def test_the_next_file_runs(self, fault, scans, chain_file, command, tmp_path):
        chain = chain_file(["accumulate", "reconstruct"])
        outcome = command("replay", *scans, "--chain", chain, "--out", tmp_path / "out", "--jobs", 1)
        assert outcome.status == 1 and len(outcome.err.splitlines()) == 1
        assert outcome.err.startswith(f"error: {scans[0]}: KeyError")
        assert "1 replayed, 1 failed" in outcome.out
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["good"]

    def test_debug_shows_where(self, fault, scans, command, tmp_path, monkeypatch):
        import logging

        level = logging.getLogger().level
        logging.getLogger().setLevel(logging.DEBUG)
        outcome = command("replay", *scans, "--out", tmp_path / "out", "--jobs", 1)
        logging.getLogger().setLevel(level)
        assert outcome.status == 1 and "Traceback" in outcome.err and "in failing" in outcome.err


def test_simulate_overwrites_only_when_told(command, tmp_path):
    raw, truth = tmp_path / "raw.h5", tmp_path / "truth.json"
    truth.write_text("mine")
    command("simulate", raw, "--averages", 1, "--truth", truth).is_refused("truth.json: exists already", "--overwrite")
    assert not raw.exists() and truth.read_text() == "mine"
    assert command("simulate", raw, "--averages", 1).status == 0
    before = raw.read_bytes()
    command("simulate", raw, "--averages", 2).is_refused("raw.h5: exists already")
    assert raw.read_bytes() == before
    assert command("simulate", raw, "--averages", 2, "--overwrite").status == 0 and raw.read_bytes() != before
