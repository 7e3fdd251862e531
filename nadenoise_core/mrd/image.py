"""Images on the stream: ISMRMRD images, with the facts that ride on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import BadInputError, RawDataError
from nadenoise_core.mrd.attachments import attachments_of
from nadenoise_core.mrd.facts import ImageFacts, Kind
from nadenoise_core.mrd.meta import from_meta, is_ours, to_meta
from nadenoise_core.mrd.surroundings import folded, unfolded, widest

if TYPE_CHECKING:
    import ismrmrd

_SERIES = {Kind.PLAIN: 1, Kind.DENOISED: 2, Kind.ATSC: 3, Kind.ERROR: 4}
_DATA_TYPES = {"c": "DATATYPE_CXFLOAT", "f": "DATATYPE_FLOAT", "u": "DATATYPE_USHORT"}


def facts_of(item: Any) -> ImageFacts | None:
    """The facts of an image of ours; None of any other item of a stream.

    Raises:
        RawDataError: its meta says that it is ours, and cannot be understood.
    """
    import ismrmrd

    if not isinstance(item, ismrmrd.Image):
        return None
    if getattr(item, "facts", None) is None:
        item.facts = from_meta(item.meta)
    facts: ImageFacts | None = item.facts
    return facts


def known_facts(image: ismrmrd.Image) -> ImageFacts:
    """The facts of an image of ours.

    Raises:
        BadInputError: it is not ours.
        RawDataError: its meta cannot be understood.
    """
    facts = facts_of(image)
    if facts is None:
        raise BadInputError("an image came that nadenoise did not make; put 'reconstruct' before what takes it")
    return facts


def put_facts(image: ismrmrd.Image, facts: ImageFacts) -> None:
    """Let facts ride on an image, and its meta say the same; what others wrote there stays."""
    theirs = {key: value for key, value in image.meta.items() if not is_ours(key)}
    image.meta = {**theirs, **to_meta(facts, (image.read_dir[:], image.phase_dir[:]))}
    image.facts = facts


def comment(image: ismrmrd.Image, *texts: str) -> None:
    """Add comments that people will read on the console and in the DICOM object."""
    put_facts(image, known_facts(image).commented(*texts))


def new_image(
    pixels: NDArray[np.generic],
    header: ismrmrd.AcquisitionHeader,
    field_of_view: Sequence[float],
    index: int,
    facts: ImageFacts,
    replicas: Iterable[NDArray[np.generic]] = (),
    wide: NDArray[np.generic] | None = None,
) -> ismrmrd.Image:
    """An image at the place and time of an acquisition.

    Args:
        pixels: (rows, columns), complex64 or float32.
        header: of an acquisition of the image.
        field_of_view: (read, phase, slice) in mm.
        index: number of the image within its series, from 1.
        facts: what is known of it.
        replicas: the image without some of its averages each; they travel with it as further channels.
        wide: (1 + replicas, wide rows, wide columns), image and replicas with the pixels around them that the facts
            tell of; these travel as further channels, too.
    """
    import ismrmrd

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
    around = () if wide is None else folded(wide, facts.surroundings)
    return _made(head, {}, pixels, facts, [*replicas, *around])


def image_beside(
    image: ismrmrd.Image,
    pixels: NDArray[np.generic],
    facts: ImageFacts,
    replicas: Iterable[NDArray[np.generic]] = (),
) -> ismrmrd.Image:
    """A new image in the place of another, with pixels, facts and replicas of its own, (rows, columns) each."""
    return _made(image.getHead(), image.meta, pixels, facts, replicas)


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
    return image_beside(image, steps, replace(known_facts(image), rescale=(scale, offset)))


def pixels_of(image: ismrmrd.Image) -> NDArray[np.generic]:
    """The pixels of a 2D image, (rows, columns)."""
    return np.asarray(image.data[0, 0])


def replicas_of(image: ismrmrd.Image) -> NDArray[np.generic]:
    """The image without some of its averages each, (replicas, rows, columns)."""
    return np.asarray(image.data[1 : 1 + len(known_facts(image).replicas), 0])


def wide_pixels_of(image: ismrmrd.Image) -> NDArray[np.generic]:
    """Image and replicas with what travels of their surroundings, (1 + replicas, wide rows, wide columns)."""
    facts = known_facts(image)
    planes, width = np.asarray(image.data[:, 0]), facts.surroundings
    count = 1 + len(facts.replicas)
    if len(planes) < (2 if width else 1) * count or width > widest((planes.shape[1], planes.shape[2])):
        raise RawDataError(f"an image has {len(planes)} channels, fewer than its meta says; a stage has cut them off")
    return unfolded(planes[:count], planes[count : 2 * count], width) if width else planes[:count]


def pixel_size(image: ismrmrd.Image) -> tuple[float, float]:
    """(row, column) spacing in mm."""
    head = image.getHead()
    return head.field_of_view[1] / head.matrix_size[1], head.field_of_view[0] / head.matrix_size[0]


def without_replicas(image: ismrmrd.Image) -> ismrmrd.Image:
    """The image alone, itself if it has neither replicas nor surroundings."""
    facts = facts_of(image)
    if facts is None or not (facts.replicas or facts.surroundings):
        return image
    return image_beside(image, pixels_of(image), replace(facts, replicas=(), surroundings=0))


def without_surroundings(image: ismrmrd.Image) -> ismrmrd.Image:
    """The image with its replicas, itself if no surroundings travel with it."""
    facts = known_facts(image)
    if not facts.surroundings:
        return image
    bare = image_beside(image, pixels_of(image), replace(facts, surroundings=0), replicas_of(image))
    bare.attachments = attachments_of(image)
    return bare


def _made(
    head: ismrmrd.ImageHeader,
    meta: Mapping[str, Any],
    pixels: NDArray[np.generic],
    facts: ImageFacts,
    replicas: Iterable[NDArray[np.generic]],
) -> ismrmrd.Image:
    import ismrmrd

    planes = [pixels, *replicas]
    rows, columns = pixels.shape
    signal = ismrmrd.IMTYPE_COMPLEX if np.iscomplexobj(pixels) else ismrmrd.IMTYPE_MAGNITUDE
    head.matrix_size[:] = (columns, rows, 1)
    head.channels = len(planes)
    head.data_type = getattr(ismrmrd, _DATA_TYPES[pixels.dtype.kind])
    head.image_series_index = _SERIES[facts.kind]
    head.image_type = ismrmrd.IMTYPE_REAL if facts.kind.is_concentration else signal
    image = ismrmrd.Image(head)
    for channel, values in enumerate(planes):
        image.data[channel, 0] = values
    image.meta = dict(meta)
    put_facts(image, facts)
    return image
