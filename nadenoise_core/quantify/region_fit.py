"""Concentrations of regions: from a label map and averaged k-space to mmol/L with their errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from nadenoise_core.quantify.amplitudes import AmplitudeFit, fit_amplitudes
from nadenoise_core.quantify.boundary import boundary_errors
from nadenoise_core.quantify.calibration import Slope, fit_calibration
from nadenoise_core.quantify.pose import PoseKind
from nadenoise_core.quantify.readings import LABEL_UNCERTAINTY, RegionMethod, RegionReading
from nadenoise_core.quantify.readouts import Readouts
from nadenoise_core.quantify.region_columns import RegionColumns
from nadenoise_core.quantify.region_values import RegionResult, TubeReading, region_table
from nadenoise_core.quantify.regions import Regions
from nadenoise_core.quantify.residual import ResidualCheck, check_residual
from nadenoise_core.quantify.threads import one_blas_thread
from nadenoise_core.quantify.tube_columns import TubeColumns, TubeDiscs

_BY_CHANCE = 1e-3  # of scatter of the tubes, and of a slope that differs from the known one

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FitSettings:
    """How regions are read.

    Attributes:
        pose: what of the labels' pose is fitted.
        label_uncertainty: mm by which a boundary may lie off.
        merge: regions that are read as one, by its name; None: the muscles of MuscleMap as "muscle".
        factor: by which tissue is multiplied for its relaxation against that of the tubes.
        tissue_decay, tube_decay: (samples,) signal that is left at every sample, 1 at the echo time; None: all.
        tube_gain: (tubes,) signal of tube solution over that of tissue where a tube stands; None: 1.
        thickness: of the slice, mm, in which tubes may lean; None: they stand upright.
        diameter_is_known: whether the diameter of the tubes is as given, else it is fitted.
        slope: of the calibration line, as other scans tell it; None: nothing is known of it.
    """

    pose: PoseKind = PoseKind.OFF
    label_uncertainty: float = LABEL_UNCERTAINTY
    merge: Mapping[str, Sequence[str]] | None = None
    factor: float = 1.0
    tissue_decay: Floats | None = None
    tube_decay: Floats | None = None
    tube_gain: Floats | None = None
    thickness: float | None = None
    diameter_is_known: bool = True
    slope: Slope | None = None


@dataclass(frozen=True, eq=False)
class _Calibrated:
    """Amplitudes on the line of the tubes."""

    slope: Slope
    concentrations: Floats  # (regions,)
    covariance: Floats
    linear: Floats  # (regions, regions + tubes): how amplitudes change concentrations
    remarks: list[str] = field(default_factory=list)


def fit_regions(
    readouts: Readouts,
    regions: Regions,
    concentrations: Sequence[float],
    tubes: TubeDiscs,
    settings: FitSettings | None = None,
) -> RegionResult:
    """Read the regions of a label map from averaged k-space.

    Args:
        readouts: of the scan.
        regions: of its slice.
        concentrations: of the tubes, mmol/L, in the order of `tubes`.
        tubes: where they were found in the image.
        settings: how; None: the defaults.

    Raises:
        CalibrationError: the tubes give no line.
        RegionError: see `fit_amplitudes`.
    """
    with one_blas_thread():
        return _fit_regions(readouts, regions, np.asarray(concentrations, np.float64), tubes, settings or FitSettings())


def _fit_regions(
    readouts: Readouts, regions: Regions, known: Floats, tubes: TubeDiscs, settings: FitSettings
) -> RegionResult:
    columns = RegionColumns(readouts, regions, settings.tissue_decay)
    discs = TubeColumns(readouts, settings.tube_gain, settings.tube_decay, settings.thickness)
    fit = fit_amplitudes(readouts, columns, discs, tubes, settings.pose, settings.diameter_is_known)
    line = calibrate(fit.amplitudes, fit.covariance, known, settings.factor, settings.slope)
    off = None
    if settings.label_uncertainty > 0:
        sensitivity = columns.sensitivity(line.linear.astype(np.float32) @ fit.estimator, fit.pose)
        amplitudes = fit.amplitudes[: len(regions.names)]
        off = boundary_errors(regions, amplitudes, sensitivity, settings.label_uncertainty)
    tilts = [discs.tilt(fit.discs, index) for index in range(len(known))]
    leaning = [f"the tubes lean by up to {max(tilts):.0f} degrees, which is fitted"] if any(tilts) else []
    noise = readouts.noise_std if fit.noise_is_known else _residual_noise(readouts, fit)
    check = check_residual(readouts, regions, columns.middle, fit.residual, noise, fit.pose, fit.discs)
    method = RegionMethod.GTM if readouts.of_image else RegionMethod.FIT
    values = region_table(regions, line.concentrations, line.covariance, off, check, settings.merge, method)
    return RegionResult(
        values=values,
        tubes=_readings(fit, known, line.slope.value),
        slope=line.slope,
        tube_diameter=fit.discs.diameter,
        pose=fit.pose,
        pose_gain=fit.gain,
        chi_squared=fit.chi_squared / fit.freedom if fit.noise_is_known else float("nan"),
        residual=check.image,
        remarks=(*regions.remarks, *leaning, *line.remarks, *_sentences(values, len(regions.names), check, fit)),
    )


def calibrate(
    amplitudes: Floats, covariance: Floats, known: Floats, factor: float, prior: Slope | None = None
) -> _Calibrated:
    """Put amplitudes on a line through zero and the tubes, by generalised least squares with all covariances.

    Args:
        amplitudes: (regions + tubes,) with their covariance.
        known: (tubes,) mmol/L.
        factor: see `FitSettings`.
        prior: what other scans say of the slope. Where the tubes of this one contradict it, it is left out.

    Raises:
        CalibrationError: the tubes give no line.
    """
    count = len(amplitudes) - len(known)
    fit_calibration(known.tolist(), amplitudes[count:].tolist(), through_zero=True)  # refuses what is no line
    information = np.linalg.inv(covariance)
    model = np.zeros((len(amplitudes), count + 1))
    model[:count, :count] = np.eye(count)
    model[count:, count] = known
    reduced = np.linalg.inv(model.T @ information @ model)
    project = reduced @ model.T @ information
    unknowns = project @ amplitudes
    left = amplitudes - model @ unknowns
    scatter, freedom = float(left @ information @ left), len(known) - 1
    remarks = []
    if chdtrc(freedom, scatter) < _BY_CHANCE:
        # Tubes that were not prepared as said, or are no discs, scatter more than noise makes them.
        reduced[count, count] *= scatter / freedom
        remarks.append(
            f"the tubes scatter about their line {(scatter / freedom) ** 0.5:.1f} times as much as noise makes them; "
            "the error of the slope is that much larger"
        )
    if prior is not None:
        away, variance = prior.value - unknowns[count], reduced[count, count] + prior.standard_error**2
        if chdtrc(1, away**2 / variance) < _BY_CHANCE:
            remarks.append(
                f"the tubes give a slope of {unknowns[count]:.4g} +- {reduced[count, count] ** 0.5:.2g}, which "
                f"contradicts the known one of {prior.value:.4g} +- {prior.standard_error:.2g}: it is not used"
            )
        else:
            # Two independent measurements of one unknown, weighted by their errors; what goes with it follows.
            gain = reduced[:, count] / variance
            unknowns = unknowns + gain * away
            project = project - np.outer(gain, project[count])
            reduced = reduced - np.outer(gain, reduced[count])
    slope = float(unknowns[count])
    concentrations = factor * unknowns[:count] / slope
    slopes = np.hstack([factor * np.eye(count), -concentrations[:, None]]) / slope
    return _Calibrated(
        slope=Slope(slope, float(reduced[count, count] ** 0.5)),
        concentrations=concentrations,
        covariance=slopes @ reduced @ slopes.T,
        linear=slopes @ project,
        remarks=remarks,
    )


def _readings(fit: AmplitudeFit, known: Floats, slope: float) -> tuple[TubeReading, ...]:
    count = len(fit.amplitudes) - len(known)
    errors = np.sqrt(np.diagonal(fit.covariance)[count:]) / slope
    return tuple(
        TubeReading(float(concentration), float(amplitude / slope), float(error), (float(centre[0]), float(centre[1])))
        for concentration, amplitude, error, centre in zip(
            known, fit.amplitudes[count:], errors, fit.discs.centres, strict=True
        )
    )


def _residual_noise(readouts: Readouts, fit: AmplitudeFit) -> Floats:
    """(interleaves,) noise as the residual shows it."""
    power = np.abs(fit.residual.reshape(readouts.kspace.shape)) ** 2
    return np.full(len(readouts.noise_std), float(np.sqrt(power.mean() / 2)))


def _sentences(values: Sequence[RegionReading], alone: int, check: ResidualCheck, fit: AmplitudeFit) -> list[str]:
    """What is to be said of the model's failures; the first `alone` of the values are of single regions."""
    remarks = [
        f"{value.name}: what the model leaves is {value.residual:.1f} times the noise (at most "
        f"{value.residual_limit:.1f} by chance): the region is inhomogeneous, has moved, or is wrongly outlined"
        for value in values[:alone]
        if not value.is_explained
    ]
    if check.outside is not None:
        x, y, strength = check.outside
        remarks.append(
            f"there is signal outside of all labels and tubes, at ({x:.0f}, {y:.0f}) mm, {strength:.0f} times the "
            "noise: outline all of the leg"
        )
    if not fit.noise_is_known:
        remarks.append("the averages do not tell the noise; it was taken from what the model leaves")
    return remarks
