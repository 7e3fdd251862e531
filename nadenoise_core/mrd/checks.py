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
_CENTRE = (0.5, 1.0)  # cycles/FOV without a sample about the centre: told (costs the leg 2 %), refused (a quarter)
_FOLDED = 1.75  # Nyquist intervals between arms; golden angles leave 1.6
_FOLDED_EVENLY = 1.2  # the same between arms in the mean, or along them: they fold a tenth into the leg at 1.4
_CLOSE = 0.7  # Nyquist intervals between arms
_SHORT = 0.9  # of the way to the edge of k-space
_LEAST_DWELL_TIME = 0.1  # us
_WEAK = 0.5  # power at the centre of k-space against that of its outer half
_EQUALLY_FAR = 0.7  # reach of one arm against another's
_LEAST_REACH = 0.1  # of the way to the edge of k-space
_NEAR_CENTRE = 0.1  # cycles/FOV, within which the signal hardly changes
_SIGNAL = 10.0  # power at the centre of k-space against that of its outer half
_WEAKER = 0.3  # power at the centre of k-space against the strongest samples elsewhere
_UNLIKE = (0.2, 0.7)  # differences of interleaves at the centre of k-space, of the signal there: warned of, refused
_OFFSET = 0.25  # constant part of the outer samples, of their size
_LIKE_AVERAGES = (0.8, 1.25)  # strength of one against the first
_AGREEING = 0.5  # correlation of averages
_ALIKE = 0.15  # correlation of the noise of neighbouring samples, which makes it 1.14 times as strong in the image
_ROUNDED = 0.01  # of the samples that are 0 by chance, where steps are coarser than noise
_UNEVEN = 2.0  # noise power of one interleaf against the others'


def check_coverage(coverage: Coverage, unit_is_given: bool) -> None:
    """Check that a trajectory covers k-space, and say where it does not.

    Raises:
        TrajectoryError: the centre of k-space was not sampled, all interleaves have the trajectory of one, or its
            values are too small by a factor, as in a unit that is none of those known.
    """
    hole = f"no sample is nearer to the centre of k-space than {coverage.nearest:.3g} cycles/FOV"
    if coverage.nearest > _CENTRE[1]:
        raise TrajectoryError(f"{hole}, and an image needs it; check trajectory and discarded samples of the raw data")
    if coverage.nearest > _CENTRE[0]:
        _log.warning("%s, so tissue reads too low; check trajectory and discarded samples of the raw data", hole)
    if coverage.twins and coverage.widest > _FOLDED:
        raise TrajectoryError(
            "interleaves have the same trajectory, and there is none elsewhere; convert the raw data with the "
            "trajectory of every interleaf, or set trajectory to 'file' or 'spiral'"
        )
    if coverage.twins:
        _log.warning(
            "interleaves lie upon each other; where their counter counts averages, too, set interleaf_counter to "
            "trajectory"
        )
    if coverage.shortest < _EQUALLY_FAR:
        raise TrajectoryError(
            f"one interleaf reaches {100 * coverage.shortest:.0f} % as far in the plane as another, as those of cones "
            "and other acquisitions in three dimensions do; nadenoise reconstructs slices"
        )
    if coverage.reach < _LEAST_REACH:
        raise TrajectoryError(
            f"the trajectory reaches {100 * coverage.reach:.2g} % of the way to the edge of k-space; correct "
            "trajectory_unit, or matrix and field of view in the header"
        )
    if not unit_is_given and coverage.reach < _SHORT and coverage.widest < _CLOSE:
        raise TrajectoryError(
            f"the trajectory reaches {100 * coverage.reach:.0f} % of the way to the edge of k-space, with arms at "
            f"{coverage.widest:.2g} of Nyquist's distance: as if its values were too small by a factor; correct "
            "matrix and field of view in the header, or set trajectory_unit"
        )
    if _FOLDED < coverage.widest < math.inf or _FOLDED_EVENLY < coverage.apart < math.inf:
        _log.warning(
            "neighbouring interleaves are %.1f times as far apart as the field of view needs, and the image is folded; "
            "check that none is missing, and matrix and field of view in the header",
            coverage.widest,
        )
    if coverage.stride > _FOLDED_EVENLY:
        _log.warning(
            "samples lie %.2g cycles/FOV from the next along a readout, farther than the field of view needs, and the "
            "image is folded; keep all samples in the raw data, or correct the field of view in the header",
            coverage.stride,
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


def check_centre(averaged: AveragedKspace, in_field_of_view: NDArray[np.floating]) -> None:
    """Check that the interleaves agree where all of them sample the centre of k-space, and say where they do not.

    Args:
        averaged: the mean of the scan.
        in_field_of_view: (arms, samples, 2) in cycles/FOV.

    Raises:
        RawDataError: they differ by as much as the signal, as phases of the excitation make them.
    """
    radius = np.linalg.norm(in_field_of_view, axis=-1)
    nearest, edge = radius.argmin(axis=1)[:, None], float(radius.max())
    if len(radius) < 2 or float(np.take_along_axis(radius, nearest, 1).max()) > _NEAR_CENTRE:
        return
    centre = np.take_along_axis(averaged.kspace, nearest[None], axis=2)[..., 0]
    outer = averaged.kspace[:, radius > edge / 2]
    _check_strongest(averaged.kspace, radius, nearest)
    power, noise = (float((np.abs(part) ** 2).mean(axis=1).sum()) for part in (centre, outer))
    if not power > _SIGNAL * noise:
        return
    apart = float((np.abs(centre - centre.mean(axis=1, keepdims=True)) ** 2).mean(axis=1).sum())
    chance = noise * (1 + _CERTAIN / centre.size**0.5)  # the outer samples are not weaker than their noise
    unlike = (max(apart - chance, 0.0) / power) ** 0.5
    found = f"the interleaves differ by {100 * unlike:.0f} % of the signal at the centre of k-space"
    if unlike > _UNLIKE[1]:
        raise RawDataError(
            f"{found}; take the phases of the excitation (RF spoiling, phase cycling) off the samples, or correct the "
            "delay of the trajectory"
        )
    if unlike > _UNLIKE[0]:
        _log.warning("%s; some were excited or received otherwise, or moved, and the image has streaks", found)


def _check_strongest(
    kspace: NDArray[np.complexfloating], radius: NDArray[np.floating], nearest: NDArray[np.intp]
) -> None:
    """Check that no samples far from the centre of k-space are stronger than those at it, as in no object they are."""
    power = (np.abs(kspace) ** 2).sum(axis=0)
    usual = np.median(power, axis=0)  # of the arms, so that a spike in one does not matter
    strongest, far = int(usual.argmax()), np.median(radius, axis=0)
    centre = float(np.median(np.take_along_axis(power, nearest, 1)))
    outer = float(power[radius > radius.max() / 2].mean())
    if far[strongest] > _FAR_FROM_CENTRE and usual[strongest] > max(_SIGNAL * outer, centre / _WEAKER):
        raise RawDataError(
            f"the samples are strongest {far[strongest]:.3g} cycles/FOV from the centre of k-space, so they are not of "
            "their trajectory; correct the order of the samples, or the delay of the trajectory"
        )


def warn_of_offset(kspace: NDArray[np.complexfloating], k: NDArray[np.floating]) -> None:
    """Say that samples have a constant part, where there is hardly any signal.

    Args:
        kspace: (coils, arms, samples), averaged.
        k: (arms, samples, 2); its unit does not matter.
    """
    radius = np.linalg.norm(k, axis=-1)
    outer = kspace[:, radius > radius.max() / 2]
    size = np.sqrt((np.abs(outer) ** 2).mean(axis=1))
    parts = np.abs(outer.mean(axis=1))[size > 0] / size[size > 0]
    if parts.size and float(parts.max()) > max(_OFFSET, 2 * _CERTAIN / outer.shape[1] ** 0.5):
        _log.warning(
            "the samples have a constant part, %.0f %% of their size at the edge of k-space, as from a receiver with "
            "an offset: the image has a bright point in its middle, and concentrations may be wrong",
            100 * float(parts.max()),
        )


def check_zeros(kspace: NDArray[np.complexfloating]) -> None:
    """Check that no two samples are 0 in all readouts, as those that a receiver does not measure.

    Args:
        kspace: (coils, arms, samples), averaged.

    Raises:
        RawDataError: some are, which take signal from the image, or noise from its noise level.
    """
    measured = kspace.any(axis=(0, 1))
    zeros = np.flatnonzero(~measured)
    rounded = measured.any() and float((kspace[..., measured] == 0).mean()) > _ROUNDED
    if zeros.size > 1 and not rounded:  # one, which makes an even number of them, costs next to nothing
        raise RawDataError(
            f"{zeros.size} of the {kspace.shape[2]} samples are 0 in every readout, the first of them sample "
            f"{zeros[0]} (from 0), as where the receiver was off or readouts were padded; leave them out of the raw "
            "data, or mark them by discard_pre and discard_post"
        )


def check_repeats(averaged: AveragedKspace) -> None:
    """Check that the averages repeat one another, and say where they differ.

    Raises:
        RawDataError: they are of different shapes, so that their mean is of nothing.
    """
    repeats = averaged.repeats
    if repeats.agreement < _AGREEING:
        raise RawDataError(
            f"the averages do not repeat one another: they agree by {100 * repeats.agreement:.0f} %; take the phases "
            "of the excitation (RF spoiling) off the samples; if their counter counts other things, set average_counter"
        )
    if repeats.uneven > _UNEVEN:
        _log.warning(
            "the averages of interleaf %d scatter %.2g times as much as those of the others, as with a spike; the "
            "image may have stripes, and its noise is told too high",
            repeats.uneven_interleaf, repeats.uneven,
        )  # fmt: skip
    elif not _LIKE_AVERAGES[0] <= repeats.strength <= _LIKE_AVERAGES[1]:
        _log.warning(
            "average %d (counted from 0) is much %s than the first, as where gain, coil or excitation change during "
            "the scan; the noise is told too high",
            repeats.strangest, "stronger" if repeats.strength > 1 else "weaker",
        )  # fmt: skip
    elif repeats.noise_correlation > _ALIKE:
        _log.warning(
            "the noise of neighbouring samples is correlated by %.0f %%, as where the receiver's filter is narrower "
            "than its sampling rate: noise and standard errors are told about %.2g times too low",
            100 * repeats.noise_correlation, (1 + 2 * repeats.noise_correlation) ** 0.5,
        )  # fmt: skip


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
    loss = averaged.repeats.phase_loss
    if loss.certain(_CERTAIN) and loss.excess > _LARGE_LOSS:
        _log.warning(
            "the averages differ in phase, which costs %.0f %% of the signal; set correct_average_phase",
            100 * loss.excess,
        )
