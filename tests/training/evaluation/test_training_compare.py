"""A noise-aware network beside networks for single numbers of averages."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from nadenoise_core.paper import NOISE
from nadenoise_core.sampling import PAPER_SPIRAL, SpiralDesign
from training import cli
from training.config import Config, parse_config
from training.errors import ConfigError, DataError
from training.evaluation import compare
from training.evaluation.calves import SEED
from training.evaluation.compare import (
    AVERAGES,
    CONDITIONS,
    Condition,
    Contest,
    SingleLevel,
    comparison_report,
    nearest,
    open_contest,
    results,
)
from training.network.model import Model
from training.network.run import BEST, Run, build_network, save_state

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")

FEW = (
    Condition("usual", 10),
    Condition("other noise", 10, excess=1.25),
    Condition("other tubes", 10, other_tubes=True),
)


def identity(image: torch.Tensor) -> torch.Tensor:
    return image


def smooth(image: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.avg_pool2d(image, 3, stride=1, padding=1, count_include_pad=False)


def single(averages: int, network=identity) -> SingleLevel:
    return SingleLevel(averages, Model(network, "magnitude", "range"))


def config_of(averages: int | None, matrix: int = 80) -> Config:
    """Of a tiny network for a number of averages, or for all."""
    kind = "quantitative" if averages is None else f"paper, averages: {averages}"
    loss = "mse" if averages is None else "paper"
    return parse_config(
        f"data: {{source: {{kind: synthetic}}, cache: c.h5, matrix: {matrix}}}\npairs: {{kind: {kind}}}\n"
        f"network: {{filters: 2, blocks: 0, tail: reference, zero_init: true}}\nloss: {{name: {loss}}}\n"
    )


def kept_run(folder: Path, config: Config) -> Path:
    """A run whose network is the identity."""
    folder.mkdir()
    run = Run(config, 1, 1, 0.1, 0.5, 1, {})
    save_state({"run": run.plain(), "network": build_network(config).state_dict()}, folder / BEST)
    return folder


def test_the_nearest_network_by_ratio_serves_and_of_two_alike_that_of_fewer_averages() -> None:
    paper = [single(averages) for averages in (50, 10, 40, 20, 30)]
    serving = {averages: nearest(paper, averages).averages for averages in AVERAGES}
    assert serving == {5: 10, 7: 10, 10: 10, 15: 20, 20: 20, 25: 30, 30: 30, 40: 40, 50: 50, 100: 50, 150: 50}
    for order in ((5, 45), (45, 5)):
        assert nearest([single(averages) for averages in order], 15).averages == 5  # both are three times off
    assert nearest([single(5), single(45)], 16).averages == 45


def test_the_conditions_are_those_that_are_claimed() -> None:
    usual = [condition.averages for condition in CONDITIONS if condition.name == "usual"]
    assert usual == [5, 7, 10, 15, 20, 25, 30, 40, 50, 100, 150]
    other = [condition for condition in CONDITIONS if condition.name != "usual"]
    assert [condition.averages for condition in other] == [10, 30, 10, 30]
    assert [condition.excess for condition in other] == [1.25, 1.25, 1, 1]
    assert [condition.other_tubes for condition in other] == [False, False, True, True]


def test_identities_change_nothing_and_beat_nobody() -> None:
    for row in compare.compare(Contest(Model(identity), (single(10),), PAPER_SPIRAL), range(2), FEW):
        assert row.noise_aware.rmse == pytest.approx(row.input.rmse, rel=1e-4)
        assert row.single.rmse == pytest.approx(row.input.rmse, rel=1e-4)
        assert row.single.muscle == pytest.approx(row.input.muscle, abs=1e-2)
        assert row.single.skin == pytest.approx(row.input.skin, abs=1e-2)
        assert row.single.sharpness == pytest.approx(row.input.sharpness, abs=1e-2)
        assert row.test.change == pytest.approx(0, abs=1e-3)


def test_the_better_network_is_found_in_every_condition() -> None:
    """All six calves get better, so p is as small as six calves allow, whichever side smooths."""
    usual, noise, tubes = compare.compare(Contest(Model(smooth), (single(20),), PAPER_SPIRAL), range(6), FEW)
    for row in (usual, noise, tubes):
        assert row.noise_aware.rmse < 0.8 * row.single.rmse and row.test.change < 0
        assert row.test.p == pytest.approx(2 / 2**6) and row.single_averages == 20
        assert row.noise_aware.sharpness < row.input.sharpness - 10
    # The error of a magnitude is largely that of the noise, where there is signal and where there is none.
    assert usual.input.rmse == pytest.approx(NOISE / 10**0.5 * 1.25, rel=0.1)
    assert noise.input.rmse == pytest.approx(1.25 * usual.input.rmse, rel=0.05)
    assert tubes.input.muscle != usual.input.muscle
    back = compare.compare(Contest(Model(identity), (single(20, smooth),), PAPER_SPIRAL), range(6), FEW[:1])[0]
    assert back.test.change > 0 and back.test.p == usual.test.p and back.input == usual.input


def test_the_noise_aware_network_is_told_the_measured_noise_and_the_other_nothing() -> None:
    seen: dict[str, list[torch.Tensor]] = {"aware": [], "single": []}

    def see(name: str):
        def network(image: torch.Tensor) -> torch.Tensor:
            seen[name].append(image)
            return image

        return network

    contest = Contest(Model(see("aware")), (single(10, see("single")),), PAPER_SPIRAL)
    compare.compare(contest, range(1), FEW[:2])
    # In units of the noise, the corners, where there is nothing else, have a deviation of 1 under both conditions.
    for batch in seen["aware"]:
        assert float(batch[..., :6, :6].std()) == pytest.approx(1, abs=0.1)
    for image in seen["single"]:
        assert (float(image.min()), float(image.max())) == pytest.approx((0, 1), abs=1e-6)


def test_pixels_too_large_are_refused() -> None:
    contest = Contest(Model(identity), (single(10),), SpiralDesign(matrix=24))
    with pytest.raises(ConfigError, match="pixels of 7.5 mm are too large"):
        compare.compare(contest, range(1), FEW[:1])


def test_runs_are_opened_and_what_cannot_be_compared_is_refused(tmp_path: Path, untold: Path) -> None:
    aware = kept_run(tmp_path / "aware", config_of(None))
    ten, thirty = (kept_run(tmp_path / str(averages), config_of(averages)) for averages in (10, 30))
    contest = open_contest(aware, [thirty, ten])
    assert [one.averages for one in contest.singles] == [30, 10] and contest.design == PAPER_SPIRAL
    assert contest.aware.channels == "complex" and contest.singles[0].model.channels == "magnitude"
    # An older bundle does not tell its spiral: that of the others is taken.
    assert open_contest(untold, [ten]).design == PAPER_SPIRAL
    again = kept_run(tmp_path / "again", config_of(10))
    small = kept_run(tmp_path / "small", config_of(20, matrix=64))
    for model, against, expected in (
        (aware, [ten, again], "again: is for 10 averages, as another one is"),
        (aware, [aware], "aware: is not for one number of averages"),
        (aware, [ten, small], "small: was made for another spiral or matrix than"),
        (aware, [small], "aware: was made for another spiral or matrix than"),
        (aware, [untold], "does not say for how many averages"),
        (aware, [], "no network to compare with"),
    ):
        with pytest.raises(ConfigError, match=expected):
            open_contest(model, against)
    with pytest.raises(DataError, match="no such run or bundle"):
        open_contest(tmp_path / "nowhere", [ten])


def test_the_table_holds_the_figures_and_the_seeds() -> None:
    rows = compare.compare(Contest(Model(smooth), (single(20),), PAPER_SPIRAL), range(3), FEW[:1])
    said = results(rows, range(3))
    assert json.loads(json.dumps(said, allow_nan=False))["calf_seeds"] == [0, 1, 2] and said["seed"] == SEED
    lines = comparison_report(said).splitlines()
    assert "seeds 0, 1, 2; 5 scans of each, seed 11" in lines[0]
    assert {line.count("|") for line in lines[2:]} == {9} and len(lines) == 2 + 2 + 3
    outcome = rows[0].noise_aware
    assert lines[5] == (
        f"| usual | 10 | noise-aware | {outcome.rmse:.2f} | {outcome.muscle[0]:+.2f} ({outcome.muscle[1]:.2f}) "
        f"| {outcome.skin[0]:+.2f} ({outcome.skin[1]:.2f}) | {outcome.sharpness:+.1f} | {rows[0].test.p:.2g} |"
    )
    assert lines[6].startswith(f"| usual | 10 | single, 20 | {rows[0].single.rmse:.2f} |") and lines[6].endswith("| |")


def test_the_command_prints_markdown_or_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [kept_run(tmp_path / str(averages), config_of(averages)) for averages in (None, 10, 40)]
    words = ["compare", *map(str, (runs[0], "--against", runs[1], "--against", runs[2], "--calves", 1))]
    done = CliRunner().invoke(cli.program(), [*words, "--json"], catch_exceptions=False)
    said = json.loads(done.stdout)
    assert [row["averages"] for row in said["rows"]] == [condition.averages for condition in CONDITIONS]
    assert [row["single_averages"] for row in said["rows"]] == [
        10,
        10,
        10,
        10,
        10,
        40,
        40,
        40,
        40,
        40,
        40,
        10,
        40,
        10,
        40,
    ]
    errors = [row["input"]["rmse"] for row in said["rows"][: len(AVERAGES)]]
    assert errors == sorted(errors, reverse=True) and errors[0] > 4 * errors[-1]
    assert all(np.isfinite(row["test"]["p"]) for row in said["rows"])
    printed = CliRunner().invoke(cli.program(), words, catch_exceptions=False).stdout
    assert printed == comparison_report(said) + "\n"


def test_a_model_that_is_not_there_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["nadenoise-train", "compare", tmp_path / "no", "--against", tmp_path / "none"]
    monkeypatch.setattr(sys, "argv", list(map(str, words)))
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    said = capsys.readouterr()
    assert stopped.value.code == 2 and said.err.count("\n") == 1 and "none: no such run or bundle" in said.err
