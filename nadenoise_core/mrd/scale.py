"""Whole numbers for images: one scale for all of a measurement, so that their numbers compare."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nadenoise_core.mrd.image import as_integers, known_facts, pixels_of

if TYPE_CHECKING:
    import ismrmrd

_HEADROOM = 4.0  # later images of a measurement may be brighter than the first
_CONSOLE_LARGEST = 4095
_CONSOLE_ATSC_STEP, _CONSOLE_ATSC_LEAST = 0.05, -20.0  # mmol/L: from -20 to 184.75


class Scale:
    """The scale of a measurement; its first image sets that of magnitudes."""

    def __init__(self) -> None:
        self._step: float | None = None

    def step(self, image: ismrmrd.Image) -> float:
        """One step of 16 bits for the magnitude of an image, in its unit: a power of two."""
        if self._step is None:
            largest = max(_HEADROOM * float(np.abs(pixels_of(image)).max()), 1e-30)
            self._step = float(2.0 ** np.ceil(np.log2(largest / 65535)))
        return self._step

    def for_console(self, image: ismrmrd.Image) -> ismrmrd.Image:
        """The image as whole numbers of 12 bits, as a Siemens console takes them."""
        if known_facts(image).kind.is_concentration:
            return as_integers(image, _CONSOLE_ATSC_STEP, _CONSOLE_ATSC_LEAST, _CONSOLE_LARGEST)
        return as_integers(image, self.step(image) * 65536 / 4096, 0.0, _CONSOLE_LARGEST)
