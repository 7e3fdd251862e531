"""Off-resonance by time segments: the phase that a field map makes during the readout, as a short sum of products.

    exp(2 pi i f t)  ~  sum_l  share_l(t) exp(2 pi i f t_l)

The shares are the least-squares interpolators of Sutton, Noll and Fessler (IEEE Trans Med Imaging 22:178, 2003) for
frequencies spread evenly over twice the map's range: differences of two frequencies are what the normal operator
meets, and for them, and so for the map itself, the same shares are real and serve both operators.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_FREQUENCIES = 400
_SPARE = 3
_RANK = 1e-6  # smaller singular values make shares of thousands that cancel, and single precision does not forgive


@dataclass(frozen=True, eq=False)
class Segments:
    """Time segments of one field map and one readout.

    Attributes:
        carrier: (samples,) takes out the middle of the map's frequencies.
        shares: (segments, samples) of each segment in each sample.
        phases: (segments, rows, columns) phase that brings the segment's image back.
    """

    carrier: NDArray[np.complex64]
    shares: NDArray[np.float32]
    phases: NDArray[np.complex64]


def time_segments(field_map: NDArray[np.floating], times: NDArray[np.floating]) -> Segments:
    """Time segments that follow a field map to better than 1e-4.

    Args:
        field_map: (rows, columns) in Hz; a spin at +f has the phase exp(-2 pi i f t), like that of a gradient.
        times: (samples,) s, from the moment whose phase the image has, which is the echo.
    """
    middle = (float(field_map.max()) + float(field_map.min())) / 2
    reach = float(np.abs(field_map - middle).max())
    span = float(np.ptp(times))
    count = 1 + (int(np.ceil(8 * reach * span)) + _SPARE if reach * span > 0 else 0)
    nodes = np.linspace(times.min(), times.max(), count) if count > 1 else np.array([times.mean()])
    frequencies = np.linspace(-2 * reach, 2 * reach, _FREQUENCIES)
    basis = _turns(np.multiply.outer(frequencies, nodes))
    wanted = _turns(np.multiply.outer(frequencies, times))
    shares = np.linalg.lstsq(basis, wanted, rcond=_RANK)[0].real
    return Segments(
        carrier=_turns(middle * times).astype(np.complex64),
        shares=shares.astype(np.float32),
        phases=_turns(np.multiply.outer(nodes, field_map - middle)).astype(np.complex64),
    )


def _turns(cycles: NDArray[np.floating]) -> NDArray[np.complex128]:
    return np.asarray(np.exp(2j * np.pi * cycles))
