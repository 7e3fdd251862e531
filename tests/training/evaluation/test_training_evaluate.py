"""Table 1 with its tests, beside the paper's; the figure of examples."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from nadenoise_core.errors import OutputError
from nadenoise_core.paper import NOISE, TABLE_1
from training.data.cache import Images
from training.data.kspace import SpiralNoise
from training.evaluation.calves import CALF_REPEATS, Scans, Subjects, calves
from training.evaluation.evaluate import Paired, Published, Spread, evaluate, table_1
from training.evaluation.figure import draw_examples
from training.evaluation.tables import report
from training.network.model import Model


def smooth(image: torch.Tensor) -> torch.Tensor:
    """A denoiser worth testing for: halfway to the mean of three by three pixels."""
    return (image + torch.nn.functional.avg_pool2d(image, 3, stride=1, padding=1, count_include_pad=False)) / 2


def test_the_wilcoxon_test_is_that_of_the_paper() -> None:
    """Its p values for ten pairs are multiples of 2 / 1024; an outlier has a rank and no more."""
    before = np.arange(10.0)
    after = before - np.arange(1, 11)
    assert Paired.of(before, after) == Paired(-5.5, pytest.approx(2 / 1024))
    after[9] -= 1000
    assert Paired.of(before, after).p == pytest.approx(2 / 1024)
    after[0] = before[0] + 1  # the smallest difference goes the other way
    assert Paired.of(before, after).p == pytest.approx(4 / 1024)


def test_pairs_are_compared_and_not_groups() -> None:
    """A small change in every image counts, however different the images are."""
    before = 100 * np.random.default_rng(0).standard_normal(30)
    change = 0.01 * (1 + np.arange(30))
    assert Paired.of(before, before + change).p < 1e-6
    assert Paired.of(before, before + change * (-1) ** np.arange(30)).p > 0.1


def test_no_difference_is_no_evidence() -> None:
    assert Paired.of(np.ones(5), np.ones(5)) == Paired(0.0, 1.0)
    assert Paired.of(np.ones(1), np.zeros(1)).p == 1.0


def test_published_figures_are_those_of_the_paper() -> None:
    thirty = Published.of(30)
    assert asdict(thirty.noisy.mse) == pytest.approx({"median": 2.1e-3, "iqr": 0.2e-3}, rel=1e-12)
    assert thirty.denoised.psnr == Spread(32.6, 0.9)
    assert Published.of(10).denoised.ssim == Spread(0.84, 0.05)


def test_a_network_that_denoises_is_found_to(limbs: Images, noise: SpiralNoise) -> None:
    """All forty images get better, so p is as small as forty images allow."""
    row = table_1(Model(smooth), limbs, noise, (10,))[0]
    assert row.tests.mse.change < 0 < row.tests.psnr.change and row.tests.ssim.change > 0
    assert row.tests.mse.p == row.tests.psnr.p == pytest.approx(2 / 2**40, rel=1e-6, abs=0)
    # The change is of the pairs, and lies near the difference of the medians.
    assert row.tests.psnr.change == pytest.approx(row.denoised.psnr.median - row.noisy.psnr.median, abs=0.5)


def test_the_report_sets_tests_and_the_papers_ranges_beside_ours(limbs: Images, noise: SpiralNoise) -> None:
    metrics = evaluate(Model(smooth), limbs.first(6), noise, range(1))
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    row = metrics["table_1"][list(TABLE_1).index(30)]
    assert row["paper"]["denoised"]["psnr"] == {"median": 32.6, "iqr": 0.9}
    assert row["tests"]["mse"]["p"] == pytest.approx(2 / 2**6)
    lines = report(metrics).splitlines()
    ours = next(line for line in lines if line.startswith("| 30 | denoised |"))
    assert ours.endswith("| 0.6 (0.1), 0.90 (0.03), 32.6 (0.9) |")
    tests = next(line for line in lines if line.startswith("| 30 | -"))
    change = row["tests"]["psnr"]["change"]
    assert f"| {1e3 * row['tests']['mse']['change']:+.2f} | 0.031 |" in tests and f"| {change:+.1f} | 0.031 |" in tests
    assert len({line.count("|") for line in lines[lines.index("") + 1 :][:7]}) == 1  # the table of tests is whole


def test_vanishing_p_values_are_bounds(limbs: Images, noise: SpiralNoise) -> None:
    rows = [asdict(row) for row in table_1(Model(smooth), limbs, noise, (10,))]
    assert "| < 1e-06 |" in report({"table_1": rows, "regions": [], "calves": []})


def test_metrics_without_tests_are_reported_without(limbs: Images, noise: SpiralNoise) -> None:
    row = asdict(table_1(Model(smooth), limbs.first(2), noise, (10,))[0])
    del row["tests"], row["paper"]
    text = report({"table_1": [row], "regions": [], "calves": []})
    assert text.endswith("| 0.9, 0.84, 30.3 |") and text.count("\n") == 3


def test_a_network_that_smooths_blunts_the_edge_and_one_that_scales_does_not(noise: SpiralNoise) -> None:
    def thrice(image: torch.Tensor) -> torch.Tensor:
        return smooth(smooth(smooth(image)))

    row = calves(Model(lambda image: 0.5 * image), noise, range(2), (150,))[0]
    assert row.denoised_sharpness == pytest.approx(row.noisy_sharpness, abs=1e-3)
    assert abs(row.noisy_sharpness) < 6  # noise makes it neither sharper nor blunter
    assert row.denoised_rmse > row.noisy_rmse  # but half the signal is gone
    once, more = (calves(Model(network), noise, range(2), (150,))[0].denoised_sharpness for network in (smooth, thrice))
    assert more < once - 5 < row.noisy_sharpness - 5


def test_errors_of_calves_are_of_magnitudes_and_in_mmol_per_litre(noise: SpiralNoise) -> None:
    subjects = Subjects.of(noise, range(2))
    assert subjects is not None
    scans = Scans.of(subjects, noise, 150)
    assert scans.noisy.shape == (2 * CALF_REPEATS, 80, 80) and scans.std == pytest.approx(NOISE / 150**0.5)
    assert (scans.noisy - scans.clean).real.std() == pytest.approx(scans.std, rel=0.02)
    turned = scans.figures(1j * scans.clean)
    assert turned.rmse == pytest.approx(0, abs=1e-4) and turned.sharpness == pytest.approx(0, abs=1e-3)
    assert turned.bias.muscle == pytest.approx((0, 0), abs=1e-3)
    # A constant more everywhere: calibration takes it away, the error has it.
    more = scans.figures(np.abs(scans.clean) + np.float32(3))
    assert more.rmse == pytest.approx(3, rel=1e-4) and more.bias.skin == pytest.approx((0, 0), abs=1e-3)
    row = calves(Model(lambda image: image), noise, range(2), (150,))[0]
    assert row.noisy_rmse == pytest.approx(np.sqrt(np.mean((np.abs(scans.noisy) - np.abs(scans.clean)) ** 2)), rel=1e-4)
    louder = Scans.of(subjects, noise, 150, excess=1.25)
    np.testing.assert_allclose(louder.noisy - louder.clean, 1.25 * (scans.noisy - scans.clean), atol=1e-3)


def test_a_magnitude_network_is_judged_by_magnitudes_alone(noise: SpiralNoise) -> None:
    """The identity of magnitudes loses the phase, which is no error of it."""
    complex_row, row = (
        calves(Model(lambda image: image, *kind), noise, range(2), (30,))[0]
        for kind in (("complex", "noise"), ("magnitude", "range"))
    )
    assert row.rmse_ratio == pytest.approx(1, abs=1e-4) and row.muscle_rmse_ratio == pytest.approx(1, abs=1e-4)
    assert row.denoised_rmse == pytest.approx(complex_row.denoised_rmse, rel=1e-4)
    assert row.denoised_sharpness == pytest.approx(complex_row.denoised_sharpness, abs=1e-2)


def test_figures_without_sharpness_are_reported_without(noise: SpiralNoise) -> None:
    row = asdict(calves(Model(smooth), noise, range(1), (30,))[0])
    metrics = {"table_1": [], "regions": [], "calves": [row]}
    heads, _, noisy, denoised = report(metrics).splitlines()[-4:]
    column = [cell.strip() for cell in heads.split("|")].index("edge %")
    assert noisy.split("|")[column].strip() == f"{row['noisy_sharpness']:+.1f}"
    assert denoised.split("|")[column].strip() == f"{row['denoised_sharpness']:+.1f}"
    for key in ("noisy_sharpness", "denoised_sharpness", "noisy_rmse", "denoised_rmse"):
        del row[key]
    older = report(metrics).splitlines()[-4:]
    assert {line.count("|") for line in older} == {8} and "edge" not in older[0]
    assert [line.split("|")[:column] for line in older[2:]] == [line.split("|")[:column] for line in (noisy, denoised)]


def test_examples_are_drawn_in_one_window(limbs: Images, noise: SpiralNoise, tmp_path: Path) -> None:
    path = tmp_path / "new" / "examples.png"
    seen = []

    def see(image: torch.Tensor) -> torch.Tensor:
        seen.append(image)
        return image

    draw_examples(Model(see), limbs.first(3), noise, path, (30, 10), index=1)
    drawn = torch.cat(seen)
    assert drawn.shape == (2, 2, 80, 80) and [entry.name for entry in path.parent.iterdir()] == ["examples.png"]
    whole = imread(path)
    assert np.unique(whole[..., :3]).size > 50 and whole.shape[1] == pytest.approx(1090, abs=40)
    # The same image as Table 1's: another index, and another denoiser, make another figure.
    for model, index in ((Model(see), 2), (Model(smooth), 1)):
        draw_examples(model, limbs.first(3), noise, tmp_path / "other.png", (30, 10), index=index)
        assert np.abs(imread(tmp_path / "other.png") - whole).mean() > 0.002


def test_examples_that_cannot_be_drawn(limbs: Images, noise: SpiralNoise, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no image 3 of 3"):
        draw_examples(Model(smooth), limbs.first(3), noise, tmp_path / "a.png", index=3)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        draw_examples(Model(smooth), limbs.first(1), noise, tmp_path / "file" / "a.png")
    (tmp_path / "a.png").mkdir()
    for name, reason in (("a.png", "directory"), ("a.odd", "odd")):
        with pytest.raises(OutputError, match=f"cannot write .*{reason}"):
            draw_examples(Model(smooth), limbs.first(1), noise, tmp_path / name)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.png", "file"]
