from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from training.cache import Limbs
from training.fit import Fit, FitSettings, history, learning_rate, load_best, pair_source, update_average
from training.kspace import SpiralNoise
from training.network import ResidualDenoiser

TINY = FitSettings(
    filters=4,
    blocks=1,
    batch=2,
    loss="mse",
    keep=2.0,
    steps=12,
    minutes=1e6,
    validate_every=4,
    warm_up=1,
    seed=3,
)


def make(out: Path, limbs: Limbs, noise: SpiralNoise, settings: FitSettings = TINY) -> Fit:
    pairs = pair_source(settings, limbs, noise)
    return Fit(out, settings, pairs, pairs, validation_batches=2)


def test_a_few_steps_lower_the_loss(tmp_path: Path, limbs: Limbs, noise: SpiralNoise) -> None:
    fit = make(tmp_path, limbs, noise, replace(TINY, steps=60, validate_every=20, learning_rate=1e-2))
    start = fit.validation_loss()
    assert start == pytest.approx(1, abs=0.02)  # the identity leaves the noise
    assert fit.run() < 0.8 * start
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert [int(row["step"]) for row in rows] == [20, 40, 60]
    assert float(rows[-1]["validation_loss"]) == pytest.approx(fit.best, abs=1e-5)


def test_the_papers_pairs_and_loss_train_too(tmp_path: Path, limbs: Limbs, noise: SpiralNoise) -> None:
    paper = replace(TINY, pairs="paper", loss="paper", averages=30, steps=40, validate_every=20, learning_rate=1e-2)
    fit = make(tmp_path, limbs, noise, paper)
    noisy, clean = fit.training.batch(np.random.default_rng(0), 3)
    assert noisy.shape == clean.shape == (3, 1, 80, 80)
    np.testing.assert_allclose((noisy.min(axis=(1, 2, 3)), noisy.max(axis=(1, 2, 3))), ([0] * 3, [1] * 3), atol=1e-6)
    start = fit.validation_loss()
    assert fit.run() < start - 0.1


def test_unknown_pairs_are_refused(limbs: Limbs, noise: SpiralNoise) -> None:
    with pytest.raises(ValueError, match="quantitative or paper"):
        pair_source(replace(TINY, pairs="other"), limbs, noise)


def test_a_resumed_run_ends_as_one_that_was_not_stopped(tmp_path: Path, limbs: Limbs, noise: SpiralNoise) -> None:
    straight = make(tmp_path / "straight", limbs, noise)
    straight.run()
    for stop in (2, 7, None):  # the statistics are frozen at step 3
        stopped = make(tmp_path / "stopped", limbs, noise)
        stopped.run(stop_at=stop)
    assert stopped.step == straight.step == 12 and stopped.frozen
    for name in ("network", "average"):
        theirs = getattr(straight, name).state_dict()
        for key, value in getattr(stopped, name).state_dict().items():
            assert torch.equal(value, theirs[key]), key
    assert stopped.best == straight.best


def test_frozen_statistics_stay_and_are_those_of_the_average(tmp_path: Path, limbs: Limbs, noise: SpiralNoise) -> None:
    fit = make(tmp_path, limbs, noise)
    fit.run(stop_at=4)
    before = {name: value.clone() for name, value in fit.network.named_buffers()}
    fit.run()
    for name, value in fit.network.named_buffers():
        assert torch.equal(value, before[name]), name
        assert torch.allclose(value, fit.average.get_buffer(name)), name


def test_the_best_network_is_kept_with_its_settings(tmp_path: Path, limbs: Limbs, noise: SpiralNoise) -> None:
    fit = make(tmp_path, limbs, noise)
    best = fit.run()
    network, run = load_best(tmp_path / "best.pt")
    assert not network.training
    assert run["validation_loss"] == best and FitSettings(**run["settings"]) == TINY
    assert sum(p.numel() for p in network.parameters()) == sum(p.numel() for p in fit.network.parameters())
    assert [path.name for path in tmp_path.glob("*.partial")] == []


def test_a_run_can_start_from_another(tmp_path: Path, limbs: Limbs, noise: SpiralNoise) -> None:
    make(tmp_path / "first", limbs, noise).run()
    best = tmp_path / "first" / "best.pt"
    second = make(tmp_path / "second", limbs, noise, replace(TINY, start=str(best), seed=4))
    for key, value in load_best(best)[0].state_dict().items():
        assert torch.equal(second.network.state_dict()[key], value), key
        assert torch.equal(second.average.state_dict()[key], value), key
    assert second.step == 0 and second.frozen
    second.run(stop_at=4)
    assert make(tmp_path / "second", limbs, noise, second.settings).step == 4
    runs = history(load_best(tmp_path / "second" / "best.pt")[1])
    assert [(run["settings"]["seed"], run["step"]) for run in runs] == [
        (3, load_best(best)[1]["step"]),
        (4, 4),
    ]


def test_time_ends_a_run(tmp_path: Path, limbs: Limbs, noise: SpiralNoise) -> None:
    fit = make(tmp_path, limbs, noise, replace(TINY, steps=1_000_000, minutes=1e-4))
    fit.run()
    assert fit.progress >= 1 and fit.step < 50
    assert math.isfinite(fit.best)


def test_the_learning_rate_warms_up_and_falls() -> None:
    settings = FitSettings(warm_up=10, learning_rate=1e-3, last_learning_rate=1e-5)
    assert learning_rate(settings, 0, 0.0) == pytest.approx(1e-4)
    rates = [learning_rate(settings, 100, progress) for progress in np.linspace(0, 1, 11)]
    assert rates[0] == pytest.approx(1e-3) and rates[-1] == pytest.approx(1e-5)
    assert all(np.diff(rates) < 0)


def test_the_average_moves_by_its_decay() -> None:
    first, second = (ResidualDenoiser(filters=4, blocks=1, zero_init=False) for _ in range(2))
    expected = 0.75 * first.last.weight.clone() + 0.25 * second.last.weight
    update_average(first, second, 0.75)
    torch.testing.assert_close(first.last.weight, expected)
