"""Denoise images with a TorchScript network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Annotated

import ismrmrd
import numpy as np
from pydantic import Field

from nadenoise_core.chain.gadget import Gadget, GadgetParameters, Item, ItemType
from nadenoise_core.configuration.fields import CONSOLE
from nadenoise_core.denoise.bundle import Bundle, choose_bundle, find_bundles, is_path
from nadenoise_core.denoise.guard import Residual, residual
from nadenoise_core.denoise.network import Denoiser, Image
from nadenoise_core.device import NAMES, choose_device
from nadenoise_core.errors import BundleError
from nadenoise_core.mrd.image import (
    add_to_history,
    comment,
    image_beside,
    label,
    on_device,
    pixel_size,
    pixels_of,
    replicas_of,
    say,
    told,
    told_number,
    told_numbers,
)
from nadenoise_core.mrd.scan import Scan


class Denoise(Gadget):
    """Put a denoised image beside every reconstructed image.

    Where no bundle can be trusted with an image, the plain image goes on alone, with the reason in its comments.
    """

    class Parameters(GadgetParameters):
        bundle: Annotated[str, CONSOLE] = Field(
            "auto",
            min_length=1,
            description="auto: a network that is told the noise, for the averages; else the name of a bundle, such as "
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
            if not isinstance(item, ismrmrd.Image) or told(item, "kind") != "plain":
                yield item
                continue
            try:
                denoised = self._denoise(item)
            except BundleError as error:
                self.log.warning("not denoised: %s", error)
                comment(item, f"not denoised: {error}")
                yield item
            else:
                say(item, denoised="beside")
                yield item
                yield denoised

    def _denoise(self, image: ismrmrd.Image) -> ismrmrd.Image:
        if told(image, "method") == "CS":
            raise BundleError("total variation has changed the noise that networks know; set its method to gridding")
        pixels = pixels_of(image)
        averages, noise_std = int(told_number(image, "averages")), told_number(image, "noise_std")
        bundle = choose_bundle(self._bundles, (pixels.shape[0], pixels.shape[1]), averages)
        source = pixels if on_device(image) is None else on_device(image)
        result = self._denoiser(bundle)(source, noise_std)
        denoised = image_beside(image, result, self._replicas(image, self._denoiser(bundle)))
        label(denoised, "denoised", f"23Na CNN {averages} avg (AI denoised)")
        say(denoised, bundle=bundle.name, bundle_version=bundle.metadata.version, bundle_sha256=bundle.sha256)
        comment(denoised, f"denoised by the network {bundle.name}; not for diagnosis")
        if np.iscomplexobj(result) and noise_std > 0:
            k_max = told_number(image, "k_max") * max(pixel_size(image))
            self._judge(denoised, residual(pixels, result, noise_std, k_max))
        add_to_history(denoised, self.name(), {"bundle": bundle.name})
        return denoised

    def _replicas(self, image: ismrmrd.Image, denoiser: Denoiser) -> Iterable[Image]:
        """The image's replicas, denoised as one batch."""
        replicas = replicas_of(image)
        return denoiser.batch(replicas, told_numbers(image, "replica_noise_std")) if len(replicas) else ()

    def _judge(self, denoised: ismrmrd.Image, left: Residual) -> None:
        """Say what the network took away, and what speaks against its image."""
        say(denoised, **{f"residual_{name}": value for name, value in asdict(left).items()})
        for fault in left.faults():
            self.log.warning("the denoised image is not to be trusted: %s", fault)
            comment(denoised, f"not to be trusted: {fault}")

    def _denoiser(self, bundle: Bundle) -> Denoiser:
        if bundle.sha256 not in self._denoisers:
            self._denoisers[bundle.sha256] = Denoiser(bundle, self._device)
        return self._denoisers[bundle.sha256]
