"""What every source of images gives: subjects with slices, and a journal of what could not be used."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from training.errors import DataError

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Slice:
    """One image, (rows, columns) float32 magnitude, and what is known of it.

    Attributes:
        image: magnitude.
        spacing: between rows and between columns, in one unit.
        outline: share of each pixel inside the skin, where known.
        muscle: share of each pixel that is muscle, where known.
        level: signal of muscle, where known.
    """

    image: Image
    spacing: tuple[float, float] = (1.0, 1.0)
    outline: Image | None = None
    muscle: Image | None = None
    level: float | None = None


@dataclass(frozen=True)
class Series:
    """Slices that were acquired together.

    Attributes:
        subject: whose they are: the split keeps equal ones together. It names nobody.
        name: where they come from, for messages.
        slices: at least one.
    """

    subject: str
    name: str
    slices: tuple[Slice, ...]


@dataclass
class Journal:
    """What a source tells while it works.

    Attributes:
        skipped: (file or series, reason) of what could not be used; no name of a patient among them.
        unchosen: what was not asked for, counted by description.
        progress: called with the number done and the number in all.
    """

    skipped: list[tuple[str, str]] = field(default_factory=list)
    unchosen: Counter[str] = field(default_factory=Counter)
    progress: Callable[[int, int], None] = lambda done, total: None

    def skip(self, name: str, reason: str) -> None:
        self.skipped.append((name, reason))

    def reasons(self) -> dict[str, int]:
        """How often each reason occurred, most frequent first."""
        return dict(Counter(reason for _, reason in self.skipped).most_common())


class Source(Protocol):
    """Where images come from."""

    def series(self, journal: Journal) -> Iterator[Series]:
        """All series, in an order that depends on the data alone."""
        ...


def anonymous(*parts: str) -> str:
    """A key that is the same for the same words and tells none of them."""
    return hashlib.sha256("\0".join(("nadenoise", *parts)).encode()).hexdigest()[:16]


def evenly(count: int, wanted: int) -> list[int]:
    """`wanted` indices spread evenly over `count`; the middle one for 1, all for 0."""
    if wanted == 0 or wanted >= count:
        return list(range(count))
    return [int((2 * index + 1) * count // (2 * wanted)) for index in range(wanted)]


def find_files(folder: Path, pattern: str = "**/*") -> list[Path]:
    """Files below a folder that match, sorted; hidden ones left out.

    Raises:
        DataError: there is no such folder, or no such file in it.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; set data.source.folder to where the images are")
    found = sorted(path for path in folder.glob(pattern) if path.is_file() and not path.name.startswith("."))
    if not found:
        raise DataError(f"{folder}: holds no file {pattern}")
    return found


def slices_of(volume: NDArray[np.generic], axis: int, wanted: int, spacing: tuple[float, ...]) -> tuple[Slice, ...]:
    """Evenly spread slices of a magnitude or complex volume of two or three axes.

    Raises:
        DataError: another number of axes, or nothing in it.
    """
    if volume.ndim == 2:
        volume, axis, spacing = volume[None], 0, (1.0, *spacing[:2])
    if volume.ndim != 3:
        raise DataError(f"it has {volume.ndim} axes; 2 or 3 are needed")
    if not volume.size:
        raise DataError("it is empty")
    ordered = np.moveaxis(volume, axis, 0)
    inside = tuple(step for index, step in enumerate(spacing) if index != axis)
    steps = (inside[0], inside[1]) if all(np.isfinite(inside)) and min(inside) > 0 else (1.0, 1.0)
    return tuple(Slice(np.abs(ordered[index]).astype(np.float32), steps) for index in evenly(len(ordered), wanted))
