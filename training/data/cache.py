"""Prepared images kept on disk, so that an epoch costs noise alone: one HDF5 file with its provenance."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from nadenoise_core.files import whole_file
from training.config import DataSettings
from training.data.objects import Objects
from training.errors import DataError

FORMAT = 1
PARTS = ("train", "validation", "test")
_SIGNATURE = b"\x89HDF\r\n\x1a\n"  # of HDF5
_ARRAYS = ("image", "clearance", "muscle", "subject")
_OBJECTS = ("bodies", "clearance", "kinds", "shapes")


@dataclass(frozen=True)
class Images:
    """Images of one part of the split, (images, matrix, matrix) float32 each.

    Attributes:
        image: signal, of level 1: of muscle where that is known, else the median of the body.
        clearance: pixels from the skin, 0 inside the body.
        muscle: share of the pixel that is muscle; None where nobody knows.
        subject: (images,) int32, whose they are: a number that names nobody.
    """

    image: NDArray[np.float32]
    clearance: NDArray[np.float32]
    muscle: NDArray[np.float32] | None
    subject: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.image)

    @property
    def matrix(self) -> int:
        return int(self.image.shape[-1])

    def first(self, count: int | None) -> Images:
        """The first so many of them; all for None."""
        muscle = None if self.muscle is None else self.muscle[:count]
        return Images(self.image[:count], self.clearance[:count], muscle, self.subject[:count])

    def checksum(self) -> str:
        """Of the numbers, independent of the file that holds them."""
        digest = hashlib.sha256()
        for name in _ARRAYS:
            array = getattr(self, name)
            if array is not None:
                digest.update(f"{name} {array.shape} {array.dtype}".encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


class Provenance(BaseModel):
    """What a cache was made from, and how.

    Attributes:
        format: of the file.
        preparation: version of the code that turns slices into images.
        nadenoise: version.
        configuration: the section `data`.
        fingerprint: of that section.
        source_sha256: checksum of the slices as they were read.
        images, subjects: how many in each part of the split.
        sha256: checksum of the images of each part.
        skipped: reason to the number of files or series that were skipped for it.
        objects_sha256: checksum of what scenes are composed of, beside images; None: nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    preparation: int
    nadenoise: str
    configuration: dict[str, Any]
    fingerprint: str
    source_sha256: str
    images: dict[str, int]
    subjects: dict[str, int]
    sha256: dict[str, str]
    skipped: dict[str, int]
    objects_sha256: str | None = None


@dataclass(frozen=True)
class Cache:
    """All parts of the split, and where they come from."""

    parts: Mapping[str, Images]
    provenance: Provenance
    objects: Objects | None = None


def check_replaceable(path: Path) -> None:
    """Check that what a cache is to replace is one, be it damaged or old, and nothing else.

    Raises:
        DataError: it is something else.
    """
    if not path.exists():
        return
    try:
        with h5py.File(path, "r") as file:
            is_cache = "provenance" in file.attrs
    except (OSError, RuntimeError):
        is_cache = False
        if path.is_file():
            with path.open("rb") as opened:
                is_cache = opened.read(len(_SIGNATURE)) == _SIGNATURE
    if not is_cache:
        raise DataError(f"{path}: is not replaced, since it is no cache of nadenoise; give another data.cache")


def write_cache(path: Path, cache: Cache) -> None:
    """Write a cache, all of it or nothing.

    Raises:
        OutputError: it cannot be written.
    """
    with whole_file(path) as unfinished, h5py.File(unfinished, "w") as file:
        for part, images in cache.parts.items():
            for name in _ARRAYS:
                if (array := getattr(images, name)) is not None:
                    file.create_dataset(f"{part}/{name}", data=array, compression=1, shuffle=True)
        if cache.objects is not None:
            for name in _OBJECTS:
                data = getattr(cache.objects, name)
                file.create_dataset(f"objects/{name}", data=data, compression=1, shuffle=True)
        file.attrs["provenance"] = cache.provenance.model_dump_json()


def read_provenance(path: Path) -> Provenance:
    """What a cache says of itself.

    Raises:
        DataError: there is no such file, or it is no whole cache of this version of nadenoise.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such cache; make it with `nadenoise-train prepare CONFIG`")
    try:
        with h5py.File(path, "r") as file:
            plain = json.loads(file.attrs["provenance"])
    except (OSError, RuntimeError):
        raise DataError(f"{path}: the cache is damaged or was cut short; {_AGAIN}") from None
    except (KeyError, TypeError, ValueError):
        raise DataError(f"{path}: is no cache of nadenoise; give another data.cache") from None
    try:
        provenance = Provenance.model_validate(plain)
    except ValidationError:
        provenance = None
    if provenance is None or provenance.format != FORMAT:
        raise DataError(f"{path}: the cache is of another version of nadenoise; {_AGAIN}")
    return provenance


def read_cache(path: Path, settings: DataSettings, preparation: int) -> Cache:
    """Read a cache and check that it is whole and made with these settings.

    Raises:
        DataError: as `read_provenance`; or made with other settings, or its images have another checksum.
    """
    provenance = read_provenance(path)
    if provenance.preparation != preparation:
        raise DataError(f"{path}: the cache is of another version of nadenoise; {_AGAIN}")
    if provenance.fingerprint != settings.fingerprint:
        what = _first_difference(settings.model_dump(mode="json"), provenance.configuration)
        raise DataError(
            f"{path}: the cache was made with another configuration ({what}); {_AGAIN}, or give another data.cache"
        )
    try:
        with h5py.File(path, "r") as file:
            parts = {part: _read_part(file[part]) for part in PARTS}
            objects = None
            if provenance.objects_sha256 is not None:
                objects = Objects(*(file[f"objects/{name}"][()] for name in _OBJECTS))
    except (OSError, KeyError, RuntimeError, ValueError):
        raise DataError(f"{path}: the cache is damaged: not all images can be read; {_AGAIN}") from None
    sound = objects is None or objects.checksum() == provenance.objects_sha256
    if not sound or {part: images.checksum() for part, images in parts.items()} != provenance.sha256:
        raise DataError(f"{path}: the cache is damaged: its images have another checksum than it says; {_AGAIN}")
    return Cache(parts, provenance, objects)


_AGAIN = "make it again with `nadenoise-train prepare CONFIG --overwrite`"


def _read_part(group: h5py.Group) -> Images:
    muscle = group["muscle"][()] if "muscle" in group else None
    return Images(group["image"][()], group["clearance"][()], muscle, group["subject"][()])


def _first_difference(here: dict[str, Any], there: dict[str, Any], above: str = "data.") -> str:
    for name in here.keys() | there.keys():
        mine, theirs = here.get(name), there.get(name)
        if mine == theirs or above + name == "data.cache":
            continue
        if isinstance(mine, dict) and isinstance(theirs, dict) and mine.get("kind") == theirs.get("kind"):
            return _first_difference(mine, theirs, f"{above}{name}.")
        if isinstance(mine, dict) and isinstance(theirs, dict):
            name, mine, theirs = f"{name}.kind", mine.get("kind"), theirs.get("kind")
        return f"{above}{name} is {json.dumps(mine)} here, {json.dumps(theirs)} there"
    return "another source"
