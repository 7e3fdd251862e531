"""Whose scans a study is of: virtual volunteers, or raw files with a label map each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import ismrmrd

from nadenoise_core.errors import BadInputError
from nadenoise_core.mrd.acquisitions import is_image_data
from nadenoise_core.mrd.rawfile import RawFile
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.replay.provenance import sha256_of
from nadenoise_core.simulate.measurement import VirtualMeasurement
from nadenoise_core.study.config import FileSubjects, LabelNumbers, SubjectSettings, VirtualSubjects


@dataclass(frozen=True)
class Source:
    """A scan as it comes.

    Attributes:
        header_xml: the ISMRMRD header.
        acquisitions: in order; to be read once.
        averages: how many averages there are.
        readouts: how many acquisitions of the image there are.
    """

    header_xml: str | bytes
    acquisitions: Iterator[ismrmrd.Acquisition]
    averages: int
    readouts: int


@dataclass(frozen=True)
class Subject:
    """A volunteer: a virtual measurement, or a raw file with its label map.

    Attributes:
        name: unique in the study.
        measurement: of a virtual volunteer.
        raw, regions, labels: of a raw file: itself, its label map, and what the labels mean.
        outlines, outline_names: label map of all tissues, for the fit, and names of its labels; None: there is none.
    """

    name: str
    measurement: VirtualMeasurement | None = None
    raw: Path | None = None
    regions: Path | None = None
    labels: LabelNumbers = LabelNumbers()
    outlines: Path | None = None
    outline_names: Path | None = None

    @contextmanager
    def open(self, average_counter: str = "average") -> Iterator[Source]:
        """The scan, ready to be read.

        Args:
            average_counter: the acquisition counter that counts averages.

        Raises:
            RawDataError: the raw file cannot be read.
        """
        if self.measurement is not None:
            made = self.measurement
            yield Source(made.header_xml(), made.acquisitions(), made.averages, made.acquisition_count())
            return
        assert self.raw is not None
        with RawFile(self.raw) as file:
            # What the header announces is not always what came.
            scan = read_scan(file.header_xml)
            readouts = [item.idx for item in file.acquisitions() if is_image_data(item, scan)]
            averages = {getattr(idx, average_counter) for idx in readouts}
            yield Source(file.header_xml, file.acquisitions(), len(averages), len(readouts))

    def without_noise(self) -> Subject | None:
        """The same scan without noise, for which one average is enough; None of a raw file."""
        made = self.measurement
        return None if made is None else replace(self, measurement=replace(made, noise=0.0, averages=1))

    def described(self) -> dict[str, Any]:
        """All that decides the scan and its regions, as plain data; no path, which may name a patient."""
        if self.measurement is not None:
            return {"name": self.name, "measurement": asdict(self.measurement)}
        assert self.raw is not None and self.regions is not None
        return {
            "name": self.name,
            "raw_sha256": sha256_of(self.raw),
            "regions_sha256": sha256_of(self.regions),
            "labels": self.labels.model_dump(),
            **{
                f"{name}_sha256": sha256_of(path)
                for name in ("outlines", "outline_names")
                if (path := getattr(self, name)) is not None
            },
        }


def list_subjects(settings: SubjectSettings) -> tuple[Subject, ...]:
    """The volunteers of a study, in order.

    Raises:
        BadInputError: no raw file, two of one name, or one without a label map.
    """
    return tuple(_virtual(settings) if isinstance(settings, VirtualSubjects) else _files(settings))


def _virtual(settings: VirtualSubjects) -> Iterator[Subject]:
    width = max(2, len(str(settings.count)))
    volunteers = settings.cohort().volunteers(settings.count, settings.seed, settings.averages)
    for number, measurement in enumerate(volunteers, 1):
        yield Subject(f"virtual{number:0{width}d}", measurement)


def _files(settings: FileSubjects) -> Iterator[Subject]:
    if not settings.folder.is_dir():
        raise BadInputError(f"{settings.folder}: no such folder; set subjects.folder to where the raw files are")
    raws = sorted(path for path in settings.folder.glob(settings.pattern) if path.is_file())
    if not raws:
        raise BadInputError(f"{settings.folder}: no file fits subjects.pattern '{settings.pattern}'; set another")
    names = [raw.stem for raw in raws]
    if twice := sorted(name for name, count in Counter(names).items() if count > 1):
        raise BadInputError(f"{settings.folder}: several raw files are called {', '.join(twice)}; rename them")
    template = Subject(
        "", labels=settings.labels, outline_names=settings.outline_names and settings.outline_names.absolute()
    )
    for name, raw in zip(names, raws, strict=True):
        drawn = _label_map(settings.regions, name)
        if drawn is None:
            raise BadInputError(
                f"{raw}: has no label map {settings.regions / name}.nii.gz; draw one in ITK-SNAP on the image that "
                f"`nadenoise study export {raw.name}` writes, with the labels of subjects.labels"
            )
        outlines = None if settings.outlines is None else _label_map(settings.outlines, name)
        if settings.outlines is not None and outlines is None:
            raise BadInputError(
                f"{raw}: has no label map {settings.outlines / name}.nii.gz; draw it, or leave out subjects.outlines"
            )
        yield replace(
            template,
            name=name,
            raw=raw.absolute(),
            regions=drawn.absolute(),
            outlines=outlines and outlines.absolute(),
        )


def _label_map(folder: Path, name: str) -> Path | None:
    """The label map of that name in a folder."""
    paths = (folder / f"{name}{suffix}" for suffix in (".nii.gz", ".nii", ".nrrd", ".seg.nrrd"))
    return next((path for path in paths if path.is_file()), None)
