"""Where the samples really lie: gradients come late, and are not what was asked for.

Both corrections are linear and time-invariant. A delay shifts the trajectory in time; a gradient impulse response
function (GIRF) filters the gradient of each physical axis (Vannesjo et al., Magn Reson Med 69:583, 2013;
Campbell-Washburn et al., Magn Reson Med 75:2278, 2016). Density weights are to be computed from the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import BadInputError, TrajectoryError
from nadenoise_core.sampling.trajectory import BEYOND_EDGE

RESPONSE_COLUMNS = ("frequency_Hz", "x_re", "x_im", "y_re", "y_im", "z_re", "z_im")

_LEAST_BAND = 1000.0  # Hz; a file that ends before it is in kHz, or too short for a spiral
_LARGEST_OFF_AT_REST = 0.2  # from 1, at the lowest frequency
_LONGEST_RESPONSE = 0.25  # s
_RAMP = 32  # samples in which the gradients fall to 0 after the readout
_PERPENDICULAR = 1e-3

# Patient axes (L, P, S) along the scanner's x, y, z in every position that DICOM names. A response is the same for
# both polarities of a gradient, so only which axis it is matters, not its sign.
_UPRIGHT = np.eye(3)
_ON_THE_SIDE = np.eye(3)[[1, 0, 2]]
_SCANNER_AXES = {
    **dict.fromkeys(("HFS", "HFP", "FFS", "FFP"), _UPRIGHT),
    **dict.fromkeys(("HFDR", "HFDL", "FFDR", "FFDL"), _ON_THE_SIDE),
}


@dataclass(frozen=True, eq=False)
class GradientResponse:
    """Frequency response of the three physical gradient axes to what is asked of them.

    Attributes:
        frequency: (n,) in Hz, from 0 or above, rising. Between them the response is a cubic spline, beyond the last
            it stays as it is there; below 0 Hz it is the complex conjugate, because gradients are real. An eddy
            current of a time constant tau needs them 1 / (10 tau) apart.
        response: (3, n) complex, of x, y, z; an ideal system has 1, a delay of t seconds exp(-2 pi i f t).

    Raises:
        BadInputError: not two frequencies that rise to 1 kHz or more, values that are not finite, or a response at
            the lowest frequency that is not about 1.
    """

    frequency: NDArray[np.float64]
    response: NDArray[np.complex128]

    def __post_init__(self) -> None:
        if self.frequency.ndim != 1 or self.frequency.size < 2 or self.response.shape != (3, self.frequency.size):
            raise BadInputError("gradient response: it needs two or more frequencies, each with a response of x, y, z")
        if not (np.isfinite(self.frequency).all() and np.isfinite(self.response).all()):
            raise BadInputError("gradient response: holds NaN or infinite values")
        if self.frequency[0] < 0 or not np.all(np.diff(self.frequency) > 0) or self.frequency[-1] < _LEAST_BAND:
            raise BadInputError(
                f"gradient response: frequencies run from {self.frequency[0]:g} to {self.frequency[-1]:g}; they must "
                f"rise, in Hz, to {_LEAST_BAND:g} or more"
            )
        for axis, value in zip("xyz", self.response[:, 0], strict=True):
            if abs(value - 1) > _LARGEST_OFF_AT_REST:
                raise BadInputError(
                    f"gradient response: {axis} is {value:.3g} at {self.frequency[0]:g} Hz; it must be about 1 there, "
                    "so divide it by the response to a constant gradient"
                )

    @property
    def duration(self) -> float:
        """How long an impulse may be felt, s: what the spacing of the frequencies resolves."""
        return float(min(1 / np.diff(self.frequency).min(), _LONGEST_RESPONSE))

    def at(self, frequency: NDArray[np.floating]) -> NDArray[np.complex128]:
        """The response at frequencies of 0 Hz or above, (3, frequencies)."""
        return np.asarray(self._curve(np.minimum(frequency, self.frequency[-1])))

    @cached_property
    def _curve(self) -> Callable[[NDArray[np.floating]], NDArray[np.complex128]]:
        """Through both sides, so that it is smooth at 0 Hz, where eddy currents of long duration show."""
        from scipy.interpolate import CubicSpline

        below = slice(None, 0 if self.frequency[0] == 0 else None, -1)
        frequency = np.concatenate([-self.frequency[below], self.frequency])
        both = np.concatenate([self.response[:, below].conj(), self.response], axis=1)
        curve: Callable[[NDArray[np.floating]], NDArray[np.complex128]] = CubicSpline(frequency, both, axis=1)
        return curve


@dataclass(frozen=True, eq=False)
class GradientCorrection:
    """What is known of the gradients: nothing of it is the default.

    Attributes:
        delay: us by which the gradients lag behind the samples.
        response: of the physical axes; applied before the delay.
        patient_position: how the patient lies (DICOM, "HFS"), which ties patient and physical axes.

    Raises:
        BadInputError: a response without one of the eight patient positions that DICOM names.
    """

    delay: float = 0.0
    response: GradientResponse | None = None
    patient_position: str = ""

    def __post_init__(self) -> None:
        if self.response is not None and self.patient_position not in _SCANNER_AXES:
            raise BadInputError(
                f"the header's patientPosition is '{self.patient_position}', and a gradient response needs one of "
                f"{', '.join(_SCANNER_AXES)} to tell the physical axes; convert the raw data with it, or leave girf out"
            )

    def apply(
        self,
        k: NDArray[np.floating],
        dwell_time: float,
        pixel: tuple[float, float],
        read_dir: Sequence[float],
        phase_dir: Sequence[float],
    ) -> NDArray[np.float32]:
        """Where the samples of a nominal trajectory really lie.

        Args:
            k: (..., samples, 2) in cycles/pixel, columns (read, phase).
            dwell_time: us.
            pixel: (row, column) spacing, mm.
            read_dir, phase_dir: in the patient, LPS; used with a response alone.

        Raises:
            TrajectoryError: no dwell time, directions that are not at right angles, or a result beyond the matrix.
        """
        if self.delay == 0 and self.response is None:
            return np.asarray(k, np.float32)
        if not 0 < dwell_time < np.inf:
            raise TrajectoryError(
                f"sample_time_us is {dwell_time:g}, and trajectory_delay and girf need it; convert the raw data anew"
            )
        moved = np.asarray(k, np.float64)
        if self.response is not None:
            axes = physical_axes(read_dir, phase_dir, self.patient_position)
            scale = np.asarray(pixel[::-1])
            moved = filtered(moved / scale, dwell_time, self.response, axes) * scale
        if self.delay != 0:
            moved = delayed(moved, dwell_time, self.delay)
        furthest = float(np.abs(moved).max())
        if furthest > 0.5 * BEYOND_EDGE:
            raise TrajectoryError(
                f"with trajectory_delay and girf the trajectory reaches {furthest:.3f} cycles/pixel, beyond the 0.5 of "
                "the matrix; correct them"
            )
        return moved.astype(np.float32)


def delayed(k: NDArray[np.floating], dwell_time: float, delay: float) -> NDArray[np.float64]:
    """The trajectory of gradients that come late: what is given for time t was reached at t + delay.

    A cubic spline through the samples. Before the first sample the gradients are followed back to their standstill,
    and behind the last they change on as they did.

    Args:
        k: (..., samples, 2), any unit.
        dwell_time: us between samples.
        delay: us; the result is k(t - delay).

    Raises:
        TrajectoryError: fewer than three samples.
    """
    from scipy.interpolate import CubicSpline

    samples = k.shape[-2]
    beyond = int(np.ceil(abs(delay) / dwell_time)) + 3
    spline = CubicSpline(np.arange(-beyond, samples + beyond), _continued(k, beyond), axis=-2)
    return np.asarray(spline(np.arange(samples) - delay / dwell_time))


def filtered(
    k: NDArray[np.floating], dwell_time: float, response: GradientResponse, axes: NDArray[np.floating]
) -> NDArray[np.float64]:
    """The trajectory that a gradient system with this response makes of the one asked for.

    The gradient is turned to the physical axes, each is filtered by its response, and the result turned back. What
    the difference between the axes puts along the slice direction is left out: a 2D image does not resolve it. What
    gradients before the readout leave behind in it is not known here, and left out too.

    Args:
        k: (..., samples, 2), columns (read, phase), in a unit that is the same along both, such as cycles/mm.
        dwell_time: us between samples.
        response: of x, y, z.
        axes: (3, 2), columns the read and the phase direction as unit vectors in x, y, z.

    Raises:
        TrajectoryError: fewer than three samples.
    """
    from scipy.fft import next_fast_len

    samples = k.shape[-2]
    gradient = np.diff(_continued(k, _RAMP), axis=-2)  # per dwell time
    ramp = (np.cos(0.5 * np.pi * np.arange(1, _RAMP + 1) / (_RAMP + 1)) ** 2)[:, None]
    gradient[..., :_RAMP, :] *= ramp[::-1]
    gradient[..., -_RAMP:, :] *= ramp
    start = k[..., :1, :] - gradient[..., :_RAMP, :].sum(axis=-2, keepdims=True)
    # Silence on both sides, as long as the response: nothing of it may come round to the other end.
    silence = max(samples, int(np.ceil(response.duration / (1e-6 * dwell_time))))
    length = next_fast_len(gradient.shape[-2] + 2 * silence, real=True)
    padded = np.zeros((*gradient.shape[:-2], length, 2))
    padded[..., silence : silence + gradient.shape[-2], :] = gradient
    spectrum = np.fft.rfft(padded @ axes.T, axis=-2)
    spectrum *= response.at(np.fft.rfftfreq(length, 1e-6 * dwell_time)).T
    moved = start + np.cumsum(np.fft.irfft(spectrum, length, axis=-2) @ axes, axis=-2)
    first = silence + _RAMP - 1
    return np.asarray(moved[..., first : first + samples, :])


def physical_axes(read_dir: Sequence[float], phase_dir: Sequence[float], patient_position: str) -> NDArray[np.float64]:
    """Read and phase direction along the scanner's gradient axes, but for the sign of an axis.

    x runs across the table, y up, z along the magnet; which way is up to the vendor, and does not matter here.

    Args:
        read_dir, phase_dir: (3,) in the patient, LPS.
        patient_position: one of the eight that DICOM names (PS3.3 C.7.3.1.1.2).

    Returns:
        (3, 2), columns (read, phase).

    Raises:
        TrajectoryError: directions that are not at right angles, or 0.
    """
    directions = np.asarray([read_dir, phase_dir], np.float64).T
    lengths = np.linalg.norm(directions, axis=0)
    directions = directions / np.where(lengths > 0, lengths, 1)
    if not np.allclose(directions.T @ directions, np.eye(2), rtol=0, atol=_PERPENDICULAR):
        raise TrajectoryError(
            f"read_dir {_plain(read_dir)} and phase_dir {_plain(phase_dir)} are not at right angles, and girf needs "
            "to know how the slice lies; convert the raw data with its directions, or leave girf out"
        )
    return np.asarray(_SCANNER_AXES[patient_position] @ directions)


def read_response(path: Path) -> GradientResponse:
    """Read a gradient impulse response function: comma-separated text with the columns `RESPONSE_COLUMNS`.

    One header line with the names of the columns, then a line for every frequency, rising. Lines below 0 Hz may be
    there and are left out: the response of a real system to -f is the complex conjugate of that to f.

    Raises:
        BadInputError: not such a file, or not such a response.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            names = tuple(name.strip() for name in file.readline().split(","))
            if names != RESPONSE_COLUMNS:
                raise BadInputError(f"{path}: the first line must be '{','.join(RESPONSE_COLUMNS)}'")
            table = np.loadtxt(file, delimiter=",", ndmin=2)
    except (OSError, ValueError) as error:
        raise BadInputError(f"{path}: cannot be read as a gradient response ({error})") from None
    if table.shape[1:] != (len(RESPONSE_COLUMNS),):
        raise BadInputError(f"{path}: has no line of {len(RESPONSE_COLUMNS)} numbers after the first")
    if not np.all(np.diff(table[:, 0]) > 0):
        raise BadInputError(f"{path}: frequency_Hz must rise from line to line; sort the lines (fftshift)")
    table = table[table[:, 0] >= 0]
    try:
        return GradientResponse(table[:, 0], (table[:, 1::2] + 1j * table[:, 2::2]).T)
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from None


def _continued(k: NDArray[np.floating], beyond: int) -> NDArray[np.float64]:
    """(..., beyond + samples + beyond, 2): the trajectory with what came before it and what comes behind it."""
    if k.shape[-2] < 3:
        raise TrajectoryError(f"a readout has {k.shape[-2]} samples, and its gradients need at least 3")
    inside: NDArray[np.float64] = np.asarray(k, np.float64)
    before, behind = _followed_back(inside, beyond), _followed_back(inside[..., ::-1, :], beyond)
    return np.concatenate([before, inside, behind[..., ::-1, :]], axis=-2)


def _followed_back(k: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
    """The samples before the first, (..., steps, 2), under the acceleration of the first three.

    Where the speed comes from 0, as that of a centre-out arm does, the samples stay where it was 0.
    """
    first, second, third = k[..., 0:1, :], k[..., 1:2, :], k[..., 2:3, :]
    step, acceleration = second - first, third - 2 * second + first
    speed = np.linalg.norm(step, axis=-1, keepdims=True)
    gain = np.linalg.norm(third - second, axis=-1, keepdims=True) - speed
    # `speed` is that of half a sample after the first.
    standstill = np.where(gain > 0, 0.5 - speed / np.where(gain > 0, gain, 1), -np.inf)
    time = np.maximum(-np.arange(steps, 0, -1.0)[:, None], np.minimum(standstill, 0))
    return np.asarray(first + (step - acceleration / 2) * time + acceleration / 2 * time**2)


def _plain(vector: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in vector) + ")"
