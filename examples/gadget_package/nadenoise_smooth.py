"""An example of a gadget in a package of its own: install it, and chains can name it.

pip install examples/gadget_package
nadenoise chain describe smooth
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import nan
from typing import Annotated

from pydantic import Field

from nadenoise_core.chain.gadget import Gadget, GadgetParameters, Item, ItemType
from nadenoise_core.configuration.fields import Unit
from nadenoise_core.mrd.facts import Kind


class Smooth(Gadget):
    """Smooth every reconstructed image by a Gaussian."""

    class Parameters(GadgetParameters):
        width: Annotated[float, Unit("mm")] = Field(4.5, gt=0, le=50, description="full width at half maximum")

    parameters: Parameters
    takes = ItemType.IMAGE
    gives = ItemType.IMAGE

    def process(self, items: Iterable[Item]) -> Iterator[Item]:
        from scipy.ndimage import gaussian_filter

        from nadenoise_core.mrd.image import facts_of, image_beside, pixel_size, pixels_of

        for item in items:
            facts = facts_of(item)
            if facts is None or facts.kind is not Kind.PLAIN:
                yield item  # what a gadget does not handle it passes on
                continue
            sigma = [self.parameters.width / 2.3548 / side for side in pixel_size(item)]
            smoothed = gaussian_filter(pixels_of(item), sigma)
            # Pixels are no longer independent, and their noise is not what a network was trained for.
            known = replace(facts, noise_std=nan, replicas=()).commented(f"smoothed by {self.parameters.width:g} mm")
            yield image_beside(item, smoothed, known.after(self.name(), self.parameters.model_dump()))
