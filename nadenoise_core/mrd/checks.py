"""What averaged k-space gives away of a scan that is not what it seems, or has lost signal."""

from __future__ import annotations

import logging
import math

from nadenoise_core.errors import RawDataError
from nadenoise_core.recon.averaged import AveragedKspace

_log = logging.getLogger("nadenoise.accumulate")
_LARGE_HALF_PULSE_PHASE = 10.0  # degrees; costs 0.4 % of the signal
_LARGE_LOSS = 0.01  # of the signal, by the phases of averages
_LIKE_HALF_PULSES = (0.8, 1.25)  # strength of one against the other
_CERTAIN = 4.0  # standard errors
_NAMED = 6  # missing readouts in a warning


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
