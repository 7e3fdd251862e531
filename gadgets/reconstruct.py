"""Make the image of averaged k-space."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from nadenoise_core.chain.gadget import Gadget, GadgetParameters, Item, ItemType
from nadenoise_core.configuration.fields import CONSOLE, PATH
from nadenoise_core.device import NAMES, choose_device
from nadenoise_core.errors import BadInputError, RawDataError
from nadenoise_core.mrd.facts import ImageFacts, Kind, Replica
from nadenoise_core.mrd.image import keep_on_device, new_image, with_directions
from nadenoise_core.quantify.nifti import read_map
from nadenoise_core.recon.settings import Method, Settings
from nadenoise_core.sampling.density import DensityCompensation

if TYPE_CHECKING:
    import ismrmrd

    from nadenoise_core.mrd.buffer import AveragedReadouts
    from nadenoise_core.mrd.scan import Scan
    from nadenoise_core.recon.reconstruction import Reconstructed, Reconstruction
    from nadenoise_core.recon.total_variation import TotalVariation

_LARGEST_OFF_RESONANCE = 5000.0  # Hz, far more than 30 ppm of sodium at 7 T


class Reconstruct(Gadget):
    """Make the complex image of averaged k-space, with its noise level."""

    class Parameters(GadgetParameters):
        method: Annotated[Method, CONSOLE] = Field(
            Method.GRIDDING,
            description="gridding: adjoint NUFFT of weighted samples; least_squares: conjugate gradients, for signal "
            "in the corners of the field of view; total_variation: compressed sensing",
        )
        density: DensityCompensation = Field(
            DensityCompensation.PIPE_MENON,
            description="density compensation: Pipe-Menon from analytic weights, or the analytic weights alone",
        )
        tv_weight: float = Field(
            Settings.weight,
            gt=0,
            le=100,
            description="weight of total variation, in noise standard deviations of the gridded image; 3 with one "
            "refinement, 1.2 without, is best from 5 to 150 averages",
        )
        tv_norm: Literal["isotropic", "anisotropic"] = Field("isotropic", description="which total variation")
        tv_refinements: int = Field(
            Settings.refinements,
            ge=0,
            le=5,
            description="how often total variation gives back the contrast that it took (Bregman iterations)",
        )
        b0_map: Annotated[str, PATH] = Field(
            "",
            description="NIfTI map of off-resonance in Hz on the image's grid, to be corrected, without NaN; a spin at "
            "+f has the phase exp(-2 pi i f t); empty corrects nothing",
        )
        device: str = Field("auto", pattern=NAMES, description="auto (a GPU if there is one), cpu, cuda or cuda:N")

    parameters: Parameters
    takes = ItemType.RECON_DATA
    gives = ItemType.IMAGE

    def __init__(self, parameters: GadgetParameters, scan: Scan) -> None:
        super().__init__(parameters, scan)
        given = self.parameters
        self._device = choose_device(given.device)
        self._settings = Settings(
            method=given.method,
            density=given.density,
            weight=given.tv_weight,
            isotropic=given.tv_norm == "isotropic",
            refinements=given.tv_refinements,
        )
        self._field_map = _read_field_map(Path(given.b0_map), scan.encoding.matrix) if given.b0_map else None

    def process(self, items: Iterable[Item]) -> Iterator[Item]:
        from gadgetron.types.recon_data import ReconData

        from nadenoise_core.mrd.buffer import unpack

        reconstruction: Reconstruction | None = None
        starts: dict[tuple[int, ...], TotalVariation] = {}
        index = 0
        for item in items:
            if not isinstance(item, ReconData):
                yield item
                continue
            for bit in item:
                readouts = unpack(bit.data)
                if reconstruction is None or not np.array_equal(readouts.trajectory, reconstruction.trajectory):
                    reconstruction, starts = self._prepare(readouts), {}
                index += 1
                # The image of fewer averages is a good start for the next.
                place = _place(readouts.header)
                result = reconstruction(readouts.kspace, readouts.noise_std, starts.get(place))
                if result.solution is not None:
                    starts[place] = result.solution
                replicas = [reconstruction(replica.kspace, replica.noise_std) for replica in readouts.replicas]
                yield self._image(result, replicas, readouts, index)

    def _prepare(self, readouts: AveragedReadouts) -> Reconstruction:
        from nadenoise_core.recon.reconstruction import Reconstruction

        times: NDArray[np.float64] = 1e-6 * readouts.header.sample_time_us * np.arange(readouts.kspace.shape[-1])
        if self._field_map is not None and not readouts.header.sample_time_us > 0:
            raise RawDataError("the raw data do not say sample_time_us, which b0_map needs; convert them with it")
        return Reconstruction(
            readouts.trajectory, self.scan.encoding.matrix, self._settings, self._device, self._field_map, times
        )

    def _image(
        self, result: Reconstructed, replicas: Sequence[Reconstructed], readouts: AveragedReadouts, index: int
    ) -> ismrmrd.Image:
        encoding = self.scan.encoding
        header, known = with_directions(readouts.header)
        remarks = [*self._remarks(readouts, known), *result.remarks]
        for remark in remarks:
            self.log.warning(remark)
        reach = np.linalg.norm(readouts.trajectory / np.asarray(encoding.pixel[::-1], np.float32), axis=-1).max()
        facts = ImageFacts(
            kind=Kind.PLAIN,
            averages=int(np.median(readouts.averages)),
            method=result.method,
            noise_std=result.noise_std,
            k_max=float(reach),
            replicas=tuple(
                Replica(int(np.median(replica.averages)), made.noise_std)
                for replica, made in zip(readouts.replicas, replicas, strict=True)
            ),
            comments=(*remarks, *(["corrected by b0_map"] if self._field_map is not None else [])),
        ).after(self.name(), self.parameters.model_dump(exclude={"b0_map"}))
        field_of_view = (*encoding.field_of_view[::-1], self.scan.slice_thickness)
        image = new_image(result.image, header, field_of_view, index, facts, [replica.image for replica in replicas])
        keep_on_device(image, result.on_device)
        return image

    def _remarks(self, readouts: AveragedReadouts, lies_known: bool) -> Iterator[str]:
        if not lies_known:
            yield "the raw data do not say how the slice lies; it is taken as transverse"
        if len(readouts.kspace) > 1:
            yield "several coils: aTSC is weighted by their sensitivity; a receive_map of 'quantify' corrects it"


def _read_field_map(path: Path, matrix: tuple[int, int]) -> NDArray[np.float64]:
    """Off-resonance in Hz, (rows, columns).

    Raises:
        BadInputError: the file holds no map of this matrix, or not all of its values can be frequencies in Hz.
    """
    field_map = read_map(path, matrix)
    # Off-resonance is corrected by sums over the image: one value that is not known would spoil all pixels.
    if not np.isfinite(field_map).all():
        raise BadInputError(
            f"{path}: {np.sum(~np.isfinite(field_map))} values are NaN or infinite; fill them, with the mean or 0 Hz"
        )
    largest = float(np.abs(field_map).max())
    if largest > _LARGEST_OFF_RESONANCE:
        raise BadInputError(
            f"{path}: holds {largest:.4g} Hz; convert the map to Hz, not rad/s or the phase of a scanner"
        )
    return field_map


def _place(header: ismrmrd.AcquisitionHeader) -> tuple[int, ...]:
    """Which image of the scan, whatever its number of averages."""
    counters = ("kspace_encode_step_2", "slice", "contrast", "phase", "repetition")
    return tuple(getattr(header.idx, counter) for counter in counters)
