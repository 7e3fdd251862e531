"""What averaged k-space gives away of a scan that is not what it seems, or has lost signal."""

from __future__ import annotations

import logging
import math

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import RawDataError, TrajectoryError
from nadenoise_core.recon.averaged import AveragedKspace
from nadenoise_core.sampling.coverage import Coverage

_log = logging.getLogger("nadenoise.accumulate")
_LARGE_HALF_PULSE_PHASE = 10.0  # degrees; costs 0.4 % of the signal
_LARGE_LOSS = 0.01  # of the signal, by the phases of averages
_LIKE_HALF_PULSES = (0.8, 1.25)  # strength of one against the other
_CERTAIN = 4.0  # standard errors
_NAMED = 6  # missing readouts in a warning
_FAR_FROM_CENTRE = 2.0  # cycles/FOV
_FOLDED = 1.75  # Nyquist intervals between arms; golden angles leave 1.6
_CLOSE = 0.7  # Nyquist intervals between arms
_SHORT = 0.9  # of the way to the edge of k-space
_LEAST_DWELL_TIME = 0.1  # us
_WEAK = 0.5  # power at the centre of k-space against that of its outer half


def check_coverage(coverage: Coverage, unit_is_given: bool) -> None:
    """Check that a trajectory covers k-space, and say where it does not.

    Raises:
        TrajectoryError: the centre of k-space was not sampled, all interleaves have the trajectory of one, or its
            values are too small by a factor, as in a unit that is none of those known.
    """
    if coverage.nearest > _FAR_FROM_CENTRE:
        raise TrajectoryError(
            f"no sample is nearer to the centre of k-space than {coverage.nearest:.3g} cycles/FOV, and an image needs "
            "it; check trajectory and discarded samples of the raw data"
        )
    if coverage.twins and coverage.widest > _FOLDED:
        raise TrajectoryError(
            "interleaves have the same trajectory, and there is none elsewhere; convert the raw data with the "
            "trajectory of every interleaf, or set trajectory to 'file' or 'spiral'"
        )
    if not unit_is_given and coverage.reach < _SHORT and coverage.widest < _CLOSE:
        raise TrajectoryError(
            f"the trajectory reaches {100 * coverage.reach:.0f} % of the way to the edge of k-space, with arms at "
            f"{coverage.widest:.2g} of Nyquist's distance: as if its values were too small by a factor; correct "
            "matrix and field of view in the header, or set trajectory_unit"
        )
    if _FOLDED < coverage.widest < math.inf:
        _log.warning(
            "neighbouring interleaves are %.1f times as far apart as the field of view needs, and the image is folded; "
            "check that none is missing, and matrix and field of view in the header",
            coverage.widest,
        )
    if coverage.reach < _SHORT:
        _log.warning(
            "the trajectory reaches %.0f %% of the way to the edge of k-space, and the image is less sharp than its "
            "matrix",
            100 * coverage.reach,
        )


def check_order(kspace: NDArray[np.complexfloating], k: NDArray[np.floating]) -> None:
    """Check that samples are strongest where the trajectory has the centre of k-space.

    Args:
        kspace: (coils, interleaves, samples), averaged.
        k: (interleaves, samples, 2); its unit does not matter.

    Raises:
        TrajectoryError: they are not, as where samples were reversed and their places were not.
    """
    radius = np.linalg.norm(k[0], axis=-1)
    power = np.sum(np.abs(kspace[:, 0]) ** 2, axis=0)
    inner, outer = (power[part] for part in (radius < 0.1 * radius.max(), radius > 0.5 * radius.max()))
    if inner.size and outer.size and inner.mean() < _WEAK * outer.mean():
        raise TrajectoryError(
            "the samples are weaker where the trajectory has the centre of k-space than at its edge, so it does not "
            "belong to them; where one of both is reversed, convert the raw data anew"
        )


def warn_of_timing(dwell_time: float, samples: int, repetition_times: tuple[float, ...]) -> None:
    """Say where dwell time (us; 0: not known) and repetition times (ms) cannot be of one scan."""
    readout = 1e-3 * dwell_time * samples
    if 0 < dwell_time < _LEAST_DWELL_TIME:
        _log.warning("sample_time_us is %.3g, as if it were in another unit; convert the raw data anew", dwell_time)
    if repetition_times and readout > min(repetition_times):
        _log.warning(
            "a readout lasts %.4g ms by sample_time_us, longer than the header's TR of %g ms; one of them is wrong",
            readout, min(repetition_times),
        )  # fmt: skip


def check_half_pulses(averaged: AveragedKspace) -> None:
    """Check that what was summed are half-pulses, and say where nothing but the counter tells.

    Raises:
        RawDataError: one is but a weaker copy of the other, as with two flip angles or echoes.
    """
    ratio = averaged.half_pulse_ratio
    if math.isnan(ratio):
        return
    if _LIKE_HALF_PULSES[0] <= ratio <= _LIKE_HALF_PULSES[1]:
        _log.warning("the half-pulses are alike; if their counter counts other things, set half_pulse_counter to none")
    else:
        raise RawDataError(
            f"the second half-pulse is the first times {ratio:.2f}, so these are no half-pulses; set "
            "half_pulse_counter to none for an image of each"
        )


def warn_of_missing(missing: dict[tuple[int, int], int], level: int) -> None:
    """Say which readouts are missing; see `KspaceAverager.missing`."""
    if missing:
        named = [f"interleaf {i}, half-pulse {h}: {count}" for (i, h), count in missing.items()]
        more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
        _log.warning("%s of %d averages are missing", "; ".join(named[:_NAMED]) + more, level)


def warn_of_half_pulse_phase(averaged: AveragedKspace) -> None:
    """Say that the half-pulses differ in phase, where it is certain and costs signal."""
    certain = abs(averaged.half_pulse_phase) > _CERTAIN * averaged.half_pulse_phase_error
    if certain and abs(averaged.half_pulse_phase) > _LARGE_HALF_PULSE_PHASE:
        _log.warning(
            "the half-pulses differ by %.0f degrees, which costs signal; set correct_half_pulse_phase",
            averaged.half_pulse_phase,
        )


def warn_of_average_phase(averaged: AveragedKspace) -> None:
    """Say that the averages differ in phase, where it is certain and costs signal."""
    loss = averaged.phase_loss
    if loss.certain(_CERTAIN) and loss.excess > _LARGE_LOSS:
        _log.warning(
            "the averages differ in phase, which costs %.0f %% of the signal; set correct_average_phase",
            100 * loss.excess,
        )
