"""What the commands print and write when all is well."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

import ismrmrd
import pytest

from nadenoise_core import __version__
from nadenoise_core.chain.registry import gadget_class, gadget_names
from nadenoise_core.cli.main import program
from nadenoise_core.denoise.bundle import shipped_bundles


def commands(group: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command of the program, by the words that call it."""
    inner = getattr(group, "commands", {})
    return [path, *(words for name, command in inner.items() for words in commands(command, (*path, name)))]


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "240")
    monkeypatch.setattr("nadenoise_core.console.output._width", 240)


@pytest.mark.parametrize("words", commands(program()), ids=" ".join)
def test_every_command_has_help(words, command):
    outcome = command(*words, "--help")
    assert outcome.status == 0 and not outcome.err
    assert "Usage: " in outcome.out and " ".join(words) in outcome.out
    assert len(outcome.out.splitlines()) > 5


def test_version(command):
    assert command("version").out.strip() == __version__


def test_no_progress_bar_in_a_log(process, tmp_path):
    outcome = process("simulate", tmp_path / "raw.h5", "--averages", 1)
    assert outcome.status == 0 and outcome.err == ""


class TestSimulate:
    def test_writes_a_scan_and_its_truth(self, command, tmp_path):
        raw, truth = tmp_path / "raw.h5", tmp_path / "truth.json"
        options = ["--averages", 2, "--seed", 9, "--coils", 2, "--no-half-pulses", "--position", "1,2,3"]
        outcome = command("simulate", raw, "--truth", truth, "--order", "innermost", *options)
        assert outcome.status == 0 and "41 acquisitions, 2 averages, seed 9" in outcome.out
        with closing(ismrmrd.Dataset(str(raw), "dataset", create_if_needed=False)) as dataset:
            assert dataset.number_of_acquisitions() == 41
            noise, first, second = (dataset.read_acquisition(number) for number in range(3))
        assert noise.is_flag_set(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
        assert [first.idx.average, second.idx.average] == [0, 1]
        assert first.active_channels == 2 and list(first.position) == [1, 2, 3]
        told = json.loads(truth.read_text())
        assert [tube["concentration"] for tube in told["tubes"]] == [10, 25, 50, 75, 100]
        assert told["measurement"]["seed"] == 9 and 10 < told["muscle"] < 35
        assert sorted(path.name for path in tmp_path.iterdir()) == ["raw.h5", "truth.json"]

    def test_effects_are_those_of_the_options(self, command, tmp_path):
        truth = tmp_path / "truth.json"
        options = [
            "--trajectory-delay",
            3,
            "--off-resonance",
            20,
            "--frequency-offset",
            -5,
            "--relaxation",
            "--conjugate",
        ]
        assert command("simulate", tmp_path / "raw.h5", "--averages", 1, "--truth", truth, *options).status == 0
        told = json.loads(truth.read_text())
        effects = ("trajectory_delay", "off_resonance", "frequency_offset", "relaxation", "conjugate")
        assert [told["measurement"][name] for name in effects] == [3, 20, -5, True, True]
        assert (told["field_map"]["amplitude"], told["field_map"]["offset"]) == (20, -5)
        assert told["relaxation"]["times"]["tube"]["t1"] == 55

    def test_a_name_may_look_like_markup(self, command, tmp_path):
        folder = tmp_path / "a[" / "b]"
        folder.mkdir(parents=True)
        raw = folder / "[red].h5"
        outcome = command("simulate", raw, "--averages", 1)
        assert outcome.status == 0 and str(raw) in outcome.out


class TestReplay:
    def test_prints_a_table_and_where_the_results_are(self, scan_file, chain_file, smoothing_chain, command, tmp_path):
        outcome = command(
            "replay", scan_file(averages=3), "--chain", chain_file(smoothing_chain), "--out", tmp_path / "out"
        )
        assert outcome.status == 0
        # The chain's network smooths, and is found out.
        assert all("denoised image is not to be trusted" in line for line in outcome.err.splitlines())
        for words in ("23Na NUFFT 3 avg", "23Na CNN 3 avg (AI denoised)", "aTSC [mmol/L] CNN 3 avg", "per mmol/L"):
            assert words in outcome.out
        assert f"results in {tmp_path / 'out' / 'scan'}" in outcome.out

    def test_regions_are_told_by_name(self, scan_file, measured, label_file, names_file, command, tmp_path):
        scan = {"seed": 5, "averages": 4, "noise": 4.0}
        given = {"roi_map": label_file(measured(**scan)[0]), "roi_names": names_file, "pose": "shift"}
        sets = [part for name, value in given.items() for part in ("--set", f"quantify.{name}={value}")]
        outcome = command("replay", scan_file(**scan), *sets, "--out", tmp_path / "out")
        assert outcome.status == 0
        lines = [line.split() for line in outcome.out.splitlines()]
        (muscle,) = [line for line in lines if "muscle" in line]
        assert muscle[muscle.index("muscle") + 1] == "fit" and muscle[-2] == "to"
        report = json.loads((tmp_path / "out" / "scan" / "report.json").read_text())
        (posed,) = [image["pose"] for image in report["images"] if "pose" in image]
        assert posed["shift"] == pytest.approx([0, 0], abs=0.3) and posed["standard_error"][0] > 0

    def test_places_are_told_where_there_are_several(self, scan_file, chain_file, command, tmp_path):
        raw = scan_file(averages=1, slices=2, repetitions=2)
        outcome = command("replay", raw, "--chain", chain_file(["accumulate", "reconstruct"]), "--out", tmp_path)
        lines = [line for line in outcome.out.splitlines() if "NUFFT" in line]
        places = [f"slice {slice}, repetition {repetition}" for slice in (1, 2) for repetition in (1, 2)]
        assert sorted(" ".join(line.split()[4:8]) for line in lines) == places

    def test_warnings_go_to_stderr(self, scan_file, bundle_file, chain_file, command, tmp_path):
        path, sha256 = bundle_file("return x", averages=[100, 150])
        stages = ["accumulate", "reconstruct", ("denoise", {"bundle": str(path), "bundle_sha256": sha256})]
        outcome = command("replay", scan_file(averages=3), "--chain", chain_file(stages), "--out", tmp_path)
        assert outcome.status == 0
        assert outcome.err.startswith("warning: denoise: not denoised: ") and len(outcome.err.splitlines()) == 1

    def test_warnings_go_to_stderr_of_the_process(self, scan_file, chain_file, process, measured, tmp_path):
        chain = chain_file(["accumulate", "reconstruct"])
        raw = scan_file(averages=3, half_pulse_phase=40.0)
        outcome = process("replay", raw, "--chain", chain, "--out", tmp_path)
        assert outcome.status == 0
        told = "accumulate: the half-pulses differ by 40 degrees, which costs signal; set correct_half_pulse_phase"
        assert outcome.err == f"warning: {told}\n"
        report = json.loads((tmp_path / "scan" / "report.json").read_text())
        assert report["warnings"] == [told]

    def test_debug_shows_the_traceback(self, process, tmp_path):
        outcome = process("--debug", "replay", tmp_path / "no.h5")
        assert outcome.status != 0 and "Traceback" in outcome.err and "no such file" in outcome.err


def test_demo_compares_with_the_truth(command, tmp_path):
    outcome = command("demo", "--out", tmp_path / "demo", "--averages", 2)
    assert outcome.status == 0
    for words in (
        "concentrations against the truth",
        "tube 10",
        "tube 100",
        "muscle (",
        "time per stage",
        "overview.png",
    ):
        assert words in outcome.out
    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == ["scan", "scan.h5", "truth.json"]


class TestChain:
    def test_list(self, command):
        outcome = command("chain", "list")
        assert outcome.status == 0 and "sodium_calf" in outcome.out
        assert "prewhiten > accumulate > reconstruct > denoise > quantify > deliver" in outcome.out

    def test_check(self, scan_file, command):
        for extra in ([], ["--raw", scan_file(averages=3)]):
            outcome = command("chain", "check", "sodium_calf", *extra)
            assert outcome.status == 0 and outcome.err == ""
            assert "6 stages in one node; runs in this process and in Gadgetron" in outcome.out

    @pytest.mark.parametrize(
        "stage", ["reconstruct.b0_map", "quantify.roi_map", "quantify.roi_names", "accumulate.girf"]
    )
    def test_check_opens_the_files_that_a_chain_names(self, stage, chain_file, command):
        gadget, name = stage.split(".")
        stages = [
            (one, {name: "nowhere.nii"} if one == gadget else {}) for one in ("accumulate", "reconstruct", "quantify")
        ]
        command("chain", "check", chain_file(stages)).is_refused(f"gadget '{gadget}': ", "nowhere.nii: ")

    def test_check_names_what_only_the_server_runs(self, chain_file, command):
        path = chain_file(["accumulate"], ["reconstruct"])
        foreign = "<stream><gadget><dll>gadgetron_mricore</dll><classname>NoiseAdjustGadget</classname></gadget>"
        path.write_text(path.read_text().replace("<stream>", foreign))
        outcome = command("chain", "check", path)
        assert outcome.status == 0
        words = "line 3: <gadget> NoiseAdjustGadget of gadgetron_mricore runs in the Gadgetron server only"
        assert words in outcome.out
        assert "2 stages in 2 nodes; runs in Gadgetron" in outcome.out

    def test_describe(self, command):
        every = command("chain", "describe").out
        for name in gadget_names():
            alone = command("chain", "describe", name).out
            for field in gadget_class(name).Parameters.model_fields:
                assert field in alone and field in every
        assert "from 0.1 to 500 mT/m" in command("chain", "describe", "accumulate").out


class TestModel:
    def test_list(self, command):
        outcome = command("model", "list")
        assert outcome.status == 0
        assert all(bundle.name in outcome.out for bundle in shipped_bundles())

    def test_describe(self, bundle_file, command):
        path, sha256 = bundle_file("return x", description="four words of mine")
        outcome = command("model", "describe", path, "--sha256", sha256)
        assert outcome.status == 0
        assert sha256 in outcome.out and "four words of mine" in outcome.out
