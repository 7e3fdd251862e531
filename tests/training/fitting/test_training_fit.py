from __future__ import annotations

import csv
import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from training import cli
from training.config import (
    Config,
    DataSettings,
    FitSettings,
    LossSettings,
    NetworkSettings,
    SyntheticSettings,
    load_config,
)
from training.config import PaperPairSettings as Paper
from training.config import QuantitativePairSettings as Quantitative
from training.data.cache import Images
from training.data.kspace import SpiralNoise
from training.data.pairs import make_pairs
from training.errors import ConfigError, DataError
from training.fitting.ema import ema_of
from training.fitting.fit import DivergedError, Fit
from training.fitting.ranks import Rank, torch_device
from training.fitting.runlog import RunLog
from training.fitting.schedule import learning_rate
from training.fitting.statistics import MicroBatchStatistics
from training.fitting.step import share_out
from training.fitting.supervised import fit as fit_config
from training.fitting.validation import Validation
from training.network.residual import ResidualDenoiser
from training.network.run import load_best, save_state
from training.network.start import open_start

DATA = DataSettings(source=SyntheticSettings(kind="synthetic"), cache=Path("cache.h5"))
# Eight images in batches of two: an epoch is four steps.
TINY = Config(
    data=DATA,
    pairs=Quantitative(kind="quantitative"),
    network=NetworkSettings(filters=4, blocks=1, tail="reference", zero_init=True, momentum=0.1, keep=2.0),
    loss=LossSettings(name="mse"),
    fit=FitSettings(
        epochs=3,
        batch=2,
        learning_rate=1e-3,
        schedule="cosine",
        clip=1.0,
        averaging=0.998,
        freeze_statistics=0.25,
        validation_images=4,
        seed=3,
    ),
)


def changed(config: Config = TINY, **fit: Any) -> Config:
    return config.model_copy(update={"fit": FitSettings(**{**config.fit.model_dump(), **fit})})


def make(out: Path, limbs: Images, noise: SpiralNoise, config: Config = TINY, **options: Any) -> Fit:
    training, validation = (
        make_pairs(config.pairs, part, noise, config.fit.seed) for part in (limbs.first(8), limbs.first(6))
    )
    return Fit(out, config, training, validation, **options)


def run(fit: Fit, stop_at: int | None = None) -> float:
    with RunLog(fit.out, fit.step, fit.steps, quiet=True) as log:
        return fit.run(stop_at, log)


def same_networks(first: Fit, second: Fit) -> None:
    for name, value in first.state()["network"].items():
        assert torch.equal(value, second.state()["network"][name]), name
    if first.ema is not None and second.ema is not None:
        for name, value in first.ema.state_dict().items():
            assert torch.equal(value, second.ema.state_dict()[name]), name


def test_a_few_steps_lower_the_loss(tmp_path: Path, limbs: Images, noise: SpiralNoise) -> None:
    fit = make(tmp_path, limbs, noise, changed(epochs=15, learning_rate=1e-2, averaging=0.9))
    start = fit.validation.loss_of(fit.kept)
    assert start == pytest.approx(1, abs=0.02)  # the identity leaves the noise
    assert run(fit) < 0.8 * start
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert [int(row["step"]) for row in rows] == list(range(4, 61, 4))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 16))
    assert min(float(row["validation_loss"]) for row in rows) == pytest.approx(fit.best.loss, rel=1e-5)
    assert [row["best"] for row in rows][0] == "1"


def test_the_papers_pairs_and_loss_train_too(tmp_path: Path, limbs: Images, noise: SpiralNoise) -> None:
    paper = TINY.model_copy(update={"pairs": Paper(kind="paper"), "loss": LossSettings()})
    fit = make(tmp_path, limbs, noise, changed(paper, epochs=10, learning_rate=1e-2, averaging=None))
    noisy, clean = fit.batches.part(0, range(2))
    assert noisy.shape == clean.shape == (2, 1, 80, 80)
    np.testing.assert_allclose((noisy.min(axis=(1, 2, 3)), noisy.max(axis=(1, 2, 3))), ([0] * 2, [1] * 2), atol=1e-6)
    start = fit.validation.loss_of(fit.kept)
    assert run(fit) < start - 0.1


@pytest.mark.parametrize("options", [{}, {"averaging": None, "freeze_statistics": None, "micro_batch": 1}])
def test_a_resumed_run_ends_as_one_that_was_not_stopped(
    options: dict[str, Any], tmp_path: Path, limbs: Images, noise: SpiralNoise
) -> None:
    config = changed(**options)
    straight = make(tmp_path / "straight", limbs, noise, config)
    run(straight)
    for stop in (6, 9, None):  # in the middle of epochs: what follows the last whole one is done again
        stopped = make(tmp_path / "stopped", limbs, noise, config)
        run(stopped, stop)
    assert stopped.step == straight.step == 12 and stopped.frozen == straight.frozen
    same_networks(stopped, straight)
    assert stopped.best == straight.best
    for name in ("straight", "stopped"):
        rows = (tmp_path / name / "log.csv").read_text().splitlines()
        assert [row["step"] for row in csv.DictReader(rows)] == ["4", "8", "12"]


def test_a_finished_run_stays_as_it_is_and_more_epochs_go_on(tmp_path: Path, limbs: Images, noise: SpiralNoise) -> None:
    constant = changed(schedule="constant", freeze_statistics=None)
    run(make(tmp_path, limbs, noise, constant))
    again = make(tmp_path, limbs, noise, constant)
    assert again.finished and again.step == 12
    run(again)
    assert again.step == 12
    longer = make(tmp_path, limbs, noise, changed(constant, epochs=4))
    run(longer)
    assert longer.step == 16


def test_frozen_statistics_stay_and_are_those_of_the_ema(tmp_path: Path, limbs: Images, noise: SpiralNoise) -> None:
    fit = make(tmp_path, limbs, noise)
    run(fit, stop_at=4)
    before = {name: value.clone() for name, value in fit.network.named_buffers()}
    run(fit)
    assert fit.ema is not None
    for name, value in fit.network.named_buffers():
        assert torch.equal(value, before[name]), name
        assert torch.allclose(value, fit.ema.module.get_buffer(name)), name


def test_the_best_network_is_kept_with_its_configuration(tmp_path: Path, limbs: Images, noise: SpiralNoise) -> None:
    fit = make(tmp_path, limbs, noise, data={"train": "ab"})
    best = run(fit)
    network, kept = load_best(tmp_path)
    assert not network.training
    assert kept.validation_loss == best and kept.config == TINY and kept.data == {"train": "ab"}
    assert kept.step == 4 * kept.epoch and kept.processes == 1
    assert json.loads(json.dumps(kept.plain()))["configuration"] == TINY.plain()
    assert sum(p.numel() for p in network.parameters()) == sum(p.numel() for p in fit.network.parameters())
    assert [path.name for path in tmp_path.glob("*.part")] == []


def test_a_run_is_not_gone_on_with_another_configuration_or_other_images(
    tmp_path: Path, limbs: Images, noise: SpiralNoise
) -> None:
    run(make(tmp_path, limbs, noise, data={"train": "ab"}), stop_at=4)
    with pytest.raises(ConfigError, match="fit.seed is 4 here, 3 there; choose another --out"):
        make(tmp_path, limbs, noise, changed(seed=4), data={"train": "ab"})
    with pytest.raises(DataError, match="other images"):
        make(tmp_path, limbs, noise, data={"train": "cd"})
    assert make(tmp_path, limbs, noise, changed(minutes=5, workers=1), data={"train": "ab"}).step == 4


@pytest.mark.parametrize("content", [b"", b"nothing", b"PK\x03\x04"])
def test_a_damaged_checkpoint_is_refused(content: bytes, tmp_path: Path, limbs: Images, noise: SpiralNoise) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(DataError, match="checkpoint.pt: is damaged"):
        make(tmp_path, limbs, noise)
    save_state({"other": 1}, tmp_path / "checkpoint.pt")
    with pytest.raises(DataError, match="another version"):
        make(tmp_path, limbs, noise)
    with pytest.raises(DataError, match="holds no best.pt"):
        load_best(tmp_path)


def test_time_ends_a_run(tmp_path: Path, limbs: Images, noise: SpiralNoise) -> None:
    fit = make(tmp_path, limbs, noise, changed(epochs=1_000_000, minutes=1e-4))
    run(fit)
    assert fit.progress >= 1 and fit.step < 50
    assert math.isfinite(fit.best.loss) and (tmp_path / "best.pt").exists()


def test_patience_ends_a_run(
    tmp_path: Path, limbs: Images, noise: SpiralNoise, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = make(tmp_path, limbs, noise, changed(epochs=20, patience=2))
    losses = iter([0.9, 0.5, 0.6, 0.55, 0.4])
    monkeypatch.setattr(Validation, "loss_of", lambda validation, network: next(losses))
    assert run(fit) == 0.5
    assert (fit.epoch, fit.best.epoch) == (4, 2) and load_best(tmp_path)[1].epoch == 2


def test_a_run_that_diverges_says_what_to_do(
    tmp_path: Path, limbs: Images, noise: SpiralNoise, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = make(tmp_path, limbs, noise)
    monkeypatch.setattr(Validation, "loss_of", lambda validation, network: math.nan)
    with pytest.raises(DivergedError, match="no number any more at step 4; lower fit.learning_rate"):
        run(fit)
    assert not (tmp_path / "best.pt").exists()


def test_half_precision_trains_nearly_the_same(tmp_path: Path, limbs: Images, noise: SpiralNoise) -> None:
    wide, narrow = (
        make(tmp_path / name, limbs, noise, changed(precision=name, learning_rate=1e-2))
        for name in ("float32", "bfloat16")
    )
    for fit in (wide, narrow):
        run(fit)
    assert narrow.best.loss == pytest.approx(wide.best.loss, rel=0.02) and narrow.best.loss != wide.best.loss
    assert all(value.dtype == torch.float32 for value in narrow.network.parameters())


def test_processes_that_draw_pairs_change_nothing(tmp_path: Path, limbs: Images, noise: SpiralNoise) -> None:
    alone, helped = (
        make(tmp_path / str(workers), limbs, noise, changed(epochs=2, workers=workers)) for workers in (0, 1)
    )
    for fit in (alone, helped):
        run(fit)
    same_networks(alone, helped)


def test_micro_batches_add_up_to_the_batch(tmp_path: Path, limbs: Images, noise: SpiralNoise) -> None:
    """Without batch statistics, cutting a batch changes nothing but rounding."""
    # With `keep`, a constant in the output has no gradient but rounding, which Adam would blow up.
    network = TINY.network.model_copy(update={"keep": 0.0})
    config = changed(TINY.model_copy(update={"network": network}), freeze_statistics=0.0)
    whole, cut = (make(tmp_path / str(size), limbs, noise, changed(config, micro_batch=size)) for size in (2, 1))
    for fit in (whole, cut):
        run(fit, 4)
    for first, second in zip(whole.network.parameters(), cut.network.parameters(), strict=True):
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-5)


def test_statistics_of_micro_batches_are_averaged_in_any_order() -> None:
    torch.manual_seed(0)
    network = ResidualDenoiser(filters=3, blocks=1, momentum=0.25).train()
    layer = network.blocks[0].body[1]
    parts = [torch.randn(2, 1, 8, 8) * scale for scale in (1.0, 4.0)]
    results = []
    for order in ((0, 1), (1, 0)):
        torch.nn.init.constant_(layer.running_mean, 0.5)
        layer.num_batches_tracked.zero_()
        statistics = MicroBatchStatistics(network)
        for number in order:
            network(parts[number])
            statistics.collect()
        statistics.finish(Rank())
        results.append(layer.running_mean.clone())
        assert int(layer.num_batches_tracked) == 1
    torch.testing.assert_close(results[0], results[1])
    with torch.no_grad():
        means = [network.blocks[0].body[0](network.head(part)).mean(dim=(0, 2, 3)) for part in parts]
    torch.testing.assert_close(results[0], 0.75 * 0.5 + 0.25 * (means[0] + means[1]) / 2)


def test_a_batch_that_cannot_be_shared_out_is_refused(tmp_path: Path, limbs: Images, noise: SpiralNoise) -> None:
    assert make(tmp_path, limbs, noise, changed(micro_batch=1)).places == (range(0, 1), range(1, 2))
    shared = [share_out(changed(batch=8, micro_batch=2), Rank(number=number, world_size=2)) for number in (0, 1)]
    assert shared == [(range(0, 2), range(2, 4)), (range(4, 6), range(6, 8))]
    with pytest.raises(ConfigError, match="2 processes cannot share out evenly; set fit.micro_batch to 1"):
        make(tmp_path, limbs, noise, rank=Rank(world_size=2))
    with pytest.raises(ConfigError, match="3 processes cannot share out evenly; change fit.batch"):
        make(tmp_path, limbs, noise, rank=Rank(world_size=3))


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert torch_device("auto") == torch_device("cpu", 1) == torch.device("cpu")
    with pytest.raises(ConfigError, match="there is no GPU 1 here"):
        torch_device("cuda:1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [torch_device("auto"), torch_device("cuda", 1)] == [torch.device("cuda", 0), torch.device("cuda", 1)]


def test_the_learning_rate_warms_up_and_falls() -> None:
    settings = FitSettings(warm_up=10, learning_rate=1e-3, last_learning_rate=1e-5, schedule="cosine")
    assert learning_rate(settings, 0, 0.0) == pytest.approx(1e-4)
    rates = [learning_rate(settings, 100, progress) for progress in np.linspace(0, 1, 11)]
    assert rates[0] == pytest.approx(1e-3) and rates[-1] == pytest.approx(1e-5)
    assert all(np.diff(rates) < 0)
    assert {learning_rate(FitSettings(), step, step / 100) for step in range(100)} == {1e-4}


def test_the_ema_forgets_its_beginning_and_then_moves_by_its_decay() -> None:
    network = ResidualDenoiser(filters=4, blocks=1, zero_init=False)
    ema, weight = ema_of(network, 0.75), network.last.weight
    expected = weight.detach().clone()
    for update in range(1, 60):
        torch.nn.init.normal_(weight)
        ema.update_parameters(network)
        decay = min(0.75, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * weight.detach()
        torch.testing.assert_close(ema.module.last.weight, expected)
    network.blocks[0].body[1].num_batches_tracked += 3
    ema.update_parameters(network)
    assert int(ema.module.blocks[0].body[1].num_batches_tracked) == 3, "what counts is copied"


def test_tensorboard_gets_the_losses(tmp_path: Path, limbs: Images, noise: SpiralNoise) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what TensorBoard imports
        accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run(make(tmp_path, limbs, noise))
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss/validation")] == [4, 8, 12]


STILL = ["fit.epochs=2", "fit.learning_rate=1e-30", "fit.last_learning_rate=1e-30"]  # nothing changes


@pytest.fixture(scope="module")
def begun(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs."""
    out = tmp_path_factory.mktemp("begun") / "run"
    fit_config(load_config(small_run, ["fit.epochs=2"]), out, quiet=True)
    return out


def same_weights(first: Path, second: Path) -> bool:
    ours, theirs = (load_best(folder)[0].state_dict() for folder in (first, second))
    return all(torch.equal(value, theirs[name]) for name, value in ours.items() if value.dtype.is_floating_point)


def test_a_fit_begins_with_a_network_and_keeps_it_unless_it_gets_better(
    small_run: Path, begun: Path, tmp_path: Path
) -> None:
    still = fit_config(load_config(small_run, STILL), tmp_path / "still", quiet=True, start=open_start(begun))
    kept, source = load_best(tmp_path / "still")[1], load_best(begun)[1]
    assert still.step == 4 and still.best.epoch == 0 and same_weights(tmp_path / "still", begun)
    # The validation images are those of the run, and so is the loss.
    assert (
        still.best.loss == still.start_loss == kept.validation_loss == pytest.approx(source.validation_loss, rel=1e-5)
    )
    assert kept.tuning == {"method": "supervised", "start": source.plain()} and kept.data == source.data
    more = fit_config(load_config(small_run, ["fit.epochs=3"]), tmp_path / "more", quiet=True, start=open_start(begun))
    assert more.start_loss == still.start_loss and more.best.loss < more.start_loss and more.best.epoch > 0
    assert not same_weights(tmp_path / "more", begun)


def test_a_fit_from_a_network_goes_on_from_its_checkpoint_but_not_from_another_network(
    small_run: Path, begun: Path, tmp_path: Path
) -> None:
    constant = ["fit.schedule=constant", "fit.epochs=2"]
    whole = fit_config(load_config(small_run, constant), tmp_path / "whole", quiet=True, start=open_start(begun))
    for epochs in (1, 2):
        config = load_config(small_run, [*constant, f"fit.epochs={epochs}"])
        parts = fit_config(config, tmp_path / "parts", quiet=True, start=open_start(begun))
    assert parts.step == whole.step and parts.best.loss == whole.best.loss
    same_networks(parts, whole)
    for start in (None, open_start(tmp_path / "whole")):
        with pytest.raises(DataError, match="begun from another network"):
            fit_config(config, tmp_path / "parts", quiet=True, start=start)


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("network.filters=6", "filters is 4, not 6"),
        ("network.blocks=2", "blocks is 1, not 2"),
        ("network.tail=reference", "tail is paper, not reference"),
        ("pairs={kind: paper}", "channels is 2, not 1"),
    ],
)
def test_a_network_of_other_layers_is_no_start(
    assignment: str, expected: str, small_run: Path, begun: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=f"other layers: {expected}; set both alike"):
        fit_config(load_config(small_run, [assignment]), tmp_path / "run", quiet=True, start=open_start(begun))
    assert not (tmp_path / "run").exists()


def test_the_command_line_begins_with_a_run(small_run: Path, begun: Path, tmp_path: Path) -> None:
    def call(*more: str) -> str:
        settings = [word for assignment in (*STILL, *more) for word in ("--set", assignment)]
        words = ["fit", str(small_run), "--from", str(begun), "--out", str(tmp_path / "run"), *settings]
        done = CliRunner().invoke(cli.program(), words, catch_exceptions=False)
        assert done.exit_code == 0
        return done.stdout

    assert "4 steps" in (said := call()) and "in epoch 0" in said
    assert same_weights(tmp_path / "run", begun)
    with pytest.raises(ConfigError, match="filters is 4, not 6"):
        call("network.filters=6")
