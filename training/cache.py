"""Rendered limbs kept on disk, so that an epoch costs noise alone.

A file is named after what made it: generator version, seeds and size. It is written beside its name and then
moved, so that a reader never sees half a file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from training.anatomy import GENERATOR_VERSION, RENDER_SIZE, draw_limb
from training.kspace import MATRIX, crop_kspace

CACHE_FOLDER = Path(__file__).resolve().parents[1] / "cache"


@dataclass(frozen=True)
class CacheKey:
    """What decides the content of a cache file."""

    seed: int  # every limb has the seed (seed, index)
    count: int
    matrix: int = MATRIX
    render_size: int = RENDER_SIZE
    version: int = GENERATOR_VERSION

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]


# Splits never share a seed.
SPLITS: Mapping[str, CacheKey] = {
    "train": CacheKey(seed=1001, count=1500),
    "validation": CacheKey(seed=2002, count=150),
    "test": CacheKey(seed=3003, count=300),
}


@dataclass(frozen=True)
class Limbs:
    """Limbs on the final matrix, muscle drawn at 1; every array is (limbs, matrix, matrix) float32."""

    image: NDArray[np.float32]
    clearance: NDArray[np.float32]  # pixels from the skin, 0 inside the limb
    muscle: NDArray[np.float32]  # share of the pixel that is muscle

    def __len__(self) -> int:
        return len(self.image)

    def first(self, count: int | None) -> Limbs:
        """The first so many of them; all for None."""
        return Limbs(self.image[:count], self.clearance[:count], self.muscle[:count])


def render_limbs(key: CacheKey) -> Limbs:
    """Draw the limbs of a key and bring them to the final matrix by cropping k-space."""
    images, clearances, muscles = [], [], []
    for index in range(key.count):
        limb = draw_limb((key.seed, index), key.render_size)
        outline = crop_kspace(limb.outline, key.matrix)
        # The cap here only tames rare outliers before they ring over the whole image.
        images.append(crop_kspace(soft_cap(limb.image / np.float32(limb.muscle_level), 12.0), key.matrix))
        clearances.append(distance_transform_edt(outline < 0.5).astype(np.float32))
        muscles.append(np.clip(crop_kspace(limb.muscle, key.matrix), 0, 1))
    return Limbs(np.stack(images), np.stack(clearances), np.stack(muscles))


def soft_cap(image: NDArray[np.float32], cap: float) -> NDArray[np.float32]:
    """Values far above `cap` pressed to it, values far below left alone."""
    return (image * (1 + (np.maximum(image, 0) / cap) ** 4) ** -0.25).astype(np.float32)


def load_limbs(key: CacheKey, folder: Path = CACHE_FOLDER) -> Limbs:
    """Limbs of a key from the cache, rendered and kept if they are not there."""
    path = cache_path(key, folder)
    if not path.exists():
        _write(path, key, render_limbs(key))
    with h5py.File(path, "r") as file:
        return Limbs(*(file[name][()] for name in ("image", "clearance", "muscle")))


def cache_path(key: CacheKey, folder: Path = CACHE_FOLDER) -> Path:
    return folder / f"limbs-{key.seed}-{key.count}-{key.digest}.h5"


def content_sha256(limbs: Limbs) -> str:
    """Checksum of the images themselves, independent of the file that holds them."""
    digest = hashlib.sha256()
    for array in (limbs.image, limbs.clearance, limbs.muscle):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _write(path: Path, key: CacheKey, limbs: Limbs) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with h5py.File(partial, "w") as file:
        file.attrs["key"] = json.dumps(asdict(key), sort_keys=True)
        for name in ("image", "clearance", "muscle"):
            file.create_dataset(name, data=getattr(limbs, name), compression="gzip", compression_opts=1, shuffle=True)
    os.replace(partial, path)
