"""Images on the stream and their words: ISMRMRD images whose meta says how they were made.

The keys are those that Gadgetron and FIRE read, and our own with the prefix `nadenoise_`. Values travel as text, so
the same words come out of a chain in one process and of a chain split over several.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import ismrmrd
import numpy as np
from numpy.typing import NDArray

from nadenoise_core import __version__

Kind = Literal["plain", "denoised", "atsc"]
SERIES: dict[Kind, int] = {"plain": 1, "denoised": 2, "atsc": 3}

_PREFIX = "nadenoise_"
_DATA_TYPES = {
    "c": ismrmrd.DATATYPE_CXFLOAT,
    "f": ismrmrd.DATATYPE_FLOAT,
    "u": ismrmrd.DATATYPE_USHORT,
}


def new_image(
    pixels: NDArray[np.generic],
    header: ismrmrd.AcquisitionHeader,
    field_of_view: Sequence[float],
    index: int,
    replicas: Iterable[NDArray[np.generic]] = (),
) -> ismrmrd.Image:
    """An image at the place and time of an acquisition.

    Args:
        pixels: (rows, columns), complex64 or float32.
        header: of an acquisition of the image.
        field_of_view: (read, phase, slice) in mm.
        index: number of the image within its series, from 1.
        replicas: the image without some of its averages each; they travel with it as further channels.
    """
    head = ismrmrd.ImageHeader()
    head.version = 1
    head.measurement_uid = header.measurement_uid
    head.field_of_view[:] = tuple(field_of_view)
    for name in ("position", "read_dir", "phase_dir", "slice_dir", "patient_table_position"):
        getattr(head, name)[:] = getattr(header, name)[:]
    for name in ("slice", "contrast", "phase", "repetition"):
        setattr(head, name, getattr(header.idx, name))
    head.acquisition_time_stamp = header.acquisition_time_stamp
    head.physiology_time_stamp[:] = header.physiology_time_stamp[:]
    head.image_index = index
    image = _with_pixels(head, pixels, replicas)
    image.meta["ImageRowDir"] = [_text(value) for value in header.read_dir]
    image.meta["ImageColumnDir"] = [_text(value) for value in header.phase_dir]
    image.meta["Keep_image_geometry"] = "1"
    say(image, version=__version__)
    return image


def with_directions(header: ismrmrd.AcquisitionHeader) -> tuple[ismrmrd.AcquisitionHeader, bool]:
    """A copy of a header whose directions are unit vectors, and whether the raw data say how the slice lies.

    Many converters leave the directions 0, or round them; a slice without usable directions is taken as transverse.
    """
    given = np.array([header.read_dir[:], header.phase_dir[:], header.slice_dir[:]], dtype=np.float64)
    lengths = np.linalg.norm(given, axis=1, keepdims=True)
    directions = given / np.where(lengths > 0, lengths, 1)
    known = bool(np.allclose(directions @ directions.T, np.eye(3), atol=1e-3))
    copy = ismrmrd.AcquisitionHeader.from_buffer_copy(header)
    copy.read_dir[:], copy.phase_dir[:], copy.slice_dir[:] = directions if known else np.eye(3)
    return copy, known


def image_beside(
    image: ismrmrd.Image, pixels: NDArray[np.generic], replicas: Iterable[NDArray[np.generic]] = ()
) -> ismrmrd.Image:
    """A new image with the header and words of another and other pixels and replicas, (rows, columns) each."""
    beside = _with_pixels(image.getHead(), pixels, replicas)
    beside.meta = {key: list(value) if isinstance(value, list) else value for key, value in image.meta.items()}
    return beside


def label(image: ismrmrd.Image, kind: Kind, description: str) -> None:
    """Say what an image is: its series, and the words that consoles show.

    Args:
        image: changed in place.
        kind: "plain", "denoised" or "atsc".
        description: of the series, e.g. "23Na NUFFT 30 avg".
    """
    quantitative = kind == "atsc"
    signal = ismrmrd.IMTYPE_COMPLEX if image.data.dtype.kind == "c" else ismrmrd.IMTYPE_MAGNITUDE
    head = image.getHead()
    head.image_series_index = SERIES[kind]
    head.image_type = ismrmrd.IMTYPE_REAL if quantitative else signal
    image.setHead(head)
    image.meta["DataRole"] = image.meta["GADGETRON_DataRole"] = "Quantitative" if quantitative else "Image"
    image.meta["SeriesDescription"] = image.meta["GADGETRON_SeqDescription"] = description
    image.meta["ImageType"] = {"plain": "PLAIN", "denoised": "DNCNN", "atsc": "ATSC"}[kind]
    say(image, kind=kind)


def keep_on_device(image: ismrmrd.Image, pixels: Any | None) -> None:
    """Let the next stage of this process take the pixels where they are, on a GPU."""
    image.on_device = pixels


def on_device(image: ismrmrd.Image) -> Any | None:
    """The pixels on a GPU, (rows, columns), if a stage of this process left them there."""
    return getattr(image, "on_device", None)


def comment(image: ismrmrd.Image, text: str) -> None:
    """Add a comment that people will read on the console and in the DICOM object."""
    comments = [*words_of(image, "ImageComment"), text]
    image.meta["ImageComment"] = comments
    image.meta["GADGETRON_ImageComment"] = comments


def as_integers(image: ismrmrd.Image, scale: float, offset: float, largest: int) -> ismrmrd.Image:
    """The image as whole numbers, as a Siemens console takes them; FIRE's meta tells their scale.

    Args:
        image: real, or complex, of which the magnitude is taken.
        scale: of one step, in the image's unit.
        offset: what the number 0 stands for, in the image's unit.
        largest: number; what is beyond is cut.
    """
    pixels = pixels_of(image)
    real = np.abs(pixels) if np.iscomplexobj(pixels) else np.asarray(pixels, np.float32)
    steps = np.clip(np.rint((real - offset) / scale), 0, largest).astype(np.uint16)
    whole = image_beside(image, steps)
    if np.iscomplexobj(pixels):
        head = whole.getHead()
        head.image_type = ismrmrd.IMTYPE_MAGNITUDE
        whole.setHead(head)
    whole.meta["RescaleSlope"], whole.meta["RescaleIntercept"] = _text(scale), _text(offset)
    return whole


def window(image: ismrmrd.Image, centre: float, width: float) -> None:
    """Say how to show an image: window centre and width in its own unit."""
    for prefix in ("", "GADGETRON_"):
        image.meta[f"{prefix}WindowCenter"] = _text(centre)
        image.meta[f"{prefix}WindowWidth"] = _text(width)


def add_to_history(image: ismrmrd.Image, stage: str, parameters: Mapping[str, object]) -> None:
    """Record that a stage made or changed the image, with the parameters it ran with."""
    settings = ", ".join(f"{name}={_text(value)}" for name, value in parameters.items())
    image.meta["ImageProcessingHistory"] = [*history_of(image), f"{stage}({settings})"]


def history_of(image: ismrmrd.Image) -> list[str]:
    """The stages that made the image, with their parameters, in order."""
    return words_of(image, "ImageProcessingHistory")


def say(image: ismrmrd.Image, **facts: object) -> None:
    """Write facts into the words of an image; sequences become several values."""
    for name, value in facts.items():
        several = isinstance(value, Sequence) and not isinstance(value, str)
        image.meta[_PREFIX + name] = [_text(part) for part in value] if several else _text(value)  # type: ignore[attr-defined]


def told(image: ismrmrd.Image, name: str) -> str | None:
    """One of our facts as text, None if it was not said."""
    values = words_of(image, _PREFIX + name)
    return values[0] if values else None


def told_number(image: ismrmrd.Image, name: str) -> float:
    """One of our facts as a number, NaN if it was not said."""
    return float(told(image, name) or "nan")


def told_numbers(image: ismrmrd.Image, name: str) -> list[float]:
    """One of our facts as a list of numbers."""
    return [float(value) for value in words_of(image, _PREFIX + name)]


def words_of(image: ismrmrd.Image, key: str) -> list[str]:
    """All values of a key of the meta, as text."""
    value = image.meta.get(key, [])
    several = value if isinstance(value, list) else [value]
    return ["" if part is None else str(part) for part in several]  # an empty text comes off the wire as None


def pixels_of(image: ismrmrd.Image) -> NDArray[np.generic]:
    """The pixels of a 2D image, (rows, columns)."""
    return np.asarray(image.data[0, 0])


def replicas_of(image: ismrmrd.Image) -> NDArray[np.generic]:
    """The image without some of its averages each, (replicas, rows, columns)."""
    return np.asarray(image.data[1:, 0])


def pixel_size(image: ismrmrd.Image) -> tuple[float, float]:
    """(row, column) spacing in mm."""
    head = image.getHead()
    return head.field_of_view[1] / head.matrix_size[1], head.field_of_view[0] / head.matrix_size[0]


def without_replicas(image: ismrmrd.Image) -> ismrmrd.Image:
    """The image alone, itself if it has no replicas."""
    if not len(replicas_of(image)):
        return image
    alone = image_beside(image, pixels_of(image))
    for name in ("replica_averages", "replica_noise_std"):
        alone.meta.pop(_PREFIX + name, None)
    return alone


def _with_pixels(
    head: ismrmrd.ImageHeader, pixels: NDArray[np.generic], replicas: Iterable[NDArray[np.generic]]
) -> ismrmrd.Image:
    planes = [pixels, *replicas]
    rows, columns = pixels.shape
    head.matrix_size[:] = (columns, rows, 1)
    head.channels = len(planes)
    head.data_type = _DATA_TYPES[pixels.dtype.kind]
    image = ismrmrd.Image(head)
    for channel, values in enumerate(planes):
        image.data[channel, 0] = values
    return image


def _text(value: object) -> str:
    if isinstance(value, float | np.floating):
        return repr(float(value))
    if isinstance(value, tuple | list):
        return "[" + " ".join(_text(part) for part in value) + "]"
    return str(value)
