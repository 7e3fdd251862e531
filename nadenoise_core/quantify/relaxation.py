"""What relaxation makes of the signal of tissue and of reference tubes, which do not relax alike.

A tube of 50 mmol/L and tissue of 50 mmol/L give one signal only when both are fully relaxed at every excitation and
none has decayed at the echo time. The factors here are the ratio tube to tissue: aTSC times them is that of tissue.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import BadInputError

Angle = float | NDArray[np.floating]
_SHORTEST, _LONGEST = 0.1, 200.0  # ms: times below are in seconds; water at body heat has 60, protons have more


def check_times(*times: Sequence[float]) -> None:
    """Check that T1s and T2*s can be those of sodium.

    Args:
        times: of one kind each, ms: one, or a short and a long one; 0 is none.

    Raises:
        BadInputError: they are in another unit, of another nucleus, or in another order.
    """
    for kind in times:
        for time in kind:
            if time and not _SHORTEST <= time <= _LONGEST:
                raise BadInputError(
                    f"relaxation times of sodium are {_SHORTEST:g} to {_LONGEST:g} ms, not {time:g}; give them in ms"
                )
        if list(kind) != sorted(kind):
            raise BadInputError(f"the short T2* stands before the long one, not {kind[0]:g} before {kind[1]:g}")


def steady_state(flip_angle: Angle, repetition_time: float, t1: float) -> NDArray[np.float64]:
    """Signal of the spoiled steady state, as a part of the fully relaxed magnetisation.

    `sin(a) (1 - E1) / (1 - cos(a) E1)`, E1 = exp(-TR / T1) (Ernst and Anderson, Rev Sci Instrum 37:93, 1966).

    Args:
        flip_angle: degrees, any shape.
        repetition_time: between excitations, ms; with half-pulses between two of them.
        t1: ms; 0 for a fully relaxed magnetisation, whose signal is sin(a).
    """
    angle = np.deg2rad(np.asarray(flip_angle, np.float64))
    left = np.exp(-repetition_time / t1) if t1 > 0 else 0.0
    return np.asarray(np.sin(angle) * (1 - left) / (1 - np.cos(angle) * left))


def decay(echo_time: float, t2_star: Sequence[float], shares: Sequence[float] = (1.0,)) -> float:
    """What is left of the transverse magnetisation at the echo time: `sum of share exp(-TE / T2*)`.

    Args:
        echo_time: from excitation to the centre of k-space, ms.
        t2_star: of every component, ms.
        shares: of every component, together 1.
    """
    return float(np.dot(shares, np.exp(-echo_time / np.asarray(t2_star, np.float64))))


def readout_decay(
    times: NDArray[np.floating], echo_time: float, t2_star: Sequence[float], shares: Sequence[float] = (1.0,)
) -> NDArray[np.float64]:
    """What is left at each sample of a readout of what there was at the echo time.

    Args:
        times: (samples,) from the echo time, ms.
        echo_time: from excitation to the centre of k-space, ms.
        t2_star, shares: as for `decay`.

    Returns:
        (samples,); 1 at the echo time.
    """
    components = np.exp(-np.divide.outer(echo_time + np.asarray(times, np.float64), np.asarray(t2_star, np.float64)))
    return np.asarray(components @ np.asarray(shares, np.float64) / decay(echo_time, t2_star, shares))


def saturation_factor(flip_angle: float, repetition_time: float, tissue_t1: float, tube_t1: float) -> float:
    """Steady state of a tube over that of tissue: what aTSC is to be multiplied by.

    Args:
        flip_angle: degrees, between 0 and 180.
        repetition_time: ms.
        tissue_t1, tube_t1: ms.

    Raises:
        BadInputError: a flip angle that leaves no signal.
    """
    check_flip_angle(flip_angle)
    tube, tissue = (steady_state(flip_angle, repetition_time, t1) for t1 in (tube_t1, tissue_t1))
    return float(tube / tissue)


def t2_star_factor(
    echo_time: float, tissue_t2_star: Sequence[float], tube_t2_star: Sequence[float], short_share: float
) -> float:
    """What a tube has left at the echo time over what tissue has: what aTSC is to be multiplied by.

    The decay that goes on during the readout blurs the image and is not part of it.

    Args:
        echo_time: ms.
        tissue_t2_star, tube_t2_star: of the only component, or of the short and the long one, ms.
        short_share: of the short component.
    """
    tube, tissue = (decay(echo_time, times, shares_of(times, short_share)) for times in (tube_t2_star, tissue_t2_star))
    return tube / tissue


def shares_of(components: Sequence[float], short_share: float) -> tuple[float, ...]:
    """Shares of one component, or of a short and a long one."""
    return (1.0,) if len(components) == 1 else (short_share, 1 - short_share)


def check_flip_angle(flip_angle: float) -> None:
    """Raise BadInputError unless a nominal flip angle (degrees) leaves signal."""
    if not 0 < flip_angle < 180:
        raise BadInputError(f"the flip angle is {flip_angle:g} degrees; it must lie between 0 and 180")
