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
from scipy.stats import wilcoxon
from skimage.metrics import structural_similarity

from nadenoise_core.phantom import Calf, Label, kspace, labels, random_calf
from training.cache import Images
from training.config import PaperPairSettings, QuantitativePairSettings
from training.kspace import SpiralNoise
from training.model import Model
from training.pairs import Complex, PaperPair, PaperPairs, QuantitativePairs, range_scale, smooth_phase

# Medians of Table 1, Baker et al.: averages to MSE, SSIM and PSNR of the input, then of the denoised image.
PAPER_TABLE_1 = {
    50: ((1.3e-3, 0.77, 29.0), (0.4e-3, 0.92, 33.7)),
    40: ((1.6e-3, 0.73, 28.0), (0.5e-3, 0.91, 33.1)),
    30: ((2.1e-3, 0.68, 26.9), (0.6e-3, 0.90, 32.6)),
    20: ((3.0e-3, 0.61, 25.2), (0.7e-3, 0.88, 31.6)),
    10: ((5.7e-3, 0.48, 22.5), (0.9e-3, 0.84, 30.3)),
}
# The interquartile ranges, likewise.
PAPER_TABLE_1_IQR = {
    50: ((0.1e-3, 0.05, 0.5), (0.1e-3, 0.03, 1.0)),
    40: ((0.2e-3, 0.05, 0.5), (0.1e-3, 0.03, 1.0)),
    30: ((0.2e-3, 0.06, 0.5), (0.1e-3, 0.03, 0.9)),
    20: ((0.4e-3, 0.06, 0.6), (0.2e-3, 0.04, 1.0)),
    10: ((0.7e-3, 0.07, 0.6), (0.2e-3, 0.05, 1.1)),
}
METRICS = ("mse", "ssim", "psnr")
SMALLEST_P = 1e-6  # what is smaller is written as smaller than this
PEAK_SNRS = (2.5, 5.0, 10.0, 20.0, 40.0, 80.0)
CALF_AVERAGES = (10, 20, 30, 50, 150)
CALF_REPEATS = 5  # scans of every calf
CALF_NOISE = 58.0  # mmol/L, of the real part of the image of one average
TUBE_CENTRE = 0.7  # part of a tube's radius over which it is averaged
SEED = 11


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
    p: float  # two-sided Wilcoxon signed-rank test; every image counts as independent, as in the paper

    @classmethod
    def of(cls, before: NDArray[np.floating], after: NDArray[np.floating]) -> Paired:
        change = after - before
        # Without a difference there are no ranks.
        p = float(wilcoxon(change).pvalue) if np.any(change) else 1.0
        return cls(float(np.median(change)), p)


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
        rows = zip(PAPER_TABLE_1[averages], PAPER_TABLE_1_IQR[averages], strict=True)
        return cls(*(Quality(*map(Spread, medians, ranges)) for medians, ranges in rows))


@dataclass(frozen=True)
class Table1Row:
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


@dataclass(frozen=True)
class Bias:
    """Bias and standard deviation over scans against the noiseless image, mmol/L."""

    muscle: tuple[float, float]  # aTSC, calibrated on the tubes of the same image
    skin: tuple[float, float]  # likewise
    tubes: tuple[tuple[float, float], ...]  # means before calibration, by increasing concentration


@dataclass(frozen=True)
class CalfRow:
    """Virtual calves at one number of averages."""

    averages: int
    noisy: Bias
    denoised: Bias
    rmse_ratio: float  # error of the noisy image over that of the denoised one
    muscle_rmse_ratio: float  # the same over the pixels of muscle


@dataclass(frozen=True)
class Places:
    """Where a calf is measured: (rows, columns) masks, and the concentrations of its tubes in mmol/L."""

    muscle: NDArray[np.bool_]
    skin: NDArray[np.bool_]
    tubes: tuple[NDArray[np.bool_], ...]
    concentrations: tuple[float, ...]

    @classmethod
    def of(cls, calf: Calf, matrix: int) -> Places:
        """Muscle and tubes a pixel from their edges; skin, which is thinner, by the centres of pixels."""
        inner = labels(calf, matrix, calf.field_of_view, calf.field_of_view / matrix)
        tubes = tuple(inner == Label.TUBE_1 + number for number in range(len(calf.tubes)))
        skin = labels(calf, matrix, calf.field_of_view, None) == Label.SKIN
        return cls(inner == Label.MUSCLE, skin, tubes, tuple(tube.concentration for tube in calf.tubes))


@dataclass(frozen=True)
class Readings:
    """What magnitude images say, mmol/L: calibrated muscle and skin (images,), tube means (images, tubes)."""

    muscle: NDArray[np.float64]
    skin: NDArray[np.float64]
    tubes: NDArray[np.float64]

    @classmethod
    def of(cls, images: Complex, places: Sequence[Places]) -> Readings:
        tubes, muscle, skin = [], [], []
        for image, place in zip(np.abs(images), places, strict=True):
            means = [float(image[tube].mean()) for tube in place.tubes]
            slope, intercept = np.polyfit(means, place.concentrations, 1)
            tubes.append(means)
            muscle.append(slope * float(image[place.muscle].mean()) + intercept)
            skin.append(slope * float(image[place.skin].mean()) + intercept)
        return cls(np.array(muscle), np.array(skin), np.array(tubes))

    def against(self, truth: Readings, subject: NDArray[np.integer]) -> Bias:
        """Bias of these scans; `subject` is each scan's index into the truth."""
        tubes = self.tubes - truth.tubes[subject]
        return Bias(
            _mean_and_deviation(self.muscle - truth.muscle[subject]),
            _mean_and_deviation(self.skin - truth.skin[subject]),
            tuple(_mean_and_deviation(column) for column in tubes.T),
        )


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
                Published.of(count) if count in PAPER_TABLE_1 else None,
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
        ratio = _rms(noises) / _rms(denoised - clean)
        rows.append(RegionRow(snr, ratio, *_relative(tubes), *_relative(weak), *_relative(muscle)))
    return rows


def calves(model: Model, noise: SpiralNoise, seeds: Sequence[int], averages: Sequence[int]) -> list[CalfRow]:
    """aTSC in virtual calves, each scanned several times, against the noiseless reconstruction.

    Empty where a pixel is so large that a tube or the skin holds none.
    """
    pixel = noise.pixel
    subjects = [random_calf(seed) for seed in seeds]
    clean = np.stack(
        [
            noise.image(kspace(calf, noise.trajectory / pixel, pixel).ravel())
            * smooth_phase(np.random.default_rng((SEED, 3, seed)), noise.matrix)
            for calf, seed in zip(subjects, seeds, strict=True)
        ]
    )
    places = [Places.of(calf, noise.matrix) for calf in subjects]
    if not all(mask.any() for place in places for mask in (place.muscle, place.skin, *place.tubes)):
        return []  # pixels too large for the tubes
    truth = Readings.of(clean, places)
    scans = [(number, repeat) for number in range(len(subjects)) for repeat in range(CALF_REPEATS)]
    subject = np.array(scans)[:, 0]
    scanned = [places[number] for number in subject]
    inside = np.stack([place.muscle for place in scanned])
    rows = []
    for count in averages:
        std = CALF_NOISE / np.sqrt(count)
        generators = [np.random.default_rng((SEED, 4, count, seeds[number], repeat)) for number, repeat in scans]
        noisy = clean[subject] + np.float32(std) * np.stack([noise.draw(generator) for generator in generators])
        denoised = model.denoise(noisy, std)
        before, after = noisy - clean[subject], denoised - clean[subject]
        rows.append(
            CalfRow(
                count,
                Readings.of(noisy, scanned).against(truth, subject),
                Readings.of(denoised, scanned).against(truth, subject),
                _rms(before) / _rms(after),
                _rms(before[inside]) / _rms(after[inside]),
            )
        )
    return rows


def evaluate(model: Model, images: Images, noise: SpiralNoise, calf_seeds: Sequence[int]) -> dict[str, Any]:
    """All three tests, as plain values for JSON."""
    results: dict[str, list[Any]] = {
        "table_1": table_1(model, images, noise, tuple(PAPER_TABLE_1)),
        "regions": regions(model, images, noise, PEAK_SNRS) if model.channels == "complex" else [],
        "calves": calves(model, noise, calf_seeds, CALF_AVERAGES),
    }
    counts = {"test_images": len(images), "test_calves": len(calf_seeds), "seed": SEED}
    return counts | {name: [_rounded(asdict(row)) for row in rows] for name, rows in results.items()}


def report(metrics: dict[str, Any]) -> str:
    """The figures as Markdown tables."""
    lines = _table_1_lines(metrics["table_1"])
    if metrics["regions"]:
        lines += [
            "",
            "| peak SNR | error falls by | tubes % | weak tubes % | muscle % |",
            "|---|---|---|---|---|",
        ]
    for row in metrics["regions"]:
        cells = " | ".join(_percent(row[key], row[f"{key}_error"]) for key in ("tubes", "weak_tubes", "muscle"))
        lines.append(f"| {row['peak_snr']:g} | {row['rmse_ratio']:.1f} x | {cells} |")
    if metrics["calves"]:
        lines += [
            "",
            "| averages | image | muscle aTSC | skin aTSC | tubes 10, 25, 50, 75, 100 | falls by | in muscle |",
            "|---|---|---|---|---|---|---|",
        ]
    for row in metrics["calves"]:
        for name in ("noisy", "denoised"):
            muscle, skin = (f"{row[name][key][0]:+.2f} ({row[name][key][1]:.2f})" for key in ("muscle", "skin"))
            tubes = ", ".join(f"{bias:+.2f}" for bias, _ in row[name]["tubes"])
            ratios = f"{row['rmse_ratio']:.1f} x | {row['muscle_rmse_ratio']:.1f} x" if name == "denoised" else "|"
            lines.append(f"| {row['averages']} | {name} | {muscle} | {skin} | {tubes} | {ratios} |")
    return "\n".join(lines)


def _table_1_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Ours beside the paper's, then the tests.

    Metrics without the paper's ranges and without tests are given the paper's medians alone.
    """
    lines = [
        "| averages | image | MSE x1e-3 | SSIM | PSNR dB | paper: MSE, SSIM, PSNR |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        for name, medians in zip(("noisy", "denoised"), PAPER_TABLE_1[row["averages"]], strict=True):
            mse, ssim, psnr = (row[name][key] for key in METRICS)
            paper = [f"{1e3 * medians[0]:.1f}", f"{medians[1]:.2f}", f"{medians[2]:.1f}"]
            if row.get("paper"):
                said = row["paper"][name]
                ranges = f"{1e3 * said['mse']['iqr']:.1f}", f"{said['ssim']['iqr']:.2f}", f"{said['psnr']['iqr']:.1f}"
                paper = [f"{median} ({iqr})" for median, iqr in zip(paper, ranges, strict=True)]
            lines.append(
                f"| {row['averages']} | {name} | {1e3 * mse['median']:.2f} ({1e3 * mse['iqr']:.2f}) "
                f"| {ssim['median']:.3f} ({ssim['iqr']:.3f}) | {psnr['median']:.1f} ({psnr['iqr']:.1f}) "
                f"| {', '.join(paper)} |"
            )
    tested = [row for row in rows if row.get("tests")]
    if tested:
        heads = " | ".join(f"{metric} | p" for metric in ("change of MSE x1e-3", "change of SSIM", "change of PSNR dB"))
        lines += ["", f"| averages | {heads} |", "|---|---|---|---|---|---|---|"]
    for row in tested:
        mse, ssim, psnr = (row["tests"][key] for key in METRICS)
        changes = f"{1e3 * mse['change']:+.2f}", f"{ssim['change']:+.3f}", f"{psnr['change']:+.1f}"
        cells = (f"{change} | {_p_value(test['p'])}" for change, test in zip(changes, (mse, ssim, psnr), strict=True))
        lines.append(f"| {row['averages']} | {' | '.join(cells)} |")
    return lines


def _p_value(p: float) -> str:
    return f"< {SMALLEST_P:.0e}" if p < SMALLEST_P else f"{p:.2g}"


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


def _mean_and_deviation(differences: NDArray[np.float64]) -> tuple[float, float]:
    return float(differences.mean()), float(differences.std(ddof=1))


def _rms(values: NDArray[Any]) -> float:
    return float(np.sqrt(np.mean(np.abs(values) ** 2)))


def _percent(value: float | None, error: float | None) -> str:
    return "" if value is None or error is None else f"{value:+.1f} ± {error:.1f}"


def _rounded(value: Any) -> Any:
    """Five significant digits, so that figures compare between machines; None for NaN, which JSON lacks."""
    if isinstance(value, float):
        return None if np.isnan(value) else float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, (list, tuple)) else value
