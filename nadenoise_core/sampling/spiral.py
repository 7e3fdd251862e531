"""Uniform-density centre-out spiral from hardware limits.

The curve is Archimedean, `k(theta) = arms / (2 pi FOV) * theta * exp(i theta)`: neighbouring arms are one Nyquist
interval, 1 / FOV, apart. It is run through as fast as slew rate, gradient and readout bandwidth allow
(Pipe and Zwart, Magn Reson Med 71:278, 2014; Meyer et al., Magn Reson Med 28:202, 1992).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import BadInputError

# Gyromagnetic ratios over 2 pi, MHz/T.
SODIUM_GAMMA = 11.261972
PROTON_GAMMA = 42.577479

LONGEST_READOUT = 200e3
"""us, several T2* of sodium: a design that takes longer is a mistake."""

_MOST = 65535  # what a counter of ISMRMRD holds


@dataclass(frozen=True)
class SpiralDesign:
    """Hardware limits and geometry of a 2D spiral; the defaults are the paper's (section 2.4)."""

    matrix: int = 80
    field_of_view: float = 180.0  # mm
    interleaves: int = 20
    max_gradient: float = 24.0  # mT/m
    rise_time: float = 8.125  # us per mT/m, the inverse of the slew rate
    dwell_time: float = 14.8  # us
    oversampling: float = 2.0  # samples per Nyquist interval along the readout
    delay: float = -4.0  # us by which the gradients lag behind the receiver
    gamma: float = SODIUM_GAMMA  # MHz/T

    def __post_init__(self) -> None:
        for name in ("matrix", "field_of_view", "interleaves", "max_gradient", "rise_time", "dwell_time", "gamma"):
            if not 0 < getattr(self, name) < np.inf:
                raise BadInputError(f"spiral design: {name} is {getattr(self, name)}; it must be a number above 0")
        if max(self.matrix, self.interleaves) > _MOST:
            raise BadInputError(
                f"spiral design: matrix {self.matrix} and {self.interleaves} interleaves; ISMRMRD counts to {_MOST}"
            )
        if self.matrix < 2:
            raise BadInputError(f"spiral design: matrix is {self.matrix}; it must be at least 2")
        if not 1 <= self.oversampling < np.inf:
            raise BadInputError(f"spiral design: oversampling is {self.oversampling}; it must be at least 1")
        if not np.isfinite(self.delay):
            raise BadInputError(f"spiral design: delay is {self.delay}; it must be a number of microseconds")

    @property
    def k_max(self) -> float:
        """Radius where the arms end, cycles/mm: the outermost turn stands for half an interval beyond itself."""
        return (self.matrix - 1) / 2 / self.field_of_view

    @property
    def gradient_limit(self) -> float:
        """Gradient that the hardware and the readout bandwidth allow, mT/m."""
        nyquist = 1e6 / (self.gamma * self.field_of_view * self.dwell_time * self.oversampling)
        return min(self.max_gradient, nyquist)

    def trajectory(self) -> NDArray[np.float64]:
        """Sample positions, (interleaves, samples, 2) in cycles/mm, columns (read, phase)."""
        times, angles = self._run_through()
        sample_times = self.dwell_time * np.arange(int(np.ceil(times[-1] / self.dwell_time)))
        theta = np.interp(sample_times - self.delay, times, angles)
        arm = self._pitch * theta * np.exp(1j * theta)
        arms = arm * np.exp(2j * np.pi * np.arange(self.interleaves)[:, None] / self.interleaves)
        return np.stack([arms.real, arms.imag], axis=-1)

    @property
    def _pitch(self) -> float:
        return self.interleaves / (2 * np.pi * self.field_of_view)  # cycles/mm of radius per radian

    def _run_through(self, step: float = 0.5) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Times (us) and spiral angles (rad) of the fastest run from the centre to `k_max`, by Heun's method."""
        per_us = 1e-6 * self.gamma  # cycles/mm per us, of a gradient of 1 mT/m
        top_speed = per_us * self.gradient_limit
        acceleration = per_us / self.rise_time
        pitch = self._pitch

        def slopes(theta: float, speed: float) -> tuple[float, float]:
            bend = (2 + theta**2) / (pitch * (1 + theta**2) ** 1.5) * speed**2
            along = max(acceleration**2 - bend**2, 0.0) ** 0.5 if speed < top_speed else 0.0
            return speed / (pitch * (1 + theta**2) ** 0.5), along

        angles, theta, speed = [0.0], 0.0, 0.0
        while pitch * theta < self.k_max:
            turn, gain = slopes(theta, speed)
            next_turn, next_gain = slopes(theta + step * turn, min(speed + step * gain, top_speed))
            theta += step * (turn + next_turn) / 2
            speed = min(speed + step * (gain + next_gain) / 2, top_speed)
            angles.append(theta)
            if step * len(angles) > LONGEST_READOUT:
                raise BadInputError(
                    f"spiral design: a readout would take longer than {1e-3 * LONGEST_READOUT:g} ms; correct "
                    "max_gradient, rise_time, oversampling, or the number of interleaves"
                )
        # The end point is met exactly, so that the number of samples does not depend on the step.
        end = self.k_max / pitch
        last = step * (len(angles) - 2 + (end - angles[-2]) / (angles[-1] - angles[-2]))
        angles[-1] = end
        times = np.append(step * np.arange(len(angles) - 1), last)
        return times, np.asarray(angles)


PAPER_SPIRAL = SpiralDesign()
