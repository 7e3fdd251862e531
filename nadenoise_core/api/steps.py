"""The steps from averaged k-space to concentrations, each as the gadget of its name does it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nadenoise_core.api.gadgets import gadgets_of, run_over
from nadenoise_core.api.images import Image, Images, read_images
from nadenoise_core.api.raw import Averaged, RawScan, average
from nadenoise_core.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nadenoise_core.mrd.scan import Scan


SURROUNDINGS = 12
"""Pixels around an image that shipped networks see; the shipped chains have as many."""


def reconstruct(averaged: Averaged | RawScan | str | Path, **properties: Any) -> Images:
    """Make the images of averaged k-space, with the surroundings that a network sees.

    Args:
        averaged: of `average`, or a raw file, all of whose averages are taken.
        properties: of the gadget `reconstruct`, such as `method="total_variation"`.

    Raises:
        BadInputError: a property, or a raw file, that cannot be.
    """
    given = averaged if isinstance(averaged, Averaged) else average(averaged)
    return _run("reconstruct", {"surroundings": SURROUNDINGS, **properties}, given.scan, given.items)


def denoise(images: Images | str | Path, **properties: Any) -> Images:
    """Put a denoised image beside every plain one.

    Args:
        images: of `reconstruct`, of an array, or a file that `read_images` reads.
        properties: of the gadget `denoise`, such as `bundle="paper_30"`.

    Raises:
        BadInputError: a property that cannot be, or a bundle that is missing or does not fit.
    """
    return _run_over_images("denoise", properties, images)


def quantify(images: Images | str | Path, **properties: Any) -> Images:
    """Put a map of apparent tissue sodium concentration (aTSC) beside the images, by the reference tubes in them.

    Args:
        images: of `reconstruct` or `denoise`, of an array, or a file that `read_images` reads.
        properties: of the gadget `quantify`, such as `concentrations=(10, 50, 100)`, `tube_diameter=20`.

    Raises:
        BadInputError: a property that cannot be, or a map that does not fit.
    """
    return _run_over_images("quantify", properties, images)


def _run_over_images(gadget: str, properties: dict[str, Any], given: Images | str | Path) -> Images:
    images = given if isinstance(given, Images) else read_images(given)
    if images.scan is None:
        raise BadInputError("these images came without their scan; take those of reconstruct or of read_images")
    return _run(gadget, properties, images.scan, [image.copy().item for image in images])


def _run(gadget: str, properties: dict[str, Any], scan: Scan, items: Iterable[Any]) -> Images:
    import ismrmrd

    came = run_over(gadgets_of([(gadget, properties)], scan), items)
    return Images([Image(item) for item in came if isinstance(item, ismrmrd.Image)], scan)
