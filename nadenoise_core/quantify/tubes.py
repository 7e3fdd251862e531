"""Finding the reference tubes, and their signal.

A tube is a homogeneous disc in air beside the leg. Every place of the image is compared with a blurred disc by local
regression, `image = amplitude * disc + background`; the tubes are the places that fit well, are bright against their
surroundings, and together lie on a line against the known concentrations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter
from scipy.signal import fftconvolve

from nadenoise_core.errors import CalibrationError
from nadenoise_core.quantify.disc import blurred_disc
from nadenoise_core.quantify.rois import disc_weights, distance_from, measure

SEARCHED_DIAMETERS = tuple(np.arange(12.0, 33.0, 1.0))  # mm: 10 ml to 50 ml tubes
ROI_FRACTION = 0.7  # of the tube's radius: its centre

_LEAST_CORRELATION = 0.3
_LEAST_DETECTION = 4.0  # amplitude over its standard error
_MOST_BACKGROUND = 0.5  # of the amplitude: a tube stands in air
_MOST_CANDIDATES = 12
_LEAST_R2 = 0.95
_MOST_INTERCEPT = 0.15  # of the brightest amplitude: air is dark


@dataclass(frozen=True)
class Tube:
    """One reference tube in an image.

    Attributes:
        concentration: mmol/L, as prepared.
        centre: (x, y) in mm from the centre of the field of view.
        diameter: mm.
        signal: mean in the centre of the tube, corrected for blur and ringing of a disc of this diameter.
        std: standard deviation of the pixels in the centre.
        pixels: size of that region, in pixels.
    """

    concentration: float
    centre: tuple[float, float]
    diameter: float
    signal: float
    std: float
    pixels: float


@dataclass(frozen=True)
class _Candidate:
    centre: tuple[float, float]
    amplitude: float
    correlation: float


def measure_tube(
    image: NDArray[np.floating],
    pixel: tuple[float, float],
    concentration: float,
    centre: tuple[float, float],
    diameter: float,
    k_max: float,
) -> Tube:
    """Signal in the centre of a tube whose place is known.

    The mean over the central region is divided by what the region would read of a disc of value 1: a tube of 20 mm
    in pixels of 2.25 mm reads up to 2 % wrong by Gibbs ringing alone.

    Args:
        image: (rows, columns), real.
        pixel: (row, column) spacing, mm.
        centre: (x, y), mm from the centre of the field of view.
        diameter: mm.
        k_max: radius of the sampled k-space, cycles/mm.
    """
    matrix = (image.shape[0], image.shape[1])
    distance = distance_from(centre, matrix, pixel)
    weights = disc_weights(distance, ROI_FRACTION * diameter / 2, pixel)
    region = measure(image, weights)
    recovery = measure(blurred_disc(distance, diameter, k_max), weights).mean
    # Ringing is part of the tube's image, not of its noise: the scatter is taken about the blurred disc.
    residual = image - region.mean / recovery * blurred_disc(distance, diameter, k_max)
    return Tube(
        concentration=concentration,
        centre=centre,
        diameter=diameter,
        signal=region.mean / recovery,
        std=measure(residual, weights).std,
        pixels=region.pixels,
    )


def find_tubes(
    image: NDArray[np.floating],
    pixel: tuple[float, float],
    concentrations: Sequence[float],
    k_max: float,
    diameter: float | None = None,
) -> tuple[Tube, ...]:
    """Find the tubes by themselves, and measure them.

    Args:
        image: (rows, columns), real and in phase, so that air has mean 0.
        pixel: (row, column) spacing, mm.
        concentrations: mmol/L, of all tubes, in any order.
        k_max: radius of the sampled k-space, cycles/mm.
        diameter: of the tubes, mm; None to find it out.

    Returns:
        The tubes in the order of `concentrations`.

    Raises:
        CalibrationError: no set of discs in air whose signals lie on a line against the concentrations.
    """
    best: tuple[float, float, tuple[_Candidate, ...]] | None = None
    most = 0
    for trial in SEARCHED_DIAMETERS if diameter is None else (diameter,):
        candidates = _candidates(image, pixel, trial, k_max)
        most = max(most, len(candidates))
        chosen = _choose(candidates, concentrations)
        if chosen is not None and (best is None or chosen[0] > best[0]):
            best = (chosen[0], trial, chosen[1])
    if best is None:
        raise CalibrationError(
            f"the {len(concentrations)} reference tubes were not found: {most} discs in air, none of their "
            "combinations on a line against the concentrations; give tube_positions and tube_diameter, or a label map"
        )
    _, found_diameter, found = best
    return tuple(
        measure_tube(image, pixel, concentration, candidate.centre, found_diameter, k_max)
        for concentration, candidate in zip(concentrations, found, strict=True)
    )


def _candidates(
    image: NDArray[np.floating], pixel: tuple[float, float], diameter: float, k_max: float
) -> list[_Candidate]:
    """Places that look like a disc of this diameter in air, best first."""
    spacing = (pixel[0] * pixel[1]) ** 0.5
    reach = diameter / 2 + 2 * spacing
    half = int(np.ceil(reach / min(pixel)))
    patch = (2 * half + 1, 2 * half + 1)
    distance = distance_from((0.0, 0.0), patch, pixel)
    window = (distance <= reach).astype(np.float64)
    window /= window.sum()
    disc = blurred_disc(distance, diameter, k_max)
    disc -= (window * disc).sum()
    disc_power = float((window * disc**2).sum())

    # Local regression of the image on the disc, at every pixel at once; both kernels are symmetric.
    padded = np.pad(np.asarray(image, np.float64), half)
    mean = fftconvolve(padded, window, mode="valid")
    power = fftconvolve(padded**2, window, mode="valid") - mean**2
    amplitude = fftconvolve(padded, window * disc, mode="valid") / disc_power
    explained = np.clip(amplitude**2 * disc_power / np.maximum(power, np.finfo(float).tiny), 0, 1)
    correlation = np.sign(amplitude) * np.sqrt(explained)
    pixels = np.count_nonzero(window)
    error = np.sqrt(np.maximum(power - amplitude**2 * disc_power, 1e-12 * power.max()) / (disc_power * pixels))
    background = mean - amplitude * float((window * blurred_disc(distance, diameter, k_max)).sum())

    is_peak = correlation == maximum_filter(correlation, size=2 * int(diameter / 2 / spacing) + 1)
    good = is_peak & (correlation > _LEAST_CORRELATION) & (amplitude > _LEAST_DETECTION * error)
    good &= background < _MOST_BACKGROUND * amplitude
    places = sorted(np.argwhere(good).tolist(), key=lambda place: -correlation[tuple(place)])
    return [
        _Candidate(
            centre=_position(correlation, place, pixel),
            amplitude=float(amplitude[tuple(place)]),
            correlation=float(correlation[tuple(place)]),
        )
        for place in places[:_MOST_CANDIDATES]
    ]


def _position(score: NDArray[np.float64], place: list[int], pixel: tuple[float, float]) -> tuple[float, float]:
    """Position (x, y) in mm of a peak, by parabolas through its neighbours."""
    offsets = []
    for axis in (0, 1):
        low, high = list(place), list(place)
        low[axis] = max(place[axis] - 1, 0)
        high[axis] = min(place[axis] + 1, score.shape[axis] - 1)
        before, at, after = score[tuple(low)], score[tuple(place)], score[tuple(high)]
        bend = before - 2 * at + after
        offsets.append(float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0 else 0.0)
    row = place[0] + offsets[0] - score.shape[0] // 2
    column = place[1] + offsets[1] - score.shape[1] // 2
    return column * pixel[1], row * pixel[0]


def _choose(
    candidates: list[_Candidate], concentrations: Sequence[float]
) -> tuple[float, tuple[_Candidate, ...]] | None:
    """The combination that fits best and lies on a line through the dark of air, in the order of concentrations."""
    order = np.argsort(concentrations)
    rising = np.asarray(concentrations, np.float64)[order]
    best: tuple[float, tuple[_Candidate, ...]] | None = None
    for combination in combinations(candidates, len(rising)):
        by_amplitude = sorted(combination, key=lambda candidate: candidate.amplitude)
        amplitudes = np.array([candidate.amplitude for candidate in by_amplitude])
        slope, intercept = np.polyfit(rising, amplitudes, 1)
        scatter = np.sum((amplitudes - slope * rising - intercept) ** 2)
        r2 = 1 - scatter / max(float(np.sum((amplitudes - amplitudes.mean()) ** 2)), np.finfo(float).tiny)
        if r2 < _LEAST_R2 or abs(intercept) > _MOST_INTERCEPT * amplitudes[-1]:
            continue
        # Well-fitting discs, weighted by their signal, on a good line.
        score = float(r2 * np.sum(amplitudes * [c.correlation for c in by_amplitude]) / amplitudes.sum())
        if best is None or score > best[0]:
            placed: list[_Candidate] = [by_amplitude[0]] * len(rising)
            for rank, original in enumerate(order):
                placed[original] = by_amplitude[rank]
            best = (score, tuple(placed))
    return best
