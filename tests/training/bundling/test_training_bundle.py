"""The bundle that is shipped: its checksum, its card, and that it still does what the card says."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import nadenoise_core
from nadenoise_core.denoise.bundle import CHECKSUMS
from training.data.cache import Images
from training.data.kspace import SpiralNoise
from training.evaluation import baselines
from training.evaluation.calves import calves
from training.evaluation.evaluate import regions
from training.evaluation.frontier import REPEATS, Bench, phantom_legs
from training.evaluation.methods import network
from training.evaluation.tables import report
from training.network.model import load_bundle

MODELS_FOLDER = Path(nadenoise_core.__file__).parent / "models"
BUNDLE = MODELS_FOLDER / "noise_aware.pt"

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")


def test_every_bundle_has_its_checksum_listed() -> None:
    lines = [line.split() for line in (MODELS_FOLDER / CHECKSUMS).read_text().splitlines()]
    listed = {name: checksum for checksum, name in lines}
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in MODELS_FOLDER.glob("*.pt*")}
    assert listed == found and BUNDLE.name in found
    assert BUNDLE.stat().st_size < 5_000_000


def test_the_card_gives_the_figures_of_the_bundle() -> None:
    _, metadata = load_bundle(BUNDLE)
    card = BUNDLE.with_suffix(".md").read_text()
    for table in report(metadata["metrics"]).split("\n\n"):
        assert table in card


def test_at_two_minutes_noise_falls_and_muscle_skin_and_edges_stay(noise: SpiralNoise) -> None:
    model, _ = load_bundle(BUNDLE)
    row = calves(model, noise, range(100, 106), (30,))[0]
    assert row.rmse_ratio > 3 and row.muscle_rmse_ratio > 2.3
    # As the chain gives it the image, with its surroundings.
    denoise, context = network(BUNDLE)
    bench = Bench(noise, phantom_legs(range(100, 106)), noise.matrix + 2 * context, lesions=())
    plain, denoised = (bench.row(method, 30) for method in (baselines.plain, denoise))
    assert denoised.rmse < plain.rmse / 1.9 and denoised.snr > 9
    for (bias, deviation), allowed in ((denoised.muscle, 0.3), (denoised.skin, 0.8)):
        assert abs(bias) < allowed + 2 * deviation / (6 * REPEATS) ** 0.5
    assert max(map(abs, denoised.tubes)) < 2 and abs(denoised.edge - plain.edge) < 3


def test_means_of_tubes_and_muscle_are_kept(limbs: Images, noise: SpiralNoise) -> None:
    model, _ = load_bundle(BUNDLE)
    row = regions(model, limbs, noise, (20.0,))[0]
    assert abs(row.tubes) < 2 and abs(row.muscle) < 1.5
    assert row.rmse_ratio > 2.5
