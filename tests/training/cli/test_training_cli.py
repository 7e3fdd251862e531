from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from training import cli
from training.config import load_config, shipped_configs
from training.evaluation.bench_tables import bench_report

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")


def call(*words: object) -> Result:
    return CliRunner().invoke(cli.program(), [str(word) for word in words], catch_exceptions=False)


def refusal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object) -> tuple[str, int]:
    """The one line on stderr, and the exit status."""
    monkeypatch.setattr(sys, "argv", ["nadenoise-train", *map(str, words)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    return said.err, int(stopped.value.code or 0)


def test_configurations_are_listed_and_printed() -> None:
    listed = call("configs").stdout
    for name, path in shipped_configs().items():
        assert name in listed
        assert call("configs", name).stdout == path.read_text()


def test_the_four_verbs_make_a_bundle(small_run: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache.h5"
    here = ("--set", f"data.cache={cache}", "--set", "fit.epochs=2")
    prepared = call("prepare", small_run, *here)
    assert "22 train + 8 validation + 10 test images of 40 subjects, split by seed 1" in prepared.stdout
    assert "is there already" in call("prepare", small_run, *here).stdout
    run = tmp_path / "run"
    fitted = call("fit", small_run, "--out", run, *here)
    assert "epoch 2: loss" in fitted.stdout and "seed 7" in fitted.stdout
    assert "4 steps" in call("fit", small_run, "--out", run, *here).stdout  # it is finished
    evaluated = call("evaluate", run, "--calves", 1, "--images", 2, "--json")
    assert json.loads(evaluated.stdout)["test_images"] == 2
    exported = call("export", run, "--name", "small", "--calves", 1, "--images", 2, "--keep", 1.5)
    assert "| 30 | denoised |" in exported.stdout and (run / "SHA256SUMS").exists()
    again = call("evaluate", run / "small.pt", "--calves", 1, "--images", 2)
    assert "| 30 | denoised |" in again.stdout
    card = (run / "small.md").read_text()
    assert "8 validation, 10 test" in card and "keep 1.5" in card
    # The card's configuration makes the network again.
    text = card.partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "small.yaml").write_text(text)
    assert load_config(tmp_path / "small.yaml") == load_config(small_run, [f"data.cache={cache}", "fit.epochs=2"])


def test_what_was_skipped_is_told(tmp_path: Path) -> None:
    import h5py
    import numpy as np

    for number in range(3):
        with h5py.File(tmp_path / f"{number}.h5", "w") as file:
            file["reconstruction_rss"] = np.eye(20) + 1
    for number in range(25):
        (tmp_path / f"bad{number:02d}.h5").write_bytes(b"nothing")
    (tmp_path / "my.yaml").write_text(
        f"data:\n  source: {{kind: hdf5, folder: {tmp_path}, pattern: '*.h5'}}\n"
        f"  cache: {tmp_path}/cache/c.h5\n  matrix: 16\npairs: {{kind: paper}}\n"
    )
    said = call("prepare", tmp_path / "my.yaml")
    assert "25 skipped: it is no HDF5 file, or damaged" in said.stdout
    assert "skipped bad19.h5: it is no HDF5 file" in said.stderr and "... and 5 more" in said.stderr
    assert "bad20" not in said.stderr


def test_bad_input_is_one_sentence_and_exit_2(
    small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for words, expected in (
        (("fit", "paper_fastmi"), "did you mean 'paper_fastmri'"),
        (("fit", small_run, "--set", "fit.bacth=3"), "did you mean 'batch'"),
        (("fit", small_run, "--set", f"data.cache={tmp_path}/no.h5"), "no such cache"),
        (("prepare", small_run, "--set", "data.seed=2"), "--overwrite"),
        (("prepare", small_run, "--set", "data.cache=/proc/no/c.h5"), "cannot write /proc/no/c.h5"),
        (("fit", small_run, "--out", "/proc/no"), "cannot write /proc/no"),
        (("evaluate", tmp_path / "nothing"), "no such run or bundle"),
        (("evaluate", tmp_path), "holds no best.pt"),
        (("export", tmp_path), "holds no best.pt"),
    ):
        message, status = refusal(capsys, monkeypatch, *words)
        assert status == 2 and message.startswith("error: ") and expected in message
    (tmp_path / "bad.pt").write_bytes(b"nothing")
    assert "is no bundle" in refusal(capsys, monkeypatch, "evaluate", tmp_path / "bad.pt")[0]


def test_debug_shows_the_traceback() -> None:
    command = [sys.executable, "-m", "training.cli", "--debug", "fit", "nothing"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "Traceback" in done.stderr and "error: " in done.stderr


def test_a_bundle_that_does_not_tell_its_images_needs_a_configuration(
    untold: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "give --config" in refusal(capsys, monkeypatch, "evaluate", untold)[0]


def test_an_interrupted_fit_says_how_to_go_on(small_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from training.cli import fit as fit_command

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fit_command, "fit_network", interrupt)
    stopped = call("fit", small_run)
    assert stopped.exit_code == 130 and "the same command goes on" in stopped.stderr


def test_the_bench_compares_what_is_named(capsys, monkeypatch, tmp_path: Path) -> None:
    words = ("bench", "--against", "plain", "--against", "gaussian", "--legs", 2, "--averages", 30)
    bench = json.loads(call(*words, "--json").stdout)
    plain, smooth = bench["rows"]
    for kind in ("independent", "phantom", "volunteers"):
        before, after = plain["legs"][kind], smooth["legs"][kind]
        assert before["rmse"] == pytest.approx(58 / 30**0.5, rel=0.06) and after["rmse"] < 0.7 * before["rmse"]
        assert after["skin"][0] < before["skin"][0] - 1 and after["snr"] > 1.5 * before["snr"]
        assert after["lesions"]["r3 +10"] < 0.8 and before["lesions"]["r3 +10"] == pytest.approx(1, abs=1e-3)
    assert smooth["objects"]["points"] > plain["objects"]["points"]
    report = bench_report(bench)
    assert "### Calibrated volunteers" in report and report.count("| 30 | Gaussian 0.8 pixel |") == 4
    for given, said in ((("--against", "best"), "no baseline 'best'"), ((), "nothing to compare")):
        error, status = refusal(capsys, monkeypatch, "bench", *given)
        assert said in error and status == 2
    error, status = refusal(capsys, monkeypatch, "bench", tmp_path / "none.pt")
    assert "no such run or bundle" in error and status == 2
