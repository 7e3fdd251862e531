"""Deliver images as DICOM objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from nadenoise_core.chain.gadget import DicomFile, Gadget, GadgetParameters, Item, ItemType
from nadenoise_core.configuration.fields import CONSOLE, PATH
from nadenoise_core.errors import OutputError
from nadenoise_core.mrd.facts import ImageFacts, Kind
from nadenoise_core.mrd.image import as_integers, facts_of, pixels_of

if TYPE_CHECKING:
    import ismrmrd
    from pydicom.dataset import Dataset

    from nadenoise_core.dicom import Product, Study
    from nadenoise_core.dicom.outbox import Outbox
    from nadenoise_core.mrd.scan import Scan

_HEADROOM = 4.0  # later images of a measurement may be brighter than the first
_CONSOLE_LARGEST = 4095
_CONSOLE_ATSC_STEP, _CONSOLE_ATSC_LEAST = 0.05, -20.0  # mmol/L: from -20 to 184.75


class Deliver(Gadget):
    """Write every image as a DICOM object: one series a product. The images themselves go on unchanged."""

    class Parameters(GadgetParameters):
        folder: Annotated[str, PATH] = Field("", description="where to write DICOM files; empty writes none")
        outbox: Annotated[str, PATH] = Field(
            "", description="folder that `nadenoise deliver` sends to a PACS or DICOMweb; empty: none"
        )
        send: bool = Field(
            False,
            description="send the DICOM files down the stream, too, each after its image; for clients of `nadenoise "
            "serve`, since Gadgetron takes none from inside a chain",
        )
        pixels: Literal["as they are", "12 bit"] = Field(
            "as they are",
            description="of the images that go on: as they are (complex, or mmol/L), or whole numbers of 12 bits with "
            "their scale in the meta, as a Siemens console takes them",
        )
        laterality: Annotated[Literal["", "L", "R", "B"], CONSOLE] = Field(
            "", description="which leg: L, R, B for both, empty for unknown"
        )
        series_number_offset: int = Field(0, ge=0, le=9000, description="added to the series numbers")

    parameters: Parameters
    takes = ItemType.IMAGE
    gives = ItemType.IMAGE

    def __init__(self, parameters: GadgetParameters, scan: Scan) -> None:
        super().__init__(parameters, scan)
        self._scale: float | None = None
        self._delivered: dict[tuple[int, Kind], tuple[str, str]] = {}
        self._study = _study(scan, self.parameters.laterality, self.parameters.series_number_offset)

    def process(self, items: Iterable[Item]) -> Iterator[Item]:
        for item in items:
            wanted = self.parameters.folder or self.parameters.outbox or self.parameters.send
            facts = facts_of(item)
            if facts is None:
                yield item
                continue
            file = self._deliver(item, facts) if wanted else None
            yield self._for_console(item, facts) if self.parameters.pixels == "12 bit" else item
            if file is not None:
                yield file

    def _deliver(self, image: ismrmrd.Image, facts: ImageFacts) -> DicomFile | None:
        """Write an image as DICOM to the folder and the outbox, if there are any; the file, if it is to be sent."""
        from nadenoise_core.dicom import Geometry, encode, to_dataset, write
        from nadenoise_core.dicom.outbox import Outbox

        head = image.getHead()
        study = replace(self._study, measurement_id=f"{self._study.measurement_id} {head.measurement_uid}")
        product = self._product(image, facts, head.image_index, head.repetition + 1)
        geometry = Geometry(
            position=list(head.position),
            read_dir=list(head.read_dir),
            phase_dir=list(head.phase_dir),
            slice_dir=list(head.slice_dir),
            field_of_view=(head.field_of_view[0], head.field_of_view[1]),
            slice_thickness=self.scan.slice_thickness,
            patient_position=self.scan.patient_position,
        )
        signal = "denoised" if facts.network is not None else facts.method.label.lower()
        kind = f"atsc_{signal}" if facts.kind is Kind.ATSC else signal
        name = f"{kind}_{facts.averages:03d}avg_{product.instance_number:03d}.dcm"
        dataset = to_dataset(product, geometry, study)
        self._delivered[head.image_index, facts.kind] = (dataset.SOPClassUID, dataset.SOPInstanceUID)
        if self.parameters.folder:
            write(dataset, Path(self.parameters.folder), name)
        if self.parameters.outbox:
            self._put(dataset, Outbox(Path(self.parameters.outbox)))
        return DicomFile(name, encode(dataset)) if self.parameters.send else None

    def _for_console(self, image: ismrmrd.Image, facts: ImageFacts) -> ismrmrd.Image:
        if facts.kind is Kind.ATSC:
            return as_integers(image, _CONSOLE_ATSC_STEP, _CONSOLE_ATSC_LEAST, _CONSOLE_LARGEST)
        return as_integers(
            image, self._scale_of(np.asarray(np.abs(pixels_of(image)))) * 65536 / 4096, 0.0, _CONSOLE_LARGEST
        )

    def _scale_of(self, magnitude: NDArray[np.generic]) -> float:
        """One step of 16 bits, a power of two: the same for all images of the measurement, whose numbers compare."""
        if self._scale is None:
            self._scale = float(2.0 ** np.ceil(np.log2(max(_HEADROOM * float(magnitude.max()), 1e-30) / 65535)))
        return self._scale

    def _put(self, dataset: Dataset, outbox: Outbox) -> None:
        """Leave an object for delivery; what goes wrong there must not end the scan."""
        try:
            outbox.put(dataset)
        except OutputError as error:
            self.log.warning("an image will not be delivered: %s", error)

    def _product(self, image: ismrmrd.Image, facts: ImageFacts, index: int, repetition: int) -> Product:
        from nadenoise_core.dicom import Product

        pixels = pixels_of(image)
        real = np.abs(pixels) if np.iscomplexobj(pixels) else pixels
        made_from = Kind.PLAIN if facts.kind is Kind.DENOISED else facts.atsc and facts.atsc.source
        source = self._delivered.get((index, made_from)) if made_from else None
        return Product(
            facts=facts,
            pixels=real,
            scale=self._scale_of(real) if facts.kind is not Kind.ATSC else 1.0,
            instance_number=index,
            acquisition_number=repetition,
            source=(source,) if source else (),
        )


def _study(scan: Scan, laterality: str, series_number_offset: int) -> Study:
    """What the header says, in DICOM's terms."""
    from nadenoise_core.dicom import Study

    return Study(
        measurement_id=f"{scan.measurement_id} {scan.fingerprint}",
        laterality=laterality,
        series_number_offset=series_number_offset,
        **vars(scan.words),
    )
