"""How strongly each pixel is excited and received, and what that makes of its signal."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import BadInputError
from nadenoise_core.quantify.relaxation import check_flip_angle, steady_state

LEAST_SHARE = 0.1  # of the median; below it a map is not trusted, nor the noise that it would raise

_PLAUSIBLE_B1 = (0.3, 3.0)  # median of a map of relative flip angles


@dataclass(frozen=True, eq=False)
class SignalCorrection:
    """What stands between a signal and a concentration besides the calibration line; nothing of it is the default.

    Attributes:
        factor: by which the concentration of tissue is multiplied, for its relaxation against that of the tubes.
        tissue, tubes: (rows, columns) signal that tissue and tube solution give in a pixel, relative to where
            excitation and reception are nominal; 1 where the maps say nothing. Or (1, 1) for all pixels.
        covered: same shape; False where the maps say nothing, and the signal is left as it is.
    """

    factor: float = 1.0
    tissue: NDArray[np.float64] = field(default_factory=lambda: np.ones((1, 1)))
    tubes: NDArray[np.float64] = field(default_factory=lambda: np.ones((1, 1)))
    covered: NDArray[np.bool_] = field(default_factory=lambda: np.ones((1, 1), bool))


def with_maps(
    factor: float,
    b1: NDArray[np.floating] | None,
    receive: NDArray[np.floating] | None,
    flip_angle: float = 90.0,
    repetition_time: float = np.inf,
    t1: tuple[float, float] = (0.0, 0.0),
) -> SignalCorrection:
    """The correction by a map of the flip angle and one of the receive sensitivity.

    A map says nothing where it is NaN, 0 or below, or under 10 % of the median of what is above 0; no more does one
    of the flip angle where it leaves less than 10 % of the nominal signal.

    Args:
        factor: as in `SignalCorrection`.
        b1: (rows, columns) flip angle relative to the nominal one; None: nominal everywhere.
        receive: (rows, columns) receive sensitivity in any unit; None: the same everywhere.
        flip_angle: nominal, degrees; used with `b1`.
        repetition_time: ms; used with `b1` and `t1`.
        t1: of tissue and tubes, ms; 0: fully relaxed.

    Raises:
        BadInputError: a map without values above 0, flip angles that are not relative, or one that leaves no signal.
    """
    gains = [np.ones((1, 1)), np.ones((1, 1))]
    if b1 is not None:
        check_flip_angle(flip_angle)
        known, median = _trusted(b1, "b1_map")
        if not _PLAUSIBLE_B1[0] < median < _PLAUSIBLE_B1[1]:
            raise BadInputError(
                f"b1_map: its median is {median:.3g}; it must be relative to the nominal flip angle, so divide it by "
                "100 (per cent) or by the nominal angle (degrees)"
            )
        gains = [_transmit(np.where(known, b1, 0), flip_angle, repetition_time, t1_of) for t1_of in t1]
    if receive is not None:
        known, median = _trusted(receive, "receive_map")
        gains = [gain * np.where(known, receive, 0) / median for gain in gains]
    covered = np.all(gains, axis=0)
    tissue, tubes = (np.where(covered, gain, 1.0) for gain in gains)
    return SignalCorrection(factor, tissue, tubes, covered)


def _transmit(b1: NDArray[np.floating], flip_angle: float, repetition_time: float, t1: float) -> NDArray[np.float64]:
    """Signal at the true flip angle over that at the nominal one; 0 where it is too small."""
    nominal = steady_state(flip_angle, repetition_time, t1)
    relative = steady_state(b1 * flip_angle, repetition_time, t1) / nominal
    return np.where(relative >= LEAST_SHARE, relative, 0.0)


def _trusted(values: NDArray[np.floating], name: str) -> tuple[NDArray[np.bool_], float]:
    """Where a map says something, and the median of its values above 0."""
    positive = np.isfinite(values) & (values > 0)
    if not positive.any():
        raise BadInputError(f"{name}: holds no value above 0; check that it is the map and not its mask")
    median = float(np.median(values[positive]))
    return positive & (values >= LEAST_SHARE * median), median
