"""Conjugate gradients for the normal equations, one iteration at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from nadenoise_core.device import DeviceArray


def conjugate_gradients(
    normal: Callable[[DeviceArray], DeviceArray], gridded: DeviceArray, expected: DeviceArray, array_module: Any
) -> Iterator[tuple[DeviceArray, DeviceArray]]:
    """Solve `normal(x) = gridded` from 0, for an image and for images that are carried along.

    All images go through the very steps that the first one takes, so that each iterate is the same linear function of
    all of them: noise that is carried along shows what the iterations make of noise.

    Args:
        normal: the normal operator, (images, rows, columns) to the same.
        gridded: (images, rows, columns), `A^H W s`; the first image decides the steps.
        expected: (rows, columns) variance that is expected of a pixel, relative; it preconditions, so that what is
            expected appears first.
        array_module: numpy or cupy.

    Yields:
        (images, residuals) after each iteration, both (images, rows, columns).
    """

    def inner(a: DeviceArray, b: DeviceArray) -> float:
        return float(array_module.vdot(a[0], b[0]).real)

    images = array_module.zeros_like(gridded)
    residuals = gridded
    towards = expected * residuals
    direction, gain = towards, inner(residuals, towards)
    while gain > 0:
        through = normal(direction)
        step = gain / inner(direction, through)
        images = images + step * direction
        residuals = residuals - step * through
        yield images, residuals
        towards = expected * residuals
        last, gain = gain, inner(residuals, towards)
        direction = towards + (gain / last) * direction
