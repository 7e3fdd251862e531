"""Deliver images as DICOM objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from nadenoise_core.chain.gadget import DicomFile, Gadget, GadgetParameters, Item, ItemType
from nadenoise_core.configuration.fields import CONSOLE, PATH
from nadenoise_core.errors import OutputError
from nadenoise_core.mrd.image import facts_of
from nadenoise_core.mrd.scale import Scale

if TYPE_CHECKING:
    import ismrmrd
    from pydicom.dataset import Dataset

    from nadenoise_core.mrd.scan import Scan


class Deliver(Gadget):
    """Write every image as a DICOM object: one series a product. The images themselves go on unchanged."""

    class Parameters(GadgetParameters):
        written = frozenset({"folder", "outbox"})

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
        regions: bool = Field(
            True,
            description="deliver the regions of a map, too: their outlines as a DICOM Segmentation, what they read as "
            "a structured report (TID 1500)",
        )
        parametric_map: bool = Field(
            False, description="deliver maps of concentration as DICOM Parametric Maps in floating point, too"
        )
        incomplete: bool = Field(
            True, description="deliver images of a scan, too, that ended far before what its header announces"
        )
        series_number_offset: int = Field(0, ge=0, le=9000, description="added to the series numbers")

    parameters: Parameters
    takes = ItemType.IMAGE
    gives = ItemType.IMAGE

    def __init__(self, parameters: GadgetParameters, scan: Scan) -> None:
        from nadenoise_core.dicom.measurement import Measurement

        super().__init__(parameters, scan)
        given = self.parameters
        self._scale = Scale()
        self._undelivered: list[str] = []
        self._measurement = Measurement(scan, self._scale, given.laterality, given.series_number_offset)

    def process(self, items: Iterable[Item]) -> Iterator[Item]:
        given = self.parameters
        for item in items:
            facts = facts_of(item)
            if facts is None:
                yield item
                continue
            wanted = given.incomplete or not facts.announced
            files = self._deliver(item) if wanted and (given.folder or given.outbox or given.send) else []
            yield self._scale.for_console(item) if given.pixels == "12 bit" else item
            yield from files
        if self._undelivered:
            raise OutputError(
                f"{len(self._undelivered)} images are not in the outbox and will not be delivered: "
                f"{self._undelivered[0]}; replay the scan afterwards"
            )

    def _deliver(self, image: ismrmrd.Image) -> list[DicomFile]:
        """Write what is made of an image to folder and outbox, if there are any; the files that are to be sent."""
        from nadenoise_core.dicom import encode, write
        from nadenoise_core.dicom.outbox import Outbox

        name, dataset = self._measurement.dataset(image)
        made: list[tuple[str, Dataset]] = [(name, dataset)]
        if self.parameters.regions:
            made += self._measurement.region_objects(image, dataset)
        if self.parameters.parametric_map:
            made += self._measurement.parametric_maps(image, dataset)
        files = []
        for name, part in made:
            if self.parameters.folder:
                write(part, Path(self.parameters.folder), name)
            if self.parameters.outbox:
                try:
                    Outbox(Path(self.parameters.outbox)).put(part)
                except OutputError as error:  # which must not end the scan before its last image
                    self.log.warning("an image will not be delivered: %s", error)
                    self._undelivered.append(str(error))
            if self.parameters.send:
                files.append(DicomFile(name, encode(part)))
        return files
