"""The images of one measurement as DICOM objects that refer to each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

import ismrmrd
import numpy as np
from pydicom.dataset import Dataset, FileDataset

from nadenoise_core.dicom.mr_image import to_dataset
from nadenoise_core.dicom.product import Geometry, Product, Study
from nadenoise_core.mrd.attachments import attachments_of
from nadenoise_core.mrd.counters import Counter
from nadenoise_core.mrd.facts import Kind
from nadenoise_core.mrd.geometry import plane_of
from nadenoise_core.mrd.image import known_facts, pixels_of
from nadenoise_core.mrd.scale import Scale
from nadenoise_core.mrd.scan import Scan

_Object = TypeVar("_Object", bound=Dataset)

_SOURCE = {Kind.DENOISED: Kind.PLAIN, Kind.ERROR: Kind.ATSC}


class Measurement:
    """Makes the DICOM objects of a scan's images, and remembers which was made from which.

    Args:
        scan: whose header says who and how was measured.
        scale: of the measurement's magnitudes.
        laterality: L, R, B for both legs, empty for unknown.
        series_number_offset: added to the series numbers.
    """

    def __init__(self, scan: Scan, scale: Scale, laterality: str = "", series_number_offset: int = 0) -> None:
        self._scan, self._scale = scan, scale
        self._made: dict[tuple[int, Kind], tuple[str, str]] = {}
        self._study = Study(
            measurement_id=f"{scan.measurement_id} {scan.fingerprint}",
            laterality=laterality,
            series_number_offset=series_number_offset,
            **vars(scan.study),
        )

    def dataset(self, image: ismrmrd.Image) -> tuple[str, FileDataset]:
        """The name of a file, and the object in it, of an image of ours."""
        head, product = image.getHead(), self._product(image)
        study = replace(
            self._study,
            measurement_id=f"{self._study.measurement_id} {self._number_of(head)}",
            echo_time=self._echo_time(head.contrast),
        )
        dataset = self._deidentified(to_dataset(product, self._geometry(head), study))
        self._made[head.image_index, product.facts.kind] = (dataset.SOPClassUID, dataset.SOPInstanceUID)
        return product.file_name, dataset

    def region_objects(self, image: ismrmrd.Image, dataset: FileDataset) -> Iterator[tuple[str, Dataset]]:
        """Names of files, and the objects in them: outlines of the regions of a map, and what they read.

        Args:
            dataset: of the map.
        """
        from nadenoise_core.dicom.region_report import region_report
        from nadenoise_core.dicom.segmentation import segmentation

        atsc, outlined = known_facts(image).atsc, attachments_of(image).regions
        if atsc is None or not atsc.regions:
            return
        name = self._product(image).file_name
        outlines, segments = None, None
        if outlined is not None:
            outlines, segments = segmentation(dataset, outlined, plane_of(image))
            yield f"regions_{name}", self._deidentified(outlines)
        yield f"report_{name}", self._deidentified(region_report(dataset, atsc.regions, outlines, segments))

    def _deidentified(self, dataset: _Object) -> _Object:
        """The same object, de-identified where the scan is."""
        if self._scan.deidentification is not None:
            from nadenoise_core.dicom.deidentify import deidentify

            deidentify(dataset, self._scan.deidentification)
        return dataset

    def _number_of(self, head: ismrmrd.ImageHeader) -> int:
        """The number of the measurement, as it stands in what was captured."""
        hidden = self._scan.deidentification
        return int(head.measurement_uid) if hidden is None else hidden.pseudonyms.number(head.measurement_uid)

    def parametric_maps(self, image: ismrmrd.Image, dataset: FileDataset) -> Iterator[tuple[str, Dataset]]:
        """Name of a file, and the object in it, of a map in floating point; nothing of other images.

        Args:
            dataset: of the map as an MR image.
        """
        from nadenoise_core.dicom.parametric_map import parametric_map

        if known_facts(image).kind.is_concentration:
            yield f"map_{self._product(image).file_name}", parametric_map(dataset, pixels_of(image))

    def _product(self, image: ismrmrd.Image) -> Product:
        facts, head, pixels = known_facts(image), image.getHead(), pixels_of(image)
        made_from = _SOURCE.get(facts.kind) or (facts.atsc and facts.atsc.source)
        source = self._made.get((head.image_index, made_from)) if made_from else None
        return Product(
            facts=facts,
            pixels=np.abs(pixels) if np.iscomplexobj(pixels) else pixels,
            scale=1.0 if facts.kind.is_concentration else self._scale.step(image),
            instance_number=head.image_index,
            acquisition_number=head.repetition + 1,
            echo_number=head.contrast + 1 if self._has_echoes or head.contrast else 0,
            temporal_positions=max(self._scan.count(Counter.REPETITION) or 1, head.repetition + 1),
            source=(source,) if source else (),
        )

    @property
    def _has_echoes(self) -> bool:
        return (self._scan.count(Counter.CONTRAST) or 1) > 1

    def _echo_time(self, contrast: int) -> float | None:
        """Of an echo, ms; None where the header does not give its own."""
        times = self._scan.sequence.echo_times
        return times[contrast] if contrast < len(times) else None

    def _geometry(self, head: ismrmrd.ImageHeader) -> Geometry:
        return Geometry(
            position=list(head.position),
            read_dir=list(head.read_dir),
            phase_dir=list(head.phase_dir),
            slice_dir=list(head.slice_dir),
            field_of_view=(head.field_of_view[0], head.field_of_view[1]),
            slice_thickness=self._scan.slice_thickness,
            patient_position=self._scan.patient_position,
        )
