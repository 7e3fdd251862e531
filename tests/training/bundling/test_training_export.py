from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nadenoise_core.denoise.bundle import Bundle, find_bundle
from nadenoise_core.denoise.network import Denoiser, load_network
from nadenoise_core.errors import BundleError, OutputError
from nadenoise_core.paper import TABLE_1
from nadenoise_core.sampling import SpiralDesign
from training.bundling import export
from training.bundling.card import card
from training.bundling.export import describe_run, parity, write_bundle
from training.config import parse_config
from training.data.cache import Images, Provenance
from training.data.kspace import SpiralNoise
from training.evaluation.calves import CALF_AVERAGES, calves
from training.evaluation.evaluate import PEAK_SNRS, evaluate, regions
from training.evaluation.tables import report
from training.network.model import Model, load_bundle
from training.network.residual import ResidualDenoiser
from training.network.run import Run

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")

CONFIG = """
data:
  source: {kind: synthetic, count: 4}
  cache: cache.h5
pairs: {kind: quantitative}
network: {filters: 4}
loss: {name: mse}
"""
PROVENANCE = Provenance(
    preparation=1,
    nadenoise="0",
    configuration={},
    fingerprint="ab",
    source_sha256="cd",
    images={"train": 2, "validation": 1, "test": 1},
    subjects={"train": 2, "validation": 1, "test": 1},
    sha256={"train": "ef"},
    skipped={"it is damaged": 3},
)


def make_run(text: str = CONFIG) -> Run:
    return Run(parse_config(text), 3, 12, 1.26, 0.5, 1, {"train": "ef"})


@pytest.fixture(scope="module")
def network() -> ResidualDenoiser:
    torch.manual_seed(0)
    made = ResidualDenoiser(filters=4, blocks=2, channels=2, zero_init=False, keep=2.0)
    made.train()
    made(torch.randn(4, 2, 32, 32))
    return made.eval()


@pytest.fixture(scope="module")
def metadata() -> dict[str, Any]:
    return describe_run("tiny", "0.1", make_run(), PROVENANCE, {"test_images": 0})


@pytest.fixture(scope="module")
def both(network: ResidualDenoiser, metadata: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_bundle(network, metadata, tmp_path_factory.mktemp("models"))


@pytest.fixture(params=[0, 1], ids=["torchscript", "exported"])
def bundle(both: list[Path], request: pytest.FixtureRequest) -> Path:
    return both[request.param]


def test_both_formats_are_written(both: list[Path]) -> None:
    assert [path.name for path in both] == ["tiny.pt", "tiny.pt2"]
    assert [Bundle(path).archive for path in both] == ["torchscript", "exported"]
    assert Bundle(both[0]).metadata == Bundle(both[1]).metadata


def test_a_fresh_process_gets_the_networks_images(network: ResidualDenoiser, bundle: Path) -> None:
    assert parity(network, bundle, channels=2) < 1e-4


def test_parity_notices_another_network(bundle: Path) -> None:
    torch.manual_seed(1)
    other = ResidualDenoiser(filters=4, blocks=2, channels=2, zero_init=False).eval()
    assert parity(other, bundle, channels=2) > 1e-2


def test_a_bundle_that_differs_is_not_written(
    network: ResidualDenoiser, metadata: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "parity", lambda *_, **__: float("nan"))
    with pytest.raises(OutputError, match="differs"):
        write_bundle(network, metadata, tmp_path)
    differences = iter([0.0, 2e-3])  # one bad format keeps the other away, too
    monkeypatch.setattr(export, "parity", lambda *_, **__: next(differences))
    with pytest.raises(OutputError, match=r"tiny\.pt2: .* by 0\.002"):
        write_bundle(network, metadata, tmp_path)
    with pytest.raises(ValueError, match="no format"):
        write_bundle(network, metadata, tmp_path, [])
    assert list(tmp_path.iterdir()) == []


def test_a_network_of_the_papers_pairs_is_described_as_such() -> None:
    text = CONFIG.replace("quantitative", "paper, averages: 20")
    metadata = describe_run("paper_20", "1.0", make_run(text), PROVENANCE, {})
    assert metadata["input"] == {"channels": "magnitude", "normalisation": "range"}
    assert metadata["averages"] == [20, 20] and metadata["peak_snr"] is None


def test_the_metadata_inside_is_complete(bundle: Path, metadata: dict[str, Any]) -> None:
    with zipfile.ZipFile(bundle) as archive:
        inside = json.loads(archive.read("tiny/extra/metadata.json"))
    assert inside == json.loads(json.dumps(metadata))
    assert inside["format"] == 1 and inside["input"] == {"channels": "complex", "normalisation": "noise"}
    assert inside["matrix"] == [80, 80] and inside["averages"] == [5, 150] and inside["peak_snr"] == [2.5, 80.0]
    assert Run.from_plain(inside["training"], "bundle") == make_run()
    assert Provenance.model_validate(inside["training"]["provenance"]) == PROVENANCE
    assert {"keep", "code", "evaluation_seed"} <= set(inside["training"])
    assert {"name", "version", "description", "metrics"} <= set(inside)


_WRITE = """
import sys, torch
from pathlib import Path
from training.bundling import export
from training.bundling.export import write_bundle
from training.network.residual import ResidualDenoiser
export.parity = lambda *_, **__: 0.0  # parity has tests of its own, and takes a process each time
torch.manual_seed(5)
network = ResidualDenoiser(filters=4, blocks=1, channels=2, zero_init=False)
metadata = {"name": "tiny", "input": {"channels": "complex"}}
write_bundle(network, metadata, Path(sys.argv[1]))
"""


def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        subprocess.run([sys.executable, "-c", _WRITE, str(tmp_path / folder)], check=True, capture_output=True)
    for name in ("tiny.pt", "tiny.pt2", "SHA256SUMS"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_checksums_list_every_bundle_and_keep_the_others(
    network: ResidualDenoiser, metadata: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  other.pt\n{'1' * 64}  tiny.pt\n")
    paths = write_bundle(network, metadata, tmp_path)
    lines = (tmp_path / "SHA256SUMS").read_text().splitlines()
    made = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}" for path in paths]
    assert lines == [f"{'0' * 64}  other.pt", *made]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["SHA256SUMS", "tiny.pt", "tiny.pt2"]


def test_one_format_is_written_where_one_is_wanted(
    network: ResidualDenoiser, metadata: dict[str, Any], tmp_path: Path
) -> None:
    assert write_bundle(network, metadata, tmp_path, ["exported"]) == [tmp_path / "tiny.pt2"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["SHA256SUMS", "tiny.pt2"]


@pytest.mark.parametrize("tail", ["paper", "reference"])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_network_can_be_written_in_both_formats(
    tail: str, channels: int, metadata: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, to be quick; the channels reach parity through the metadata."""
    torch.manual_seed(2)
    made = ResidualDenoiser(filters=4, blocks=1, channels=channels, tail=tail, zero_init=False).eval()
    monkeypatch.setattr(export, "parity", lambda *_, **__: 0.0)
    magnitude = {"channels": "magnitude", "normalisation": "range"}
    given = metadata | ({"input": magnitude} if channels == 1 else {})
    image = 10 * torch.rand(3, channels, 49, 30)
    for path in write_bundle(made, given, tmp_path):
        with torch.inference_mode():
            torch.testing.assert_close(load_network(Bundle(path))(image), made(image), rtol=1e-4, atol=1e-4)


def test_the_denoiser_does_not_know_the_format(both: list[Path]) -> None:
    """The runtime, with the checksum of either file: the same images."""
    rng = np.random.default_rng(3)
    image = (rng.standard_normal((80, 80)) + 1j * rng.standard_normal((80, 80)) + 3).astype(np.complex64)
    results = []
    for path in both:
        with pytest.raises(BundleError, match="can run code"):
            find_bundle(str(path))
        found = find_bundle(str(path), hashlib.sha256(path.read_bytes()).hexdigest())
        results.append(Denoiser(found)(image, 0.5))
    assert np.abs(results[0] - image).max() > 0.1
    np.testing.assert_allclose(results[0], results[1], atol=1e-4)


def test_the_exported_file_holds_no_path_of_this_machine(both: list[Path]) -> None:
    content = both[1].read_bytes()  # not compressed
    assert b"graph_module" in content
    assert str(Path(export.__file__).parent).encode() not in content and b"site-packages" not in content


def test_loading_gives_no_warning_but_what_is_known(both: list[Path]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for path in both:
            load_network(Bundle(path))


def test_a_loaded_bundle_denoises_in_units_of_the_noise(network: ResidualDenoiser, bundle: Path) -> None:
    model, metadata = load_bundle(bundle)
    assert metadata["name"] == "tiny"
    rng = np.random.default_rng(0)
    images = (rng.standard_normal((3, 80, 80)) + 1j * rng.standard_normal((3, 80, 80))).astype(np.complex64)
    once = model.denoise(images, 1.0)
    np.testing.assert_allclose(once, Model(network).denoise(images, 1.0), atol=1e-4)
    np.testing.assert_allclose(model.denoise(5 * images, 5.0), 5 * once, atol=1e-3)
    each = model.denoise(images * np.array([1, 2, 3])[:, None, None], np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(each[2], 3 * once[2], atol=1e-3)


def test_a_magnitude_network_works_between_minimum_and_maximum() -> None:
    seen = []

    def halve(image: torch.Tensor) -> torch.Tensor:
        seen.append((tuple(image.shape), float(image.min()), float(image.max())))
        return image / 2

    images = (2 + 3j * np.arange(12, dtype=np.float32).reshape(1, 3, 4)).astype(np.complex64)
    denoised = Model(halve, "magnitude", "range").denoise(images, 1.0)
    assert seen == [((1, 1, 3, 4), 0.0, 1.0)]
    low = np.abs(images).min()
    np.testing.assert_allclose(denoised, low + (np.abs(images) - low) / 2, rtol=1e-6)


def test_unknown_input_formats_are_refused() -> None:
    with pytest.raises(ValueError, match="no such input format"):
        Model(lambda image: image, "complex", "range")


def _numbers(value: Any) -> list[float]:
    """All the numbers in nested dictionaries and lists."""
    if isinstance(value, (int, float)):
        return [value]
    items = value.values() if isinstance(value, dict) else value
    return [number for item in items for number in _numbers(item)]


def test_evaluation_of_the_identity_changes_nothing(limbs: Images, noise: SpiralNoise) -> None:
    metrics = evaluate(Model(lambda image: image), limbs.first(4), noise, range(2))
    json.dumps(metrics, allow_nan=False)
    assert [row["averages"] for row in metrics["table_1"]] == list(TABLE_1)
    for row in metrics["table_1"] + metrics["calves"]:
        assert _numbers(row["denoised"]) == pytest.approx(_numbers(row["noisy"]), rel=1e-3, abs=1e-3)
    assert [row["rmse_ratio"] for row in metrics["regions"]] == [pytest.approx(1, abs=1e-4)] * len(PEAK_SNRS)
    for row in metrics["calves"]:
        assert row["muscle_rmse_ratio"] == pytest.approx(1, abs=1e-4)
    assert len(metrics["calves"]) == len(CALF_AVERAGES)
    assert report(metrics).count("\n") > 20
    words = card(describe_run("tiny", "0.1", make_run(), PROVENANCE, metrics), {"tiny.pt": 5000, "tiny.pt2": 7100})
    assert (
        report(metrics) in words
        and "| `tiny.pt`, 5 kB or `tiny.pt2`, 7 kB |" in words
        and "3 skipped: it is damaged" in words
    )


def test_what_nobody_knows_is_left_out(limbs: Images, noise: SpiralNoise) -> None:
    """Images without a share of muscle, and a matrix too coarse for the tubes of the calves."""
    unknown = replace(limbs.first(3), muscle=None)
    row = regions(Model(lambda image: image), unknown, noise, (20.0,))[0]
    assert np.isnan(row.muscle) and row.tubes == pytest.approx(0, abs=5)
    assert calves(Model(lambda image: image), SpiralNoise(SpiralDesign(matrix=24)), range(2), (30,)) == []


def test_evaluation_finds_a_bias_that_is_there(limbs: Images, noise: SpiralNoise) -> None:
    """A network that takes a tenth away from every signal: regions see it; calibration hides it."""
    shrinking = Model(lambda image: 0.9 * image)
    row = regions(shrinking, limbs.first(12), noise, (80.0,))[0]
    assert row.tubes == pytest.approx(-10, abs=0.5) and row.muscle == pytest.approx(-10, abs=0.5)
    calf = calves(shrinking, noise, range(3), (150,))[0]
    assert calf.denoised.tubes[-1][0] - calf.noisy.tubes[-1][0] == pytest.approx(-10, abs=1)
    assert calf.denoised.muscle[0] == pytest.approx(calf.noisy.muscle[0], abs=1e-3)
