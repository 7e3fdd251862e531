from __future__ import annotations

import numpy as np
import pytest

from nadenoise_core.mrd.surroundings import folded, unfolded, widest


@pytest.mark.parametrize(("matrix", "width"), [((80, 80), 12), ((80, 80), 16), ((48, 64), 5), ((80, 80), 0)])
def test_what_is_folded_unfolds(matrix: tuple[int, int], width: int) -> None:
    rng = np.random.default_rng(3)
    shape = (3, matrix[0] + 2 * width, matrix[1] + 2 * width)
    wide = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)
    images = wide[:, width : width + matrix[0], width : width + matrix[1]]
    planes = folded(wide, width)
    assert planes.shape == images.shape and planes.dtype == np.complex64
    np.testing.assert_array_equal(unfolded(images, planes, width), wide)


def test_the_widest_fills_a_channel_and_no_more() -> None:
    width = widest((80, 80))
    assert (80 + 2 * width) ** 2 <= 2 * 80**2 < (80 + 2 * width + 2) ** 2
    assert folded(np.ones((80 + 2 * width, 80 + 2 * width)), width).sum() == (80 + 2 * width) ** 2 - 80**2
