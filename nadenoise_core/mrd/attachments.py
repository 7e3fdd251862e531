"""What stages of one process leave with an image for those after them; none of it travels over a wire."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import ismrmrd

    from nadenoise_core.mrd.buffer import AveragedReadouts
    from nadenoise_core.quantify.regions import Regions


@dataclass(frozen=True, eq=False)
class Attachments:
    """What is attached to an image; None where nobody has.

    Attributes:
        on_device: its pixels on a GPU, (rows, columns).
        readouts: the averaged k-space that it was made of.
        off_resonance: (rows, columns), Hz, that it was made with.
        labels: label map of the regions that were read in it, (rows, columns).
        drawn_labels: the same as it was drawn, where a pose has moved it since.
        regions: their outlines.
    """

    on_device: Any | None = None
    readouts: AveragedReadouts | None = None
    off_resonance: NDArray[np.floating] | None = None
    labels: NDArray[np.int64] | None = None
    drawn_labels: NDArray[np.int64] | None = None
    regions: Regions | None = None


def attachments_of(image: ismrmrd.Image) -> Attachments:
    """What is attached to an image."""
    attached: Attachments = getattr(image, "attachments", None) or Attachments()
    return attached


def attach(image: ismrmrd.Image, **attached: Any) -> None:
    """Attach more to an image, by the names of `Attachments`."""
    image.attachments = replace(attachments_of(image), **attached)
