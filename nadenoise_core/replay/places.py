"""The images of a scan by place: slice, echo, phase and repetition, each with what was made of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nadenoise_core.mrd.facts import AtscFacts, ImageFacts, Kind
from nadenoise_core.mrd.image import facts_of, known_facts

if TYPE_CHECKING:
    import ismrmrd

_COUNTERS = {"slice": "slice", "contrast": "echo", "phase": "phase", "repetition": "repetition"}


@dataclass(eq=False)
class Place:
    """What was made of the most averages at one place.

    Attributes:
        name: such as "slice 2, echo 1"; empty where the scan has one place.
        averages: of its images.
        images: by kind; of two maps that of the denoised image.
        maps: facts of all its maps.
    """

    name: str
    averages: int = 0
    images: dict[Kind, ismrmrd.Image] = field(default_factory=dict)
    maps: list[AtscFacts] = field(default_factory=list)

    def facts(self, kind: Kind) -> ImageFacts | None:
        """Of the image of a kind; None where there is none."""
        return known_facts(self.images[kind]) if kind in self.images else None


def places_of(images: Iterable[ismrmrd.Image]) -> list[Place]:
    """The places of a scan in the order in which they came; of a live chain, the images of the most averages.

    Images that nadenoise did not make are left out.
    """
    found: dict[tuple[int, ...], Place] = {}
    images = [image for image in images if facts_of(image) is not None]
    keys = [tuple(int(getattr(image, counter)) for counter in _COUNTERS) for image in images]
    for key, name, image in zip(keys, place_names(keys), images, strict=True):
        facts = known_facts(image)
        place = found.setdefault(key, Place(name))
        if facts.averages > place.averages:
            place.averages, place.images, place.maps = facts.averages, {}, []
        if facts.averages == place.averages:
            place.images[facts.kind] = image
            if facts.atsc is not None:
                place.maps.append(facts.atsc)
    return list(found.values())


def place_names(keys: Sequence[tuple[int, ...]]) -> list[str]:
    """What people call the places of images: the counters that differ among them, counted from 1.

    Args:
        keys: (slice, contrast, phase, repetition) of each image.
    """
    differ = [len(set(values)) > 1 for values in zip(*keys, strict=True)]

    def name(key: tuple[int, ...]) -> str:
        parts = zip(_COUNTERS.values(), key, differ, strict=True)
        return ", ".join(f"{name} {value + 1}" for name, value, differs in parts if differs)

    return [name(key) for key in keys]
