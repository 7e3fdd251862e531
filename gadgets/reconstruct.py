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
from nadenoise_core.errors import RawDataError
from nadenoise_core.mrd.attachments import attach
from nadenoise_core.mrd.facts import ImageFacts, Kind, Replica
from nadenoise_core.mrd.geometry import plane_at, with_directions
from nadenoise_core.mrd.image import new_image
from nadenoise_core.mrd.surroundings import widest
from nadenoise_core.quantify.plane import SlicePlane, sample_map
from nadenoise_core.quantify.volume import read_field_map
from nadenoise_core.recon.settings import Method, Settings
from nadenoise_core.sampling.density import DensityCompensation

if TYPE_CHECKING:
    import ismrmrd

    from nadenoise_core.mrd.buffer import AveragedReadouts
    from nadenoise_core.mrd.scan import Scan
    from nadenoise_core.recon.reconstruction import Reconstructed, Reconstruction
    from nadenoise_core.recon.total_variation import TotalVariation


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
        tv_edge: float = Field(
            0.0,
            ge=0,
            le=100,
            description="slope, in noise standard deviations a pixel, that halves the weight of total variation, so "
            "that thin structures keep their contrast; 0: the weight is the same everywhere",
        )
        b0_map: Annotated[str, PATH] = Field(
            "",
            description="map of off-resonance in Hz, to be corrected: NIfTI or NRRD, of any resolution and "
            "orientation, that covers the image, without NaN; a spin at +f has the phase exp(-2 pi i f t); empty "
            "corrects nothing",
        )
        surroundings: int = Field(
            0,
            ge=0,
            le=32,
            description="pixels around the field of view that are gridded too, on every side, for a network that sees "
            "them, and that travel with the image as further channels (as many as these hold); of one coil without "
            "b0_map, by gridding",
        )
        device: str = Field("auto", pattern=NAMES, description="auto (a GPU if there is one), cpu, cuda or cuda:N")

        def open_inputs(self) -> None:
            if self.b0_map:
                read_field_map(Path(self.b0_map))

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
            edge=given.tv_edge,
        )
        self._surroundings = min(given.surroundings, widest(scan.encoding.matrix))
        self._b0 = read_field_map(Path(given.b0_map)) if given.b0_map else None

    def process(self, items: Iterable[Item]) -> Iterator[Item]:
        from nadenoise_core.mrd.buffer import unpack
        from nadenoise_core.mrd.recon_data import ReconData

        reconstruction: Reconstruction | None = None
        field_map: NDArray[np.float64] | None = None
        where = b""
        starts: dict[tuple[int, ...], TotalVariation] = {}
        index = 0
        for item in items:
            if not isinstance(item, ReconData):
                yield item
                continue
            for readouts in (unpack(bit.data) for bit in item):
                plane = self._plane(readouts)
                same = (
                    reconstruction is not None
                    and np.array_equal(readouts.trajectory, reconstruction.trajectory)
                    and np.array_equal(_or_empty(readouts.repeats), _or_empty(reconstruction.repeats))
                )
                if reconstruction is None or not same or (self._b0 is not None and plane.key != where):
                    field_map = sample_map(self._b0, plane) if self._b0 is not None else None
                    reconstruction, starts, where = self._prepare(readouts, field_map), {}, plane.key
                index += 1
                # The image of fewer averages is a good start for the next.
                result = reconstruction(readouts.kspace, readouts.noise_std, starts.get(readouts.place))
                if result.solution is not None:
                    starts[readouts.place] = result.solution
                replicas = [reconstruction(replica.kspace, replica.noise_std) for replica in readouts.replicas]
                image = self._image(result, replicas, readouts, index)
                attach(image, on_device=result.on_device, readouts=readouts, off_resonance=field_map)
                yield image

    def _plane(self, readouts: AveragedReadouts) -> SlicePlane:
        header, _ = with_directions(readouts.header)
        encoding = self.scan.encoding
        return plane_at(header, encoding.pixel, encoding.matrix, self.scan.slice_thickness)

    def _prepare(self, readouts: AveragedReadouts, field_map: NDArray[np.float64] | None) -> Reconstruction:
        from nadenoise_core.recon.reconstruction import Reconstruction

        times = readouts.sample_times
        if field_map is not None and not times.any():
            raise RawDataError("the raw data do not say sample_time_us, which b0_map needs; convert them with it")
        matrix = self.scan.encoding.matrix
        wider = self._surroundings
        return Reconstruction(
            readouts.trajectory, matrix, self._settings, self._device, field_map, times, wider, readouts.repeats
        )

    def _image(
        self, result: Reconstructed, replicas: Sequence[Reconstructed], readouts: AveragedReadouts, index: int
    ) -> ismrmrd.Image:
        encoding = self.scan.encoding
        header, known = with_directions(readouts.header)
        remarks = [*self._remarks(readouts, known), *result.remarks]
        for remark in remarks:
            self.log.warning(remark)
        facts = ImageFacts(
            kind=Kind.PLAIN,
            averages=readouts.typical_averages,
            method=result.method,
            noise_std=result.noise_std,
            k_max=readouts.k_max(encoding.pixel),
            replicas=tuple(
                Replica(averaged.typical_averages, replica.noise_std)
                for averaged, replica in zip(readouts.replicas, replicas, strict=True)
            ),
            announced=readouts.announced,
            surroundings=self._surroundings if result.wide is not None else 0,
            comments=(*remarks, *(["corrected by b0_map"] if self._b0 is not None else [])),
        ).after(self.name(), self.parameters.model_dump(exclude={"b0_map"}))
        field_of_view = (*encoding.field_of_view[::-1], self.scan.slice_thickness)
        planes = [replica.image for replica in replicas]
        wides = [made.wide for made in (result, *replicas) if made.wide is not None]
        wide = np.stack(wides) if wides else None
        return new_image(result.image, header, field_of_view, index, facts, planes, wide)

    def _remarks(self, readouts: AveragedReadouts, lies_known: bool) -> Iterator[str]:
        if readouts.announced:
            came = readouts.typical_averages
            yield f"incomplete: the scan ended after {came} of the {readouts.announced} averages that it announced"
        if not lies_known:
            yield "the raw data do not say how the slice lies; it is taken as transverse"
        if len(readouts.kspace) > 1:
            yield "several coils: aTSC is weighted by their sensitivity; a receive_map of 'quantify' corrects it"


def _or_empty(repeats: NDArray[np.floating] | None) -> NDArray[np.floating]:
    return np.zeros(0) if repeats is None else repeats
