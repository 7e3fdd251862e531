"""What is shown of a place: its images with their colours, the marks upon them, and the calibration line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.mrd.attachments import attachments_of
from nadenoise_core.mrd.facts import Kind
from nadenoise_core.mrd.image import known_facts, pixel_size, pixels_of
from nadenoise_core.quantify.phase import in_phase
from nadenoise_core.replay.places import Place

if TYPE_CHECKING:
    import ismrmrd

LARGEST_CONCENTRATION = 60.0  # mmol/L: tissue fills the colours, the strongest tubes are beyond them
_LARGEST_RESIDUAL = 4.0  # units of noise
_OBLIQUE = 0.3  # share of a direction that gets a letter of its own
_LETTERS = (("L", "R"), ("P", "A"), ("H", "F"))  # along +x and -x, +y and -y, +z and -z of the patient (LPS)


@dataclass(frozen=True, eq=False)
class Panel:
    """One picture.

    Attributes:
        title: for people.
        values: (rows, columns).
        low, high: ends of the colours, in `unit`.
        colours: gray, coolwarm or viridis, as `coloured` knows them.
        unit: of the values; empty: none that means something to people.
        extent: left, right, bottom, top in mm from the centre of the field of view; pixel N//2 is the centre.
        marks: letters of the patient at the left, right, top and bottom edge.
        tubes: (x, y, diameter) in mm.
        labels: (rows, columns) label map of regions; None: no regions.
        drawn: the same before its pose was fitted; None: it was not.
    """

    title: str
    values: NDArray[np.float32]
    low: float
    high: float
    colours: str
    unit: str
    extent: tuple[float, float, float, float]
    marks: tuple[str, str, str, str]
    tubes: tuple[tuple[float, float, float], ...] = ()
    labels: NDArray[np.int64] | None = None
    drawn: NDArray[np.int64] | None = None


def panels_of(place: Place) -> list[Panel]:
    """Plain, denoised, what the network took away, and aTSC, as far as they are there."""
    return list(_panels(place))


def _panels(place: Place) -> Iterator[Panel]:
    signals = {kind: image for kind, image in place.images.items() if not kind.is_concentration}
    brightest = _brightest(place)
    for kind, image in sorted(signals.items(), key=lambda item: list(Kind).index(item[0])):
        title = {Kind.PLAIN: "as reconstructed", Kind.DENOISED: "denoised"}[kind]
        yield Panel(title, _magnitude(image), 0.0, brightest, "gray", "", *_geometry(image))
    noise_std = known_facts(signals[Kind.PLAIN]).noise_std if Kind.PLAIN in signals else 0.0
    if Kind.DENOISED in signals and noise_std > 0:
        plain, denoised = signals[Kind.PLAIN], signals[Kind.DENOISED]
        taken = (_signal(plain, denoised) - _signal(denoised, denoised)) / noise_std
        title, reach = "taken away by the network", _LARGEST_RESIDUAL
        yield Panel(title, taken, -reach, reach, "coolwarm", "SD of noise", *_geometry(denoised))
    if Kind.ATSC in place.images:
        image = place.images[Kind.ATSC]
        atsc = known_facts(image).atsc
        tubes = () if atsc is None else tuple((*tube.centre, tube.diameter) for tube in atsc.tubes)
        values = np.asarray(pixels_of(image), np.float32)
        attached = attachments_of(image)
        labels = attached.labels, attached.drawn_labels
        yield Panel("aTSC", values, 0.0, LARGEST_CONCENTRATION, "viridis", "mmol/L", *_geometry(image), tubes, *labels)


def _brightest(place: Place) -> float:
    """Upper end of grey: where that of the map is, or nearly the brightest signal."""
    if place.maps:
        return LARGEST_CONCENTRATION * place.maps[-1].line.slope
    signals = [np.percentile(_magnitude(image), 99.8) for image in place.images.values()]
    return float(max(signals, default=1.0)) or 1.0


def orientation_marks(read_dir: Sequence[float], phase_dir: Sequence[float]) -> tuple[str, str, str, str]:
    """Letters of the patient (L R, A P, H F) at the left, right, top and bottom edge of an image.

    Args:
        read_dir, phase_dir: (3,) along which columns and rows rise, LPS; several letters where they are oblique.
    """
    columns, rows = np.asarray(read_dir, np.float64), np.asarray(phase_dir, np.float64)
    return _letters(-columns), _letters(columns), _letters(-rows), _letters(rows)


def _letters(direction: NDArray[np.float64]) -> str:
    parts = [(abs(part), pair[part < 0]) for part, pair in zip(direction.tolist(), _LETTERS, strict=True)]
    return "".join(letter for size, letter in sorted(parts, reverse=True) if size > _OBLIQUE)


def _geometry(image: ismrmrd.Image) -> tuple[tuple[float, float, float, float], tuple[str, str, str, str]]:
    """Extent and marks of an image."""
    rows, columns = pixels_of(image).shape
    height, width = pixel_size(image)
    left, top = -(columns // 2 + 0.5) * width, -(rows // 2 + 0.5) * height
    extent = left, left + columns * width, top + rows * height, top
    return extent, orientation_marks(image.read_dir[:], image.phase_dir[:])


def _signal(image: ismrmrd.Image, like: ismrmrd.Image) -> NDArray[np.float32]:
    """The signal in phase, or the magnitude where another image is one; both have the noise of the real part."""
    if np.iscomplexobj(pixels_of(like)):
        return np.asarray(in_phase(pixels_of(image), pixel_size(image)), np.float32)
    return _magnitude(image)


def _magnitude(image: ismrmrd.Image) -> NDArray[np.float32]:
    return np.asarray(np.abs(pixels_of(image)), np.float32)
