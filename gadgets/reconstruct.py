"""Make the image of averaged k-space."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import ismrmrd
import numpy as np
from gadgetron.types.recon_data import ReconData
from numpy.typing import NDArray
from pydantic import Field

from nadenoise_core.recon.coils import combine
from nadenoise_core.recon.device import choose_device, to_host
from nadenoise_core.recon.gridding import grid, image_noise_std
from nadenoise_core.recon.nufft import Nufft
from nadenoise_core.sampling.density import Weights, sample_weights
from nadenoise_core.stream.buffer import AveragedReadouts, unpack
from nadenoise_core.stream.gadget import Gadget, GadgetParameters, Item
from nadenoise_core.stream.image import (
    add_to_history,
    comment,
    label,
    new_image,
    say,
    with_directions,
)
from nadenoise_core.stream.scan import Scan


class Reconstruct(Gadget):
    """Make the complex image of averaged k-space, with its noise level."""

    class Parameters(GadgetParameters):
        method: Literal["gridding"] = Field("gridding", description="gridding: adjoint NUFFT of weighted samples")
        density: Literal["pipe_menon", "jacobian"] = Field(
            "pipe_menon",
            description="density compensation: Pipe-Menon from analytic weights, or the analytic weights alone",
        )
        device: str = Field(
            "auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto (a GPU if there is one), cpu, cuda or cuda:N"
        )

    parameters: Parameters
    takes = ReconData
    gives = ismrmrd.Image

    def __init__(self, parameters: GadgetParameters, scan: Scan) -> None:
        super().__init__(parameters, scan)
        self._device = choose_device(self.parameters.device)

    def process(self, items: Iterable[Item]) -> Iterator[Item]:
        matrix = self.scan.encoding.matrix
        trajectory: NDArray[np.float32] | None = None
        index = 0
        for item in items:
            if not isinstance(item, ReconData):
                yield item
                continue
            for bit in item:
                readouts = unpack(bit.data)
                if trajectory is None or not np.array_equal(readouts.trajectory, trajectory):
                    trajectory = readouts.trajectory
                    weights = sample_weights(trajectory, matrix, self.parameters.density)
                    nufft = Nufft(trajectory, matrix, self._device)
                index += 1
                pixels = combine(to_host(grid(readouts.kspace, weights, nufft)))
                yield self._image(pixels, readouts, weights, index)

    def _image(
        self, pixels: NDArray[np.complex64], readouts: AveragedReadouts, weights: Weights, index: int
    ) -> ismrmrd.Image:
        encoding = self.scan.encoding
        averages = int(np.median(readouts.averages))
        field_of_view = (*encoding.field_of_view[::-1], self.scan.slice_thickness)
        header, known = with_directions(readouts.header)
        image = new_image(pixels, header, field_of_view, index)
        label(image, "nufft", f"23Na NUFFT {averages} avg")
        if not known:
            self._remark(image, "the raw data do not say how the slice lies; it is taken as transverse")
        if len(readouts.kspace) > 1:
            self._remark(image, "several coils: signal and aTSC are weighted by the coils' sensitivity")
        reach = np.linalg.norm(readouts.trajectory / np.asarray(encoding.pixel[::-1], np.float32), axis=-1).max()
        say(
            image,
            averages=averages,
            noise_std=image_noise_std(readouts.noise_std, weights),
            method="NUFFT",
            k_max=float(reach),
        )
        add_to_history(image, self.name(), self.parameters.model_dump())
        return image

    def _remark(self, image: ismrmrd.Image, words: str) -> None:
        """Say something of an image in the log and in its comments."""
        self.log.warning(words)
        comment(image, words)
