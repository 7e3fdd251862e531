"""Denoise images with a TorchScript network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from nadenoise_core.chain.gadget import Gadget, GadgetParameters, Item, ItemType
from nadenoise_core.configuration.fields import CONSOLE
from nadenoise_core.denoise.apart import denoiser_of
from nadenoise_core.denoise.bundle import Bundle, choose_bundle, find_bundles, is_path
from nadenoise_core.denoise.guard import Residual, residual
from nadenoise_core.denoise.network import Denoiser
from nadenoise_core.device import NAMES, choose_device
from nadenoise_core.errors import BundleError
from nadenoise_core.mrd.attachments import attachments_of
from nadenoise_core.mrd.facts import ImageFacts, Kind, Network, known
from nadenoise_core.mrd.image import (
    comment,
    facts_of,
    image_beside,
    known_facts,
    pixel_size,
    pixels_of,
    put_facts,
    wide_pixels_of,
    without_surroundings,
)
from nadenoise_core.recon.settings import Method

if TYPE_CHECKING:
    import ismrmrd

    from nadenoise_core.mrd.scan import Scan


class Denoise(Gadget):
    """Put a denoised image beside every reconstructed image.

    Where no bundle can be trusted with an image, the plain image goes on alone, with the reason in its comments.
    """

    class Parameters(GadgetParameters):
        bundle: Annotated[str, CONSOLE] = Field(
            "auto",
            min_length=1,
            description="auto: a noise-aware network that serves the averages; else the name of a bundle, such as "
            "paper_30, or its file",
        )
        bundle_sha256: str | None = Field(
            None, pattern=r"^[0-9a-fA-F]{64}$", description="checksum that the bundle must have; a file needs it"
        )
        device: str = Field("auto", pattern=NAMES, description="auto (a GPU if there is one), cpu, cuda or cuda:N")

        def paths(self) -> dict[str, str]:
            return {"bundle": self.bundle} if is_path(self.bundle) else {}

    parameters: Parameters
    takes = ItemType.IMAGE
    gives = ItemType.IMAGE

    def __init__(self, parameters: GadgetParameters, scan: Scan) -> None:
        super().__init__(parameters, scan)
        self._device = str(choose_device(self.parameters.device))
        self._denoisers: dict[str, Denoiser] = {}
        self._bundles = find_bundles(self.parameters.bundle, self.parameters.bundle_sha256)
        if self.parameters.bundle != "auto":
            misfit = self._bundles[0].misfit(scan.encoding.matrix)
            if misfit:
                raise BundleError(f"bundle '{self._bundles[0].name}' does not fit the scan: {misfit}; choose another")
        # Networks are loaded before the first sample, so that no image waits for them.
        for bundle in self._bundles:
            if bundle.misfit(scan.encoding.matrix) is None:
                self._denoiser(bundle)

    def process(self, items: Iterable[Item]) -> Iterator[Item]:
        for item in items:
            facts = facts_of(item)
            if facts is None or facts.kind is not Kind.PLAIN:
                yield item
                continue
            try:
                denoised = self._denoise(item, facts)
            except BundleError as error:
                self.log.warning("not denoised: %s", error)
                comment(item, f"not denoised: {error}")
                yield without_surroundings(item)
            else:
                plain = without_surroundings(item)
                put_facts(plain, replace(known_facts(plain), denoised_beside=True))
                yield plain
                yield denoised

    def _denoise(self, image: ismrmrd.Image, facts: ImageFacts) -> ismrmrd.Image:
        if facts.method is Method.TOTAL_VARIATION:
            raise BundleError("total variation has changed the noise that networks know; set its method to gridding")
        pixels = pixels_of(image)
        bundle = choose_bundle(self._bundles, (pixels.shape[0], pixels.shape[1]), facts.averages)
        denoiser = self._denoiser(bundle)
        wide = wide_pixels_of(image)
        on_gpu = None if denoiser.context else attachments_of(image).on_device
        width = facts.surroundings
        result = denoiser(wide[0], facts.noise_std, width) if on_gpu is None else denoiser(on_gpu, facts.noise_std)
        left: Residual | None = None
        faults: tuple[str, ...] = ()
        if np.iscomplexobj(result) and facts.noise_std > 0:
            pixel = pixel_size(image)
            edge = known(facts.k_max * max(pixel)) or 0.5  # cycles/pixel; of the matrix where it is not known
            left = residual(pixels, result, facts.noise_std, edge, pixel)
            faults = left.faults()
        for fault in faults:
            self.log.warning("the denoised image is not to be trusted: %s", fault)
        made = replace(
            facts,
            kind=Kind.DENOISED,
            network=Network(bundle.name, bundle.metadata.version, bundle.sha256),
            residual=left,
            surroundings=0,
        )
        made = made.commented(f"denoised by the network {bundle.name}; not for diagnosis")
        made = made.commented(*(f"not to be trusted: {fault}" for fault in faults))
        mirrored = max(denoiser.context - width, 0)
        made = made.after(self.name(), {"bundle": bundle.name} | ({"mirrored": mirrored} if mirrored else {}))
        stds = [replica.noise_std for replica in facts.replicas]
        replicas = denoiser.batch(wide[1:], stds, width) if stds else ()
        return image_beside(image, result, made, replicas)

    def _denoiser(self, bundle: Bundle) -> Denoiser:
        if bundle.sha256 not in self._denoisers:
            self._denoisers[bundle.sha256] = denoiser_of(bundle, self._device)
        return self._denoisers[bundle.sha256]
