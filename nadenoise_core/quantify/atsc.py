"""Apparent tissue sodium concentration: the whole step from an image to a calibrated map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from nadenoise_core.errors import CalibrationError
from nadenoise_core.quantify.calibration import Calibration, fit_calibration
from nadenoise_core.quantify.phase import in_phase
from nadenoise_core.quantify.readings import Tube
from nadenoise_core.quantify.rois import distance_from, pixel_positions
from nadenoise_core.quantify.sensitivity import SignalCorrection
from nadenoise_core.quantify.tube_signal import ROI_FRACTION, measure_tube
from nadenoise_core.quantify.tubes import find_tubes

_OBJECT_SMOOTHING = 4.0  # mm


@dataclass(frozen=True)
class TubeSetup:
    """What is known of the reference tubes.

    Attributes:
        concentrations: mmol/L.
        diameter: mm; None to find it out.
        centres: (x, y) in mm from the centre of the field of view, in the order of `concentrations`; None to search.
        labels: (rows, columns) label map, label n the tube of the n-th concentration; None to search.
    """

    concentrations: tuple[float, ...]
    diameter: float | None = None
    centres: tuple[tuple[float, float], ...] | None = None
    labels: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class ConcentrationMap:
    """A calibrated image.

    Attributes:
        values: (rows, columns) aTSC, mmol/L.
        standard_error: (rows, columns) of one pixel, mmol/L: noise and calibration.
        noise_std: of the signal of one pixel, in the image's unit.
        uncovered: share of the object, which is what reads at least the weakest tube, that the correction's maps
            say nothing of.
        uncovered_tubes: concentrations of the tubes that they say nothing of, or not all.
    """

    values: NDArray[np.float32]
    standard_error: NDArray[np.float32]
    calibration: Calibration
    tubes: tuple[Tube, ...]
    noise_std: float
    uncovered: float
    uncovered_tubes: tuple[float, ...]

    @property
    def typical_error(self) -> float:
        """Median standard error of a pixel, mmol/L, where there is at least the signal of the weakest tube."""
        bright = self.values >= _weakest(self.tubes)
        return float(np.median(self.standard_error[bright])) if bright.any() else float("nan")


def concentration_map(
    image: NDArray[np.generic],
    pixel: tuple[float, float],
    setup: TubeSetup,
    k_max: float | None = None,
    noise_std: float | None = None,
    through_zero: bool = False,
    correction: SignalCorrection | None = None,
) -> ConcentrationMap:
    """Calibrate an image by its own reference tubes and turn it into concentrations (paper, section 2.6).

    Args:
        image: (rows, columns), complex or real.
        pixel: (row, column) spacing, mm.
        setup: the tubes.
        k_max: radius of the sampled k-space, cycles/mm; None for the edge of the matrix.
        noise_std: of the real part of a pixel; None takes the scatter inside the tubes, as after a network.
        through_zero: calibrate without intercept; a real image (a magnitude) is always calibrated with one, for its
            air is not 0.
        correction: for relaxation, excitation and reception; None for none. It is right for tissue: the tubes of the
            map then read what tissue of their signal would have.

    Raises:
        CalibrationError: the tubes are not found or give no calibration line.
    """
    correction = correction or SignalCorrection()
    signal = in_phase(image, pixel)
    tubes = locate_tubes(signal / correction.tubes, pixel, setup, k_max or 0.5 / max(pixel))
    calibration = fit_calibration(
        [tube.concentration for tube in tubes],
        [tube.signal for tube in tubes],
        through_zero=through_zero and np.iscomplexobj(image),
    )
    if noise_std is None:
        noise_std = float(np.sqrt(np.mean([tube.std**2 for tube in tubes])))
    values = calibration.concentration(signal / correction.tissue)
    standard_error = calibration.standard_error(values, noise_std / correction.tissue)
    uncovered, uncovered_tubes = _uncovered(values, pixel, tubes, correction.covered)
    return ConcentrationMap(
        values=(correction.factor * values).astype(np.float32),
        standard_error=(correction.factor * standard_error).astype(np.float32),
        calibration=calibration,
        tubes=tubes,
        noise_std=noise_std,
        uncovered=uncovered,
        uncovered_tubes=uncovered_tubes,
    )


def concentrations_again(
    images: NDArray[np.generic],
    pixel: tuple[float, float],
    like: ConcentrationMap,
    k_max: float | None = None,
    through_zero: bool = False,
    correction: SignalCorrection | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Calibrate replicas of an image, each by its own tubes, where the image has them.

    Args:
        images: (replicas, rows, columns).
        like: of the image itself.
        pixel, k_max, through_zero, correction: as for the image.

    Returns:
        aTSC (replicas, rows, columns), and what the tubes read (replicas, tubes), mmol/L.

    Raises:
        CalibrationError: the tubes of a replica give no calibration line.
    """
    correction = correction or SignalCorrection()
    maps, readings = [], []
    for image in images:
        signal = in_phase(image, pixel)
        tubes = [
            measure_tube(
                signal / correction.tubes,
                pixel,
                tube.concentration,
                tube.centre,
                tube.diameter,
                k_max or 0.5 / max(pixel),
            )
            for tube in like.tubes
        ]
        line = fit_calibration(
            [tube.concentration for tube in tubes],
            [tube.signal for tube in tubes],
            through_zero=through_zero and np.iscomplexobj(image),
        )
        maps.append(correction.factor * line.concentration(signal / correction.tissue))
        readings.append(line.concentration(np.array([tube.signal for tube in tubes])))
    return np.array(maps), np.array(readings)


def found_in(
    image: NDArray[np.generic], pixel: tuple[float, float], setup: TubeSetup, k_max: float | None
) -> TubeSetup:
    """A setup with the tubes where they are in this image, for another image of the same scan; else itself.

    A complex image shows weak tubes that are hidden in a magnitude by the floor that noise makes there.
    """
    if setup.labels is not None or setup.centres is not None:
        return setup
    try:
        tubes = locate_tubes(in_phase(image, pixel), pixel, setup, k_max or 0.5 / max(pixel))
    except CalibrationError:
        return setup
    return TubeSetup(
        concentrations=tuple(tube.concentration for tube in tubes),
        diameter=float(np.median([tube.diameter for tube in tubes])),
        centres=tuple(tube.centre for tube in tubes),
    )


def locate_tubes(
    signal: NDArray[np.float64], pixel: tuple[float, float], setup: TubeSetup, k_max: float
) -> tuple[Tube, ...]:
    """The tubes where the setup says they are, or where they are found.

    Raises:
        CalibrationError: not found, outside the image, or a label that is missing from the label map.
    """
    if setup.labels is not None:
        places = [_centre_and_diameter(setup.labels == n + 1, pixel, n + 1) for n in range(len(setup.concentrations))]
    elif setup.centres is not None:
        if setup.diameter is None:
            raise CalibrationError("tube positions are given without tube_diameter; give both")
        places = [(centre, setup.diameter) for centre in setup.centres]
    else:
        return find_tubes(signal, pixel, setup.concentrations, k_max, setup.diameter)
    half = signal.shape[1] / 2 * pixel[1], signal.shape[0] / 2 * pixel[0]
    for (x, y), _ in places:
        if abs(x) > half[0] or abs(y) > half[1]:
            raise CalibrationError(f"a tube at ({x:.0f}, {y:.0f}) mm lies outside the field of view")
    return tuple(
        measure_tube(signal, pixel, concentration, centre, diameter, k_max)
        for concentration, (centre, diameter) in zip(setup.concentrations, places, strict=True)
    )


def _uncovered(
    values: NDArray[np.float64], pixel: tuple[float, float], tubes: Sequence[Tube], covered: NDArray[np.bool_]
) -> tuple[float, tuple[float, ...]]:
    """Share of the object that lies outside of `covered`, and concentrations of the tubes that do."""
    if covered.all():
        return 0.0, ()
    # Smoothed, or the noise of air would be part of the object; of a perfect mask 5 % of it then lie outside.
    smooth = gaussian_filter(values, [_OBJECT_SMOOTHING / spacing for spacing in pixel])
    bright = smooth >= _weakest(tubes)
    matrix = (values.shape[0], values.shape[1])
    regions = [distance_from(tube.centre, matrix, pixel) <= ROI_FRACTION * tube.diameter / 2 for tube in tubes]
    outside = [tube.concentration for tube, region in zip(tubes, regions, strict=True) if not covered[region].all()]
    return float(np.mean(~covered[bright])) if bright.any() else 0.0, tuple(outside)


def _weakest(tubes: Sequence[Tube]) -> float:
    """Concentration of the weakest tube that has any, mmol/L."""
    return min(tube.concentration for tube in tubes if tube.concentration > 0)


def _centre_and_diameter(
    mask: NDArray[np.bool_], pixel: tuple[float, float], label: int
) -> tuple[tuple[float, float], float]:
    if not mask.any():
        raise CalibrationError(f"the label map has no label {label}; label the tubes 1, 2, ... in the order given")
    x, y = pixel_positions((mask.shape[0], mask.shape[1]), pixel)
    area = float(mask.sum()) * pixel[0] * pixel[1]
    return (float(x[mask].mean()), float(y[mask].mean())), 2 * (area / np.pi) ** 0.5
