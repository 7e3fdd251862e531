"""The fallback where only the image is at hand: its own k-space, as far as the scan sampled it.

Least squares with equal weights over the sampled disc has the normal equations of the geometric transfer matrix
(Rousset, Ma and Evans, J Nucl Med 39:904, 1998): means over the regions, and what each region spills into the others.
It is unbiased as the fit to the readouts is, but does not know that the middle of k-space was sampled more densely,
which costs some 5 to 15 % in standard errors.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.quantify.fields import smooth_fields
from nadenoise_core.quantify.readouts import Readouts


def readouts_of_image(
    image: NDArray[np.generic],
    pixel: tuple[float, float],
    k_max: float | None,
    noise_std: float,
    gain: NDArray[np.floating] | None = None,
) -> Readouts:
    """An image as readouts for `fit_regions`.

    Args:
        image: (rows, columns), gridded and complex; or real and in phase.
        pixel: (row, column) spacing, mm.
        k_max: radius of the sampled k-space, cycles/mm; None for the edge of the matrix.
        noise_std: of the real part of a pixel; NaN if unknown.
        gain: (rows, columns) signal relative to where excitation and reception are nominal; None: 1.
    """
    matrix = (image.shape[0], image.shape[1])
    rows, columns = matrix
    y, x = np.fft.fftfreq(rows, pixel[0])[:, None], np.fft.fftfreq(columns, pixel[1])[None]
    edge = min(0.5 / pixel[0], 0.5 / pixel[1])
    taken = np.hypot(x, y) <= min(k_max or edge, edge)
    fields = np.ones(matrix, np.complex128)
    noise = noise_std * (rows * columns) ** 0.5
    if np.iscomplexobj(image):
        fields = smooth_fields(np.asarray(image, np.complex64)[None], pixel)[0]
    else:
        # The other half of a real image's k-space says the same.
        taken = taken & ((y > 0) | ((y == 0) & (x >= 0)))
        noise = noise / 2**0.5
    samples = np.fft.fft2(np.fft.ifftshift(image))[taken]
    places = np.stack(np.broadcast_arrays(x, y), axis=-1)[taken]
    return Readouts(
        kspace=samples[None, None].astype(np.complex64),
        trajectory=places[None],
        noise_std=np.array([noise]),
        matrix=matrix,
        pixel=pixel,
        density=np.full((1, len(places)), 1 / (rows * columns), np.float32),
        fields=(fields if gain is None else fields * gain)[None, None].astype(np.complex64),
        shares=np.ones((1, len(places)), np.complex64),
        of_image=True,
    )
