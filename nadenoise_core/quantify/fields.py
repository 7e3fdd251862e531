"""Smooth fields that multiply the object: its phase, and the relative sensitivities of several coils, from the images.

A mean over a neighbourhood is pulled towards where the signal is. At the rim of the leg that turns a phase that rises
evenly into a wrong one, so that the even rise of each image is taken out before the mean, and what phase is left in the
combined image is found by a second mean.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

_SMOOTHING = 18.0  # mm; fields vary slowly, and the noise of less smoothing would pass for signal
_RISE_SMOOTHING = 5.0  # mm, of images in which the even rise of the phase is sought
_LEAST = np.finfo(np.float32).tiny

Complexes = NDArray[np.complex128]


def smooth_fields(images: NDArray[np.complexfloating], pixel: tuple[float, float]) -> Complexes:
    """Fields of unit length over all coils.

    Args:
        images: (coils, rows, columns), gridded; several coils are taken as whitened.
        pixel: (row, column) spacing, mm.

    Returns:
        (coils, rows, columns).
    """
    fields = np.stack([_smooth_field(image, pixel) for image in images])
    fields /= np.maximum(np.sqrt(np.sum(np.abs(fields) ** 2, axis=0)), _LEAST)
    left = _mean(np.sum(fields.conj() * images, axis=0), pixel, _SMOOTHING)
    return np.asarray(fields * np.exp(1j * np.angle(left)))


def _smooth_field(image: NDArray[np.complexfloating], pixel: tuple[float, float]) -> Complexes:
    """An image at low resolution, its phase without the bias of an even rise."""
    low = _mean(image, pixel, _RISE_SMOOTHING)
    rises = [np.angle(np.vdot(low[:-1], low[1:])), np.angle(np.vdot(low[:, :-1], low[:, 1:]))]
    row, column = np.indices(image.shape)
    turn = np.exp(1j * (rises[0] * row + rises[1] * column))
    return np.asarray(turn * _mean(image * turn.conj(), pixel, _SMOOTHING))


def _mean(image: NDArray[np.complexfloating], pixel: tuple[float, float], smoothing: float) -> Complexes:
    width = [smoothing / spacing for spacing in pixel]
    return np.asarray(gaussian_filter(image, width), np.complex128)
