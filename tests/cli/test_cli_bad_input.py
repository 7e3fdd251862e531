"""Bad input, as a user meets it: one line that says what, where and what to do; status 2; nothing half-written."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest

from nadenoise_core.mrd.rawfile import write_raw_file

PLAIN = ["accumulate", "reconstruct", "deliver"]


def empty(path, *_):
    path.touch()


def truncated(path, measurement, items, _):
    write_raw_file(path, measurement.header_xml(), items)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def text(path, *_):
    path.write_text("average,signal\n1,2\n" * 300)


def no_group(path, *_):
    with h5py.File(path, "w") as file:
        file["images"] = np.zeros((4, 4))


def no_header(path, measurement, items, _):
    write_raw_file(path, measurement.header_xml(), items)
    with h5py.File(path, "r+") as file:
        del file["dataset/xml"]


def broken_header(path, measurement, items, _):
    write_raw_file(path, measurement.header_xml()[:400], items)


def no_acquisitions(path, measurement, *_):
    write_raw_file(path, measurement.header_xml(), [])


def cartesian(path, measurement, items, _):
    write_raw_file(path, measurement.header_xml().replace(">spiral<", ">cartesian<"), items)


def no_trajectory(path, measurement, items, changed):
    write_raw_file(path, measurement.header_xml(), [changed(item, trajectory=item.traj[:, :0]) for item in items])


def beyond_the_matrix(path, measurement, items, changed):
    write_raw_file(path, measurement.header_xml(), [changed(item, trajectory=1.3 * item.traj) for item in items])


def not_a_number(path, measurement, items, changed):
    data = items[50].data.copy()
    data[0, 7] = np.nan
    write_raw_file(path, measurement.header_xml(), [*items[:50], changed(items[50], data), *items[51:]])


def wrong_sample_count(path, measurement, items, changed):
    short = changed(items[50], items[50].data[:, :-2], items[50].traj[:-2])
    write_raw_file(path, measurement.header_xml(), [*items[:50], short, *items[51:]])


def header_and_data_disagree(path, measurement, items, _):
    write_raw_file(path, measurement.header_xml(), items)
    with h5py.File(path, "r+") as file:
        row = file["dataset/data"][10:11]
        row["head"]["number_of_samples"] = 5
        file["dataset/data"][10:11] = row


def missing_interleaf(path, measurement, items, _):
    write_raw_file(path, measurement.header_xml(), [a for a in items if a.idx.kspace_encode_step_1 != 13])


BAD = [
    (empty, ["it is empty", "copy or convert it anew"]),
    (truncated, ["not a readable HDF5 file", "truncated"]),
    (text, ["not a readable HDF5 file"]),
    (no_group, ["no ISMRMRD measurement", "it holds images"]),
    (no_header, ["no ISMRMRD measurement", "it holds dataset"]),
    (broken_header, ["header", "convert the raw data anew"]),
    (no_acquisitions, ["the scan is empty"]),
    (cartesian, ["trajectory 'cartesian'", "'spiral'"]),
    (no_trajectory, ["no trajectory", "'spiral'"]),
    (beyond_the_matrix, ["acquisition 0", "beyond the matrix", "trajectory_unit"]),
    (not_a_number, ["acquisition 50 (interleaf 5, average 1, half-pulse 0)", "NaN", "damaged"]),
    (wrong_sample_count, ["acquisition 50", "samples of 1 coils", "damaged"]),
    (header_and_data_disagree, ["acquisition 10 holds", "damaged"]),
    (missing_interleaf, ["interleaf 13 of 20", "check that the raw file is complete"]),
]


@pytest.fixture
def bad_file(measured, changed, tmp_path):
    def make(kind, name: str = "bad.h5") -> Path:
        path = tmp_path / name
        kind(path, *measured(averages=2), changed)
        return path

    return make


class TestRawFile:
    @pytest.mark.parametrize(("kind", "words"), BAD, ids=[kind.__name__ for kind, _ in BAD])
    def test_is_told(self, kind, words, bad_file, command, left_behind, tmp_path):
        path = bad_file(kind)
        command("replay", path, "--out", tmp_path / "out").is_refused(str(path), *words)
        assert left_behind(tmp_path / "out") == []

    def test_is_told_by_the_process(self, bad_file, process, left_behind, tmp_path):
        path = bad_file(not_a_number)
        process("replay", path, "--out", tmp_path / "out").is_refused(str(path), "acquisition 50", "NaN")
        assert left_behind(tmp_path / "out") == []

    def test_missing(self, command, tmp_path):
        command("replay", tmp_path / "no.h5", "--out", tmp_path / "out").is_refused("no.h5: no such file")
        assert not (tmp_path / "out").exists()

    def test_of_several_is_told_and_the_others_are_replayed(
        self, bad_file, scan_file, chain_file, command, left_behind, tmp_path
    ):
        good, bad = scan_file(averages=2), bad_file(missing_interleaf)
        given = ("--chain", chain_file(PLAIN), "--out", tmp_path / "out", "--jobs", 1)
        command("replay", bad, good, *given).is_refused(f"{bad}: interleaf 13")
        assert [path for path in left_behind(tmp_path / "out") if "/" not in path] == ["scan"]
        assert "scan/report.json" in left_behind(tmp_path / "out")

    def test_several_of_one_name_are_refused(self, scan_file, command, tmp_path):
        raws = scan_file(averages=2), scan_file(averages=3)
        command("replay", *raws, "--out", tmp_path / "out").is_refused("several raw files are called scan")
        assert not (tmp_path / "out").exists()

    def test_group_that_is_not_there(self, scan_file, command, tmp_path):
        command("replay", scan_file(averages=2), "--group", "other", "--out", tmp_path / "out").is_refused(
            "no measurement 'other'; it holds dataset"
        )

    def test_no_tubes_is_a_warning_only(self, measured, changed, command, tmp_path):
        measurement, items = measured(averages=2)
        rng = np.random.default_rng(3)
        noise = rng.standard_normal((len(items), 1, items[0].number_of_samples, 2)).astype(np.float32)
        scan = [changed(item, part.view(np.complex64)[..., 0]) for item, part in zip(items, noise, strict=True)]
        write_raw_file(tmp_path / "air.h5", measurement.header_xml(), scan)
        outcome = command("replay", tmp_path / "air.h5", "--out", tmp_path / "out")
        assert outcome.status == 0
        assert all(line.startswith("warning: ") for line in outcome.err.splitlines())
        assert "quantify: no aTSC map: " in outcome.err
        report = json.loads((tmp_path / "out" / "air" / "report.json").read_text())
        (image,) = report["images"]
        assert any("no aTSC map: " in comment for comment in image["comments"])
        assert [path.name for path in (tmp_path / "out" / "air" / "dicom").iterdir()] == ["nufft_002avg_001.dcm"]


class TestChain:
    @pytest.mark.parametrize(
        ("stages", "words"),
        [
            (["acumulate"], ["no gadget 'acumulate'", "did you mean 'accumulate'?"]),
            ([("accumulate", {"emit_ad": "5"})], ["no property emit_ad", "did you mean 'emit_at'?"]),
            ([("accumulate", {"emit_at": "five"})], ["emit_at is 'five'", "whole numbers"]),
            (["accumulate", ("reconstruct", {"density": "pipe"})], ["allowed is pipe_menon, jacobian", "did you"]),
            (["accumulate", "quantify"], ["'quantify' takes Image"]),
            (["accumulate", "accumulate"], ["'accumulate' takes Acquisition", "or one has used them up"]),
            (["accumulate", "prewhiten"], ["'prewhiten' takes Acquisition"]),
            ([("accumulate", {"trajectory_unit": "[bold]"})], ["[bold]", "allowed is cycles/pixel"]),
        ],
    )
    @pytest.mark.parametrize("words_of_command", [("chain", "check"), ("replay", "RAW", "--chain")])
    def test_with_a_typo_is_told(self, stages, words, words_of_command, chain_file, scan_file, command, tmp_path):
        path = chain_file(stages, name="typo.xml")
        arguments = [scan_file(averages=2) if word == "RAW" else word for word in words_of_command]
        out = ["--out", tmp_path / "out"] if "replay" in arguments else []
        outcome = command(*arguments, path, *out)
        outcome.is_refused(f"{path}:", *words)
        line = int(outcome.err.split("typo.xml:")[1].split(":")[0])
        assert '<gadget name="' in path.read_text().splitlines()[line - 1]
        assert not (tmp_path / "out").exists()

    def test_with_a_typo_is_told_by_the_process(self, chain_file, process):
        path = chain_file(["acumulate"])
        process("chain", "check", path).is_refused(f"{path}:6: there is no gadget 'acumulate'")

    def test_unknown(self, command, tmp_path):
        command("chain", "check", "sodium_caff").is_refused("did you mean 'sodium_calf'?")
        command("chain", "check", tmp_path / "no.xml").is_refused("no such chain file")
        command("chain", "describe", "denoice").is_refused("did you mean 'denoise'?")

    def test_of_the_server_cannot_be_replayed(self, chain_file, scan_file, command, tmp_path):
        path = chain_file(PLAIN)
        path.write_text(path.read_text().replace("<stream>", "<stream><gadget><dll>core</dll></gadget>"))
        command("replay", scan_file(averages=2), "--chain", path, "--out", tmp_path / "out").is_refused(
            f"{path}:3: <gadget>", "runs in the Gadgetron server only"
        )


def with_bundle(path, **properties) -> list:
    return ["accumulate", "reconstruct", ("denoise", {"bundle": str(path), **properties}), "deliver"]


class TestBundle:
    def check(self, command, chain, raw, out, *words):
        command("chain", "check", chain, "--raw", raw).is_refused(*words)
        command("replay", raw, "--chain", chain, "--out", out).is_refused(*words)

    def test_that_does_not_fit(self, bundle_file, chain_file, scan_file, command, left_behind, tmp_path):
        path, sha256 = bundle_file("return x", matrix=[64, 64])
        chain = chain_file(with_bundle(path, bundle_sha256=sha256))
        self.check(command, chain, scan_file(averages=2), tmp_path / "out", "trained for matrix 64x64", "80x80")
        assert left_behind(tmp_path / "out") == []

    def test_with_a_wrong_checksum(self, bundle_file, chain_file, scan_file, command, left_behind, tmp_path):
        path, _ = bundle_file("return x")
        chain = chain_file(with_bundle(path, bundle_sha256="ab" * 32))
        self.check(command, chain, scan_file(averages=2), tmp_path / "out", str(path), "checksum is", "abababab")
        assert left_behind(tmp_path / "out") == []

    def test_with_a_wrong_checksum_is_told_by_the_process(self, bundle_file, chain_file, scan_file, process, tmp_path):
        path, _ = bundle_file("return x")
        chain = chain_file(with_bundle(path, bundle_sha256="ab" * 32))
        process("replay", scan_file(averages=2), "--chain", chain, "--out", tmp_path / "out").is_refused("checksum is")

    def test_without_a_checksum(self, bundle_file, chain_file, scan_file, command, tmp_path):
        path, sha256 = bundle_file("return 3 * x")
        chain = chain_file(with_bundle(path))
        self.check(command, chain, scan_file(averages=2), tmp_path / "out", f"bundle_sha256 to {sha256}")
        command("model", "describe", path).is_refused(sha256)

    def test_that_is_none(self, chain_file, scan_file, command, tmp_path):
        for name, words in {"no.pt": "no such bundle", "denoyser": "unknown bundle 'denoyser'"}.items():
            bundle = tmp_path / name if name.endswith(".pt") else name
            self.check(command, chain_file(with_bundle(bundle)), scan_file(averages=2), tmp_path / "out", words)
            command("model", "describe", bundle).is_refused(words)

    def test_that_is_no_network(self, chain_file, scan_file, command, tmp_path):
        text = tmp_path / "text.pt"
        text.write_text("no network")
        sha256 = hashlib.sha256(text.read_bytes()).hexdigest()
        chain = chain_file(with_bundle(text, bundle_sha256=sha256))
        self.check(command, chain, scan_file(averages=2), tmp_path / "out", "not a TorchScript bundle")
        command("model", "describe", text, "--sha256", sha256).is_refused("not a TorchScript bundle")

    def test_that_is_not_trained_for_what_the_chain_emits(self, bundle_file, chain_file, command):
        path, sha256 = bundle_file("return x", averages=[5, 150])
        stages = [("accumulate", {"emit_at": "2, 30"}), *with_bundle(path, bundle_sha256=sha256)[1:]]
        command("chain", "check", chain_file(stages)).is_refused("no bundle fits", "5 to 150 averages, the image has 2")


class TestOutput:
    def test_below_a_file(self, scan_file, chain_file, command, tmp_path):
        (tmp_path / "file").write_text("mine")
        given = ("replay", scan_file(averages=2), "--chain", chain_file(PLAIN), "--out", tmp_path / "file" / "out")
        command(*given).is_refused("cannot write", str(tmp_path / "file"), "check the folder and its free space")
        assert (tmp_path / "file").read_text() == "mine"

    def test_below_a_file_is_told_by_the_process(self, scan_file, chain_file, process, tmp_path):
        (tmp_path / "file").touch()
        given = ("replay", scan_file(averages=2), "--chain", chain_file(PLAIN), "--out", tmp_path / "file")
        process(*given).is_refused("cannot write")

    def test_of_the_demonstration_below_a_file(self, command, tmp_path):
        (tmp_path / "file").touch()
        for out in (tmp_path / "file", tmp_path / "file" / "demo"):
            command("demo", "--out", out).is_refused(f"cannot write {out}", "choose another --out")

    def test_that_exists(self, scan_file, chain_file, command, tmp_path):
        given = ("replay", scan_file(averages=2), "--chain", chain_file(PLAIN), "--out", tmp_path / "out")
        assert command(*given).status == 0
        before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.dcm")}
        outcome = command(*given)
        assert outcome.status == 0 and "done before" in outcome.out
        command(*given, "--set", "reconstruct.method=least_squares").is_refused("exists already", "--overwrite")
        assert before == {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.dcm")}
        assert command(*given, "--overwrite").status == 0

    @pytest.mark.parametrize("limit", [4_000, 30_000, 50_000])  # in the DICOM, the images, the picture at the latest
    def test_on_a_disc_that_fills(self, limit, scan_file, chain_file, process, left_behind, tmp_path):
        given = ("replay", scan_file(averages=2), "--chain", chain_file(PLAIN), "--out", tmp_path / "out")
        process(*given, file_limit=limit).is_refused("cannot write", "check the folder and its free space")
        assert left_behind(tmp_path / "out") == []

    @pytest.mark.parametrize("limit", [3_000, 300_000])
    def test_simulation_on_a_disc_that_fills(self, limit, process, tmp_path):
        process("simulate", tmp_path / "raw.h5", "--averages", 2, file_limit=limit).is_refused("cannot write", "raw.h5")
        assert list(tmp_path.iterdir()) == []

    def test_simulation_below_a_file(self, command, tmp_path):
        (tmp_path / "file").touch()
        command("simulate", tmp_path / "file" / "raw.h5", "--averages", 1).is_refused("cannot write", "file/raw.h5")
        given = ("simulate", tmp_path / "raw.h5", "--averages", 1, "--truth", tmp_path / "file" / "truth.json")
        command(*given).is_refused("cannot write", "file/truth.json")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "raw.h5"]

    @pytest.mark.parametrize("mount", ["-o size=100k", "-o ro"], ids=["tiny", "read-only"])
    def test_on_a_disc_of_its_own(self, mount, scan_file, chain_file, process, tmp_path):
        disc = tmp_path / "disc"
        disc.mkdir()
        shell = f"mount -t tmpfs {mount} tmpfs '{disc}'"
        if subprocess.run(["unshare", "--mount", "sh", "-c", shell], capture_output=True, check=False).returncode:
            pytest.skip("needs the right to mount a file system")
        given = ("replay", scan_file(averages=2), "--chain", chain_file(PLAIN), "--out", disc)
        process(*given, shell=shell).is_refused("cannot write", str(disc))


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--position", "1,2"], "--position is '1,2'; give three numbers"),
            (["--position", "1,2,nan"], "--position is '1,2,nan'"),
            (["--angles", "a,b,c"], "--angles is 'a,b,c'"),
            (["--trajectory-unit", "rad"], "unknown trajectory unit 'rad'; use cycles/pixel"),
            (["--tube-radius", "200"], "do not fit into a field of view of 180 mm"),
            (["--tube-diameter", "90"], "tube"),
            (["--half-pulse-phase", "1000"], "half_pulse_phase"),
            (["--trajectory-delay", "nan"], "trajectory_delay must be within 100 us, not nan"),
            (["--off-resonance", "5000"], "must be within 1000 Hz, not 5000"),
        ],
    )
    def test_of_a_simulation_are_checked(self, options, words, command, tmp_path):
        command("simulate", tmp_path / "raw.h5", "--averages", 1, *options).is_refused(words)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        "arguments",
        [
            ["simulate", "RAW", "--averages", "0"],
            ["simulate", "RAW", "--seed", "-1"],
            ["simulate", "RAW", "--order", "middle"],
            ["simulate", "RAW", "--coils", "none"],
            ["simulate", "RAW", "--noise", "nan"],
            ["simulate"],
            ["replay"],
            ["replai"],
            ["chain", "chek"],
            ["simulate", "RAW", "--avrages", "3"],
        ],
    )
    def test_that_are_none_are_refused(self, arguments, command, tmp_path):
        outcome = command(*(str(tmp_path / "raw.h5") if word == "RAW" else word for word in arguments))
        assert outcome.status == 2 and outcome.err and "Traceback" not in outcome.err
        assert list(tmp_path.iterdir()) == []
