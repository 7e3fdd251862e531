from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import NDArray

import nadenoise_core
from nadenoise_core.mrd.rawfile import write_raw_file
from nadenoise_core.mrd.single_averages import read_averages
from nadenoise_core.paper import NOISE
from nadenoise_core.recon.nufft import Nufft
from nadenoise_core.sampling import PAPER_SPIRAL, sample_weights
from nadenoise_core.simulate.measurement import VirtualMeasurement
from training import cli
from training.config import Config, load_config, parse_config, shipped_configs
from training.errors import ConfigError, DataError
from training.fitting.finetune import EPOCH_PAIRS, finetune, tuning_config
from training.fitting.fit import DivergedError, Fit
from training.fitting.repeats import RepeatPairs, Repeats, grid_repeats, hold_out, repeat_loss
from training.network.model import Model
from training.network.residual import ResidualDenoiser
from training.network.run import BEST, CHECKPOINT, Run, build_network, load_best, save_state
from training.network.start import bundle_weights, open_start

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")

SHIPPED = Path(nadenoise_core.__file__).parent / "models" / "noise_aware.pt"
AVERAGES = 12


def written(folder: Path, measurement: VirtualMeasurement) -> Path:
    path = folder / f"{measurement.seed}-{measurement.averages}-{measurement.coils}.h5"
    write_raw_file(path, measurement.header_xml(), measurement.acquisitions())
    return path


def clean_image(measurement: VirtualMeasurement) -> NDArray[np.complex64]:
    """The scan without its noise, gridded."""
    k = PAPER_SPIRAL.trajectory() * (PAPER_SPIRAL.field_of_view / PAPER_SPIRAL.matrix)
    matrix = (PAPER_SPIRAL.matrix, PAPER_SPIRAL.matrix)
    kspace = measurement.scan().kspace[0]
    image: NDArray[np.complex64] = Nufft(k, matrix).adjoint((kspace * sample_weights(k, matrix)).reshape(-1))
    return image


def synthetic_repeats(averages: int, seed: int = 0) -> Repeats:
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((averages, 16, 16)) + 1j * rng.standard_normal((averages, 16, 16))
    return Repeats((5 + 2 * noise).astype(np.complex64), 2.0)


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Raw files of two calves."""
    folder = tmp_path_factory.mktemp("raw")
    return [written(folder, VirtualMeasurement(seed=seed, averages=AVERAGES)) for seed in (1, 2)]


@pytest.fixture(scope="module")
def disturbed(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a network that adds errors of its own to an image."""
    config = load_config(small_run)
    torch.manual_seed(3)
    network = build_network(config)
    with torch.no_grad():
        network.last.weight.normal_(0, 1)
    return kept_run(tmp_path_factory.mktemp("disturbed"), config, network)


def kept_run(folder: Path, config: Config, network: ResidualDenoiser) -> Path:
    run = Run(config, 1, 1, 0.1, 0.5, 1, {"train": "a", "validation": "b", "test": "c"})
    save_state({"run": run.plain(), "network": network.state_dict()}, folder / BEST)
    return folder


def tuned(files: list[Path], start: Path, out: Path, **settings: object) -> Fit:
    begun = open_start(start)
    config = tuning_config(begun.config)
    wanted = {"minutes": None, "epochs": 3, "learning_rate": 1e-2, "averaging": 0.9, "validation_images": 32}
    fit = config.fit.model_copy(update={**wanted, **settings})
    return finetune(files, begun, config.model_copy(update={"fit": fit}), out, (2, 8), quiet=True)


def true_error(run: Path, seed: int, averages: int) -> float:
    """RMSE over the whole image of a calf, mmol/L."""
    measurement = VirtualMeasurement(seed=seed, averages=averages)
    clean = clean_image(measurement)
    rng = np.random.default_rng(1)
    k = PAPER_SPIRAL.trajectory() * (PAPER_SPIRAL.field_of_view / PAPER_SPIRAL.matrix)
    weights = sample_weights(k, (80, 80)).reshape(-1)
    std = NOISE / np.sqrt(averages)
    white = rng.standard_normal((2, weights.size)) * std / np.sqrt(np.sum(weights.astype(float) ** 2))
    noisy = clean + Nufft(k, (80, 80)).adjoint((white[0] + 1j * white[1]) * weights)
    network, made = load_best(run)
    return float(np.sqrt(np.mean(np.abs(Model.of_run(network, made).denoise(noisy[None], std)[0] - clean) ** 2)))


def test_the_averages_of_a_raw_file_become_images_of_known_noise(scans: list[Path]) -> None:
    single = read_averages(scans[0])
    assert single.kspace.shape == (AVERAGES, 1, 20, 510) and single.matrix == (80, 80)
    repeats = grid_repeats(single)
    assert repeats.noise_std == pytest.approx(NOISE, rel=0.02)
    noise = repeats.images - clean_image(VirtualMeasurement(seed=1, averages=AVERAGES))
    assert noise.real.std() == pytest.approx(NOISE, rel=0.02)
    assert np.abs(noise.mean(axis=0)).mean() < 1.5 * NOISE / np.sqrt(AVERAGES)


def test_coils_are_combined_to_images_of_the_same_noise(tmp_path: Path) -> None:
    measurement = VirtualMeasurement(seed=3, averages=8, coils=4)
    repeats = grid_repeats(read_averages(written(tmp_path, measurement)))
    single = repeats.images[::2] - repeats.images[1::2]
    assert single.real.std() / np.sqrt(2) == pytest.approx(repeats.noise_std, rel=0.05)
    assert np.abs(repeats.images.mean(axis=0)).max() > 80  # the brightest tube, 100 mmol/L


def test_input_and_target_share_no_average() -> None:
    averages = 6
    marked = np.zeros((averages, 4, 4), np.complex64)
    marked += (10.0 ** np.arange(averages))[:, None, None]
    pairs = RepeatPairs([Repeats(marked, 1.0)], (1, 20), 3)
    seen = set()
    for index, quantile in enumerate(np.linspace(0, 0.999, 40)):
        noisy, target = pairs.pair(np.random.default_rng(index), index, float(quantile))
        weight = float(target[2, 0, 0])
        given = round(averages * (1 - weight))
        seen.add(given)
        # Both sums together hold every average once: 111111.
        sums = [np.hypot(*part[:2, 0, 0]) / np.sqrt(given) for part in (noisy, target)]
        assert sums[0] * given + sums[1] * (averages - given) == pytest.approx(111111, rel=1e-5)
    assert seen == {1, 2, 3, 4, 5}


def test_the_input_has_unit_noise_and_the_target_what_its_weight_says() -> None:
    pairs = RepeatPairs([synthetic_repeats(40)], (10, 10), 1)
    drawn = [pairs.pair(np.random.default_rng(seed), 0, 0.5) for seed in range(100)]
    noisy = np.stack([noisy for noisy, _ in drawn])
    difference = noisy - np.stack([target[:2] for _, target in drawn])
    weight = drawn[0][1][2]
    assert np.all(weight == 0.75)
    # The images are uniform: what varies within one is noise.
    assert noisy.std(axis=(2, 3)).mean() == pytest.approx(1, rel=0.05)
    assert difference.var() * weight[0, 0] == pytest.approx(1, rel=0.1)


def test_the_loss_is_least_where_the_error_to_the_truth_is() -> None:
    """A Noise2Noise loss of a shrunk image: over many targets its slope is that of the true loss."""
    torch.manual_seed(0)
    clean = 3 * torch.rand(1, 2, 16, 16, dtype=torch.float64)
    noisy = clean + torch.randn(400, 2, 16, 16, dtype=torch.float64)
    target = clean + 2 * torch.randn(400, 2, 16, 16, dtype=torch.float64)
    weight = torch.full((400, 1, 16, 16), 0.2, dtype=torch.float64)
    loss = repeat_loss()
    shrinks = torch.linspace(0.2, 1, 33, dtype=torch.float64)
    repeats = [float(loss(shrink * noisy, torch.cat([target, weight], 1), noisy)) for shrink in shrinks]
    truths = [float(loss(shrink * noisy, torch.cat([clean.expand_as(noisy), weight], 1), noisy)) for shrink in shrinks]
    assert abs(int(np.argmin(repeats)) - int(np.argmin(truths))) <= 1
    assert 0 < int(np.argmin(truths)) < 32
    assert np.ptp(np.subtract(repeats, truths)) < 0.05 * np.ptp(truths)  # apart by the target's noise alone


def test_scans_are_held_out_whole_and_averages_of_an_only_one() -> None:
    four = [synthetic_repeats(5, seed) for seed in range(4)]
    training, validation = hold_out(four, seed=1)
    assert len(training) == 3 and len(validation) == 1
    assert {id(scan) for scan in training + validation} == {id(scan) for scan in four}
    training, validation = hold_out(four[:1], seed=1)
    parts = np.concatenate([training[0].images, validation[0].images])
    assert len(validation[0]) == 2 and len(training[0]) == 3
    assert {part.tobytes() for part in parts} == {image.tobytes() for image in four[0].images}


def test_a_disturbed_network_comes_nearer_to_the_truth_of_a_calf_it_has_not_seen(
    scans: list[Path], disturbed: Path, tmp_path: Path
) -> None:
    before = true_error(disturbed, seed=9, averages=5)
    assert before > 1.1 * NOISE * np.sqrt(2 / 5)  # worse than no network
    fitted = tuned(scans, disturbed, tmp_path / "run")
    assert fitted.step == 3 * EPOCH_PAIRS // 8
    assert fitted.best.loss < fitted.start_loss and fitted.best.epoch > 0
    after = true_error(tmp_path / "run", seed=9, averages=5)
    assert after < 0.8 * before
    run = load_best(tmp_path / "run")[1]
    assert run.tuning is not None and run.tuning["held_out"] == "scans" and run.tuning["averages"] == [2, 8]
    assert [scan["averages"] for scan in run.tuning["scans"]] == [AVERAGES, AVERAGES]
    assert run.data == {"train": "a", "validation": "b", "test": "c"}
    # Nothing in the run names a file or a person.
    assert "raw" not in str(run.tuning["scans"]) and str(scans[0].name) not in str(run.plain())


def test_what_does_not_get_better_stays_as_it_was(scans: list[Path], disturbed: Path, tmp_path: Path) -> None:
    try:
        fitted = tuned(scans[:1], disturbed, tmp_path, learning_rate=1e4, warm_up=0, epochs=1, averaging=None)
        assert fitted.best.epoch == 0 and fitted.best.loss == fitted.start_loss
    except DivergedError:
        pass
    kept, start = (load_best(folder)[0].state_dict() for folder in (tmp_path, disturbed))
    assert all(torch.equal(kept[name], start[name]) for name in start)


def test_a_run_goes_on_from_its_checkpoint_but_not_with_other_scans(
    scans: list[Path], disturbed: Path, tmp_path: Path
) -> None:
    whole = tuned(scans, disturbed, tmp_path / "whole", epochs=2, schedule="constant")
    tuned(scans, disturbed, tmp_path / "parts", epochs=1, schedule="constant")
    parts = tuned(scans, disturbed, tmp_path / "parts", epochs=2, schedule="constant")
    assert parts.start_loss == whole.start_loss and parts.best.loss == whole.best.loss
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, parts.network.state_dict()[name])
    with pytest.raises(DataError, match="begun from another network or with other scans"):
        tuned(scans[:1], disturbed, tmp_path / "parts", epochs=2, schedule="constant")
    assert (tmp_path / "parts" / CHECKPOINT).is_file()


def test_the_shipped_bundle_gives_its_weights(untold: Path) -> None:
    config = load_config(shipped_configs()["noise_aware"])
    start = open_start(SHIPPED, config)
    assert start.described["bundle"] == "noise_aware" and start.described["keep"] == 0
    network = build_network(config)
    network.load_state_dict(start.weights)
    network.eval()
    given = 5 * torch.randn(1, 2, 48, 40, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        difference = network(given) - torch.jit.load(str(SHIPPED))(given)  # type: ignore[no-untyped-call]
    assert float(difference.abs().max()) < 1e-3
    assert open_start(SHIPPED).config.network == config.network
    with pytest.raises(ConfigError, match="give --config"):
        open_start(untold)
    other = config.model_copy(update={"network": config.network.model_copy(update={"levels": (40, 64, 96, 104)})})
    with pytest.raises(DataError, match="folder of its run"):
        bundle_weights(SHIPPED, other)


def test_the_verb_makes_a_run_that_can_be_exported(scans: list[Path], small_run: Path, tmp_path: Path) -> None:
    def call(*words: object) -> str:
        done = CliRunner().invoke(cli.program(), [str(word) for word in words], catch_exceptions=False)
        assert done.exit_code == 0
        return done.stdout

    start, out = tmp_path / "start", tmp_path / "site"
    call("fit", small_run, "--out", start, "--set", "fit.epochs=2")
    said = call("finetune", *scans, "--from", start, "--out", out, "--averages", 2, 8, "--minutes", 0.05)
    assert "before" in said and "seed 7" in said
    assert "| 30 | denoised |" in call("export", out, "--name", "site", "--calves", 1, "--images", 2)
    again = open_start(out / "site.pt")
    assert again.described["bundle"] == "site"
    with pytest.raises(DataError, match="TorchScript bundle alone"):
        open_start(out / "site.pt2")
    network, run = load_best(out)
    assert again.config == run.config
    exported = build_network(run.config)
    exported.load_state_dict(again.weights)
    given = 5 * torch.randn(1, 2, 32, 32)
    with torch.no_grad():
        assert torch.allclose(exported.eval()(given), network(given), atol=1e-3)


def test_bad_input_is_one_sentence(
    scans: list[Path],
    untold: Path,
    disturbed: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    once = written(tmp_path, VirtualMeasurement(seed=4, averages=1))
    copied = written(tmp_path, VirtualMeasurement(seed=5, averages=4, noise=0.0))
    text = tmp_path / "text.h5"
    text.write_text("nothing")
    empty = tmp_path / "empty.h5"
    h5py.File(empty, "w").close()
    magnitude = tmp_path / "magnitude"
    magnitude.mkdir()
    settings = "data: {source: {kind: synthetic}, cache: c.h5}\npairs: {kind: paper}\nnetwork: {filters: 2, blocks: 0}"
    paper = parse_config(settings)
    kept_run(magnitude, paper, build_network(paper))
    for files, start, more, expected in (
        ([once], disturbed, (), "holds 1 complete average; Noise2Noise needs at least 4"),
        ([copied], disturbed, (), "do not differ by noise"),
        ([tmp_path / "none.h5"], disturbed, (), "none.h5: no such file"),
        ([text], disturbed, (), "text.h5: not a readable HDF5 file"),
        ([empty], disturbed, (), "empty.h5: no ISMRMRD measurement"),
        ([scans[0], scans[0]], disturbed, (), "given twice"),
        ([scans[0]], disturbed, ("--averages", 8, 2), "the smaller one first"),
        ([scans[0]], disturbed, ("--accumulate", "counter=set"), "'accumulate' has no property 'counter'"),
        ([scans[0]], disturbed, ("--accumulate", "average_counter=loop"), "average_counter is 'loop'"),
        ([scans[0]], magnitude, (), "only complex networks"),
        ([scans[0]], tmp_path / "nowhere", (), "no such run or bundle"),
        ([scans[0]], tmp_path, (), "holds no best.pt"),
        ([scans[0]], untold, (), "give --config"),
        ([scans[0]], disturbed, ("--out", disturbed), "choose another --out"),
    ):
        words = ["nadenoise-train", "finetune", *files, "--from", start, "--out", tmp_path / "out", *more]
        monkeypatch.setattr(sys, "argv", list(map(str, words)))
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        said = capsys.readouterr()
        assert stopped.value.code == 2 and said.err.count("\n") == 1 and expected in said.err
