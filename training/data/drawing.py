"""Draws the objects of which scenes are composed, each from its seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from nadenoise_core.phantom import fourier, random_calf
from training.config import ObjectSettings
from training.data.kspace import centred_fft, centred_ifft
from training.data.objects import KINDS, SHAPE_SIZE, Objects

Image = NDArray[np.float32]

_FINE = 6  # subpixels along a side of a pixel
CALF_SEEDS = 1_000_000  # and above; every evaluation has seeds below


def draw_objects(settings: ObjectSettings, matrix: int, progress: Callable[[int, int], None]) -> Objects:
    """Calves, leaves and shapes of the settings; limbs come from the source of images."""
    pixel = settings.field_of_view / matrix
    total = settings.calves + settings.leaves + settings.shapes
    calves = [draw_calf(CALF_SEEDS + settings.seed * 100_000 + n, matrix, pixel) for n in range(settings.calves)]
    progress(settings.calves, total)
    leaves = [draw_leaves((settings.seed, 1, number), matrix) for number in range(settings.leaves)]
    progress(settings.calves + settings.leaves, total)
    shapes = [draw_shape((settings.seed, 2, number)) for number in range(settings.shapes)]
    bodies = calves + leaves
    return Objects(
        np.stack([image for image, _ in bodies]).astype(np.float16),
        np.stack([clearance for _, clearance in bodies]).astype(np.float16),
        np.repeat([KINDS.index("calf"), KINDS.index("leaves")], [len(calves), len(leaves)]),
        np.stack(shapes).astype(np.float16),
    )


def draw_calf(seed: int, matrix: int, pixel: float) -> tuple[Image, Image]:
    """Image and clearance of a virtual calf without its tubes.

    Half have the concentrations of volunteers, half any that patients may have.
    """
    rng = np.random.default_rng((seed, 17))
    muscle, skin = float(rng.uniform(10, 34)), float(rng.uniform(6, 36))
    unusual = {"muscle": muscle, "skin": skin} if seed % 2 else {}
    calf = random_calf(seed, **unusual).without_tubes()
    axis = (np.arange(matrix) - matrix // 2) / (matrix * pixel)
    kx, ky = np.meshgrid(axis, axis)
    spectrum = fourier(calf.ellipses, np.stack([kx, ky], axis=-1)) / pixel**2
    image = centred_ifft(spectrum).real.astype(np.float32)
    outline = next(tissue for tissue in calf.tissues if tissue.parent is None)
    centre, axes = np.array(outline.centre) / pixel, np.array(outline.semi_axes) / pixel
    y, x = np.indices((matrix, matrix)) - matrix // 2 - centre[::-1, None, None]
    cos, sin = np.cos(outline.angle), np.sin(outline.angle)
    outside = np.hypot((cos * x + sin * y) / axes[0], (cos * y - sin * x) / axes[1]) > 1
    return image, distance_transform_edt(outside).astype(np.float32)


def draw_leaves(seed: tuple[int, ...], matrix: int) -> tuple[Image, Image]:
    """Ellipses and bars of any level that cover one another: no anatomy, so that none is learnt by heart."""
    rng = np.random.default_rng(seed)
    y, x = _fine_axes(matrix)
    radius = rng.uniform(0.25, 0.47) * matrix
    body = np.hypot(y / np.exp(rng.normal(0, 0.1)), x / np.exp(rng.normal(0, 0.1))) < radius
    image = np.where(body, rng.uniform(5, 30), 0.0).astype(np.float32)
    for _ in range(int(rng.integers(5, 60))):
        turn, place, size = rng.uniform(0, np.pi), rng.uniform(-radius, radius, 2), np.exp(rng.uniform(0, np.log(14)))
        u = np.cos(turn) * (x - place[1]) + np.sin(turn) * (y - place[0])
        v = np.cos(turn) * (y - place[0]) - np.sin(turn) * (x - place[1])
        slim = rng.uniform(0.25, 1)
        inside = np.hypot(u, v / slim) < size if rng.random() < 0.7 else (np.abs(u) < size) & (np.abs(v) < slim * size)
        image[inside & body] = rng.uniform(0, 40) if rng.random() < 0.85 else rng.uniform(40, 140)
    small = _coarse(image, matrix)
    cover = _coarse(body.astype(np.float32), matrix) < 0.5
    return small, distance_transform_edt(cover).astype(np.float32)


def draw_shape(seed: tuple[int, ...]) -> Image:
    """A small structure of amplitude 1: disc, soft spot, line, curved band (plaque, cartilage), vessel or point."""
    rng = np.random.default_rng(seed)
    y, x = _fine_axes(SHAPE_SIZE)
    shift, turn = rng.uniform(-0.5, 0.5, 2), rng.uniform(0, np.pi)
    y, x = y - shift[0], x - shift[1]
    u, v = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    kind = rng.choice(["disc", "soft", "line", "band", "point"], p=[0.36, 0.1, 0.28, 0.16, 0.1])
    if kind == "disc":
        size = np.exp(rng.uniform(np.log(1.0), np.log(5.5)))
        cover = np.hypot(u, v / rng.uniform(0.6, 1)) < size
    elif kind == "soft":
        size = rng.uniform(1.2, 5)
        cover = np.exp(-(u**2 + v**2) / (2 * size**2))
    elif kind == "point":
        cover = np.hypot(u, v) < rng.uniform(0.5, 1.0)
    elif kind == "line":
        cover = (np.abs(u) < rng.uniform(3, 16)) & (np.abs(v + rng.uniform(-0.02, 0.02) * u**2) < rng.uniform(0.3, 0.9))
    else:
        radius, half = rng.uniform(8, 24), rng.uniform(0.4, 1.3)
        angle = np.arctan2(v, u + radius)
        cover = (np.abs(np.hypot(u + radius, v) - radius) < half) & (np.abs(angle) < rng.uniform(3, 16) / radius)
    return _coarse(np.asarray(cover, np.float32), SHAPE_SIZE)


def _fine_axes(matrix: int) -> tuple[Image, Image]:
    """Rows and columns of subpixels, in pixels from the centre."""
    axis = ((np.arange(matrix * _FINE) + 0.5) / _FINE - 0.5 - matrix // 2).astype(np.float32)
    return axis[:, None], axis[None, :]


def _coarse(image: Image, matrix: int) -> Image:
    """What lies within the k-space of the matrix; subpixel i of a pixel lies at (i + 0.5) / _FINE - 0.5 from it."""
    size = matrix * _FINE
    low = size // 2 - matrix // 2
    spectrum = centred_fft(image)[low : low + matrix, low : low + matrix]
    k = (np.arange(matrix) - matrix // 2) / matrix
    # Subpixel `size // 2` lies half a subpixel beside the middle of its pixel.
    offset = 0.5 / _FINE - 0.5
    ramp = np.exp(-2j * np.pi * k * offset)
    coarse: Image = (centred_ifft(spectrum * ramp[:, None] * ramp).real / _FINE**2).astype(np.float32)
    return coarse
