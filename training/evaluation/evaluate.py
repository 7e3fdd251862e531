"""The figures of the model card.

Three tests, seeds fixed. Table 1: the paper's pairs at 50 to 10 averages, with Wilcoxon tests. Regions: means
of tubes and muscle in SNR units, against the noiseless image. Calves: virtual sodium scans, which training
never sees, with aTSC calibrated on the tubes of the very image it is read from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion
from skimage.metrics import structural_similarity

from nadenoise_core.paper import TABLE_1
from nadenoise_core.paper import Published as Cell
from nadenoise_core.statistics import wilcoxon_signed_rank
from training.config import PaperPairSettings, QuantitativePairSettings
from training.data.cache import Images
from training.data.kspace import SpiralNoise
from training.data.pairs import Complex, PaperPair, PaperPairs, QuantitativePairs, range_scale
from training.evaluation.calves import CALF_AVERAGES, SEED, calves, rms
from training.network.model import Model

METRICS = ("mse", "ssim", "psnr")
_PAPER_SCALES = (1e3, 1.0, 1.0)  # times which the paper gives them
PEAK_SNRS = (2.5, 5.0, 10.0, 20.0, 40.0, 80.0)
TUBE_CENTRE = 0.7  # part of a tube's radius over which it is averaged


@dataclass(frozen=True)
class Spread:
    """Median and interquartile range."""

    median: float
    iqr: float

    @classmethod
    def of(cls, values: Sequence[float] | NDArray[np.floating]) -> Spread:
        low, middle, high = np.percentile(values, (25, 50, 75))
        return cls(float(middle), float(high - low))


@dataclass(frozen=True)
class Quality:
    """Image quality after shift and scale, over a test set."""

    mse: Spread
    ssim: Spread
    psnr: Spread  # dB


@dataclass(frozen=True)
class Paired:
    """Denoised against input, image by image."""

    change: float  # median of denoised minus input
    p: float  # two-sided Wilcoxon signed-rank test with R's choices; every image counts as independent, as in the paper

    @classmethod
    def of(cls, before: NDArray[np.floating], after: NDArray[np.floating]) -> Paired:
        return cls(float(np.median(after - before)), wilcoxon_signed_rank(after, before).p)


@dataclass(frozen=True)
class PairedTests:
    """A paired test of each metric."""

    mse: Paired
    ssim: Paired
    psnr: Paired


@dataclass(frozen=True)
class Published:
    """The paper's row of Table 1."""

    noisy: Quality
    denoised: Quality

    @classmethod
    def of(cls, averages: int) -> Published:
        return cls(*map(_published, TABLE_1[averages]))


@dataclass(frozen=True)
class Table1Row:
    """Table 1 at one number of averages: quality before and after the network, and the tests of its change."""

    averages: int
    noisy: Quality
    denoised: Quality
    tests: PairedTests
    paper: Published | None  # None for a number of averages that the paper does not have


@dataclass(frozen=True)
class RegionRow:
    """Means of regions at one peak SNR: biases in percent of the true mean, with their standard error."""

    peak_snr: float
    rmse_ratio: float  # error of the noisy image over that of the denoised one
    tubes: float
    tubes_error: float
    weak_tubes: float  # tubes whose signal is below 1.5 noise standard deviations a pixel
    weak_tubes_error: float
    muscle: float
    muscle_error: float


def table_1(model: Model, images: Images, noise: SpiralNoise, averages: Sequence[int]) -> list[Table1Row]:
    """The paper's Table 1. The network sees the complex image; magnitudes are scaled as the noisy one."""
    pairs = evaluation_pairs(images, noise)
    rows = []
    for count in averages:
        drawn = [evaluation_pair(pairs, index, count) for index in range(len(images))]
        noisy = np.stack([pair.noisy for pair in drawn])
        denoised = model.denoise(noisy, np.array([pair.noise_std for pair in drawn]))
        qualities = []
        for pair, output in zip(drawn, denoised, strict=True):
            low, scale = range_scale(np.abs(pair.noisy))
            truth, *given = ((np.abs(image) - low) / scale for image in (pair.clean, pair.noisy, output))
            qualities.append([_quality(image, truth) for image in given])
        before, after = np.array(qualities).transpose(1, 2, 0)  # of the metrics, then of the images
        rows.append(
            Table1Row(
                count,
                Quality(*map(Spread.of, before)),
                Quality(*map(Spread.of, after)),
                PairedTests(*map(Paired.of, before, after)),
                Published.of(count) if count in TABLE_1 else None,
            )
        )
    return rows


def evaluation_pairs(images: Images, noise: SpiralNoise) -> PaperPairs:
    """The paper's pairs of test images."""
    return PaperPairs(images, noise, PaperPairSettings(kind="paper"), SEED)


def evaluation_pair(pairs: PaperPairs, index: int, averages: int) -> PaperPair:
    """The one pair of an image at so many averages; every model is evaluated on the same."""
    return pairs.draw(np.random.default_rng((SEED, 1, averages, index)), index, averages)


def regions(
    model: Model,
    images: Images,
    noise: SpiralNoise,
    peak_snrs: Sequence[float],
    settings: QuantitativePairSettings | None = None,
) -> list[RegionRow]:
    """Bias of the means of tubes and muscle, along the true phase, at given peak SNRs."""
    pairs = QuantitativePairs(images, noise, settings or QuantitativePairSettings(kind="quantitative"))
    rngs = [np.random.default_rng((SEED, 2, index)) for index in range(len(images))]
    scenes = [pairs.scene(rng, index) for index, rng in enumerate(rngs)]
    noises = np.stack([noise.draw(rng) for rng in rngs])
    rows = []
    for snr in peak_snrs:
        clean = snr * np.stack([scene.image for scene in scenes])
        denoised = model.denoise(clean + noises, 1.0)
        tubes: list[tuple[float, float]] = []
        weak: list[tuple[float, float]] = []
        muscle: list[tuple[float, float]] = []
        for scene, truth, output in zip(scenes, clean, denoised, strict=True):
            signal = _along_phase(truth, truth)
            change = _along_phase(output, truth) - signal
            for region in _tube_regions(scene.tubes.centres, scene.tubes.radii, truth.shape):
                level = float(signal[region].mean())
                (weak if level < 1.5 else tubes).append((float(change[region].mean()), level))
            if scene.muscle is None:
                continue
            inner = binary_erosion(scene.muscle > 0.9, iterations=2)
            if inner.sum() >= 30:
                muscle.append((float(change[inner].mean()), float(signal[inner].mean())))
        ratio = rms(noises) / rms(denoised - clean)
        rows.append(RegionRow(snr, ratio, *_relative(tubes), *_relative(weak), *_relative(muscle)))
    return rows


def evaluate(model: Model, images: Images, noise: SpiralNoise, calf_seeds: Sequence[int]) -> dict[str, Any]:
    """All three tests, as plain values for JSON."""
    results: dict[str, list[Any]] = {
        "table_1": table_1(model, images, noise, tuple(TABLE_1)),
        "regions": regions(model, images, noise, PEAK_SNRS) if model.channels == "complex" else [],
        "calves": calves(model, noise, calf_seeds, CALF_AVERAGES),
    }
    counts = {"test_images": len(images), "test_calves": len(calf_seeds), "seed": SEED}
    return counts | {name: [rounded(asdict(row)) for row in rows] for name, rows in results.items()}


def _published(cells: Sequence[Cell]) -> Quality:
    """One image of the paper's row, in our units."""
    scaled = zip(cells, _PAPER_SCALES, strict=True)
    return Quality(*(Spread(cell.middle / scale, cell.spread / scale) for cell, scale in scaled))


def _quality(image: NDArray[np.floating], truth: NDArray[np.floating]) -> tuple[float, float, float]:
    mse = float(np.mean((image - truth) ** 2))
    ssim = structural_similarity(
        image, truth, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return mse, float(ssim), -10 * float(np.log10(mse))


def _tube_regions(
    centres: NDArray[np.float64], radii: NDArray[np.float64], shape: tuple[int, ...]
) -> list[NDArray[np.bool_]]:
    rows, columns = np.indices(shape)
    rows, columns = rows - shape[0] // 2, columns - shape[1] // 2
    return [
        np.hypot(rows - row, columns - column) <= TUBE_CENTRE * radius
        for (row, column), radius in zip(centres, radii, strict=True)
    ]


def _along_phase(image: Complex, reference: Complex) -> NDArray[np.floating]:
    return (image * np.conj(reference) / np.maximum(np.abs(reference), 1e-9)).real


def _relative(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    """Mean bias over mean level, percent, and its standard error; NaN without data."""
    if len(pairs) < 2:
        return float("nan"), float("nan")
    bias, level = np.array(pairs).T
    scale = 100 / level.mean()
    return float(scale * bias.mean()), float(scale * bias.std(ddof=1) / np.sqrt(len(bias)))


def rounded(value: Any) -> Any:
    """Five significant digits, so that figures compare between machines; None for NaN, which JSON lacks."""
    if isinstance(value, float):
        return None if np.isnan(value) else float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, (list, tuple)) else value
