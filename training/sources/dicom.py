"""A folder of DICOM files: series chosen by their description.

Reasons and keys come from here alone, never from a file: a message of a DICOM library can hold what stands in it.
"""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.errors import InvalidDicomError
from pydicom.pixels import apply_rescale

from training.config import DicomSettings
from training.errors import DataError
from training.sources.base import Journal, Series, Slice, anonymous, evenly, find_files

_HEADER = (
    "PatientName",  # read only to keep it out of messages
    "PatientID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesDescription",
    "SOPInstanceUID",
    "InstanceNumber",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "ImageType",
    "NumberOfFrames",
    "SamplesPerPixel",
    "Rows",
    "Columns",
)


@dataclass(frozen=True)
class _Frame:
    """One image of one file, and its place among those of its series."""

    path: Path
    index: int
    place: tuple[float, ...]


class DicomSource:
    """Series whose description fits the settings; the order of slices is that along the normal."""

    def __init__(self, settings: DicomSettings) -> None:
        self.settings = settings
        self._names: set[str] = set()

    def series(self, journal: Journal) -> Iterator[Series]:
        groups = self._groups(find_files(self.settings.folder), journal)
        if not groups and journal.unchosen:
            there = ", ".join(f"{series or 'none'} ({count})" for series, count in journal.unchosen.most_common(10))
            raise DataError(
                f"{self.settings.folder}: no series has a description with '{self.settings.description}'; there are "
                f"{there}; set data.source.description"
            )
        for key in sorted(groups):
            subject, uid = key
            slices = self._slices(sorted(groups[key], key=lambda frame: frame.place), journal)
            if slices:
                yield Series(subject, f"series {anonymous(uid)}", slices)

    def _groups(self, files: list[Path], journal: Journal) -> dict[tuple[str, str], list[_Frame]]:
        """Frames of the chosen series, by (subject, series)."""
        groups: dict[tuple[str, str], list[_Frame]] = defaultdict(list)
        bad: list[tuple[Path, str]] = []
        seen: set[str] = set()
        unchosen: set[str] = set()
        for number, path in enumerate(files, 1):
            journal.progress(number, len(files))
            if path.name == "DICOMDIR":
                continue
            try:
                header = _read(path, pixels=False)
                uid, instance = str(header.get("SeriesInstanceUID", "")), str(header.get("SOPInstanceUID", ""))
                self._names |= _words(str(header.get("PatientName", ""))) | _words(str(header.get("PatientID", "")))
                if not uid:
                    raise DataError("it has no SeriesInstanceUID")
                series = str(header.get("SeriesDescription", ""))
                if not re.search(self.settings.description, series, re.IGNORECASE):
                    journal.unchosen[series] += uid not in unchosen
                    unchosen.add(uid)
                    continue
                _check(header)
                if instance and instance in seen:
                    raise DataError("it is the same image as another file")
                seen.add(instance)
                groups[self._subject(header), uid] += _frames(path, header)
            except DataError as error:
                bad.append((path, str(error)))
            except (ValueError, TypeError, OverflowError, AttributeError):  # of elements that are no numbers
                bad.append((path, "its header holds values that cannot be read"))
        for path, reason in bad:
            journal.skip(self._name(path), reason)
        return dict(groups)

    def _subject(self, header: FileDataset) -> str:
        wanted = {"patient": "PatientID", "study": "StudyInstanceUID", "series": "SeriesInstanceUID"}
        value = str(header.get(wanted[self.settings.subject], ""))
        return anonymous(value or str(header.SeriesInstanceUID))

    def _slices(self, frames: list[_Frame], journal: Journal) -> tuple[Slice, ...]:
        """The wanted slices; for one that cannot be read, the nearest that can."""
        left = dict(enumerate(frames))
        made: dict[int, Slice] = {}
        for wanted in evenly(len(frames), self.settings.slices):
            while left:
                nearest = min(left, key=lambda index: (abs(index - wanted), index))
                frame = left.pop(nearest)
                try:
                    made[nearest] = _slice(frame)
                    break
                except DataError as error:
                    journal.skip(self._name(frame.path), str(error))
        return tuple(made[index] for index in sorted(made))

    def _name(self, path: Path) -> str:
        """A file's path in the folder, without names and IDs of patients."""
        name = path.relative_to(self.settings.folder).as_posix()
        for word in sorted(self._names, key=len, reverse=True):
            name = re.sub(re.escape(word), "***", name, flags=re.IGNORECASE)
        return name


def _read(path: Path, pixels: bool) -> FileDataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they quote what stands in the file
        try:
            return pydicom.dcmread(path, stop_before_pixels=not pixels, specific_tags=None if pixels else list(_HEADER))
        except InvalidDicomError:
            raise DataError("it is no DICOM file") from None
        except Exception:  # a damaged file raises anything
            raise DataError("it is damaged: its header cannot be read") from None


def _check(header: FileDataset) -> None:
    """Refuse what is no magnitude image of one channel."""
    if not header.get("Rows") or not header.get("Columns"):
        raise DataError("it holds no image")
    if header.get("SamplesPerPixel", 1) != 1:
        raise DataError("it is in colour")
    if {"P", "PHASE"} & {str(word).upper() for word in header.get("ImageType", None) or ()}:
        raise DataError("it is a phase image")


def _frames(path: Path, header: FileDataset) -> list[_Frame]:
    """A file's images; their place is that along the normal, else the instance number, else the file's name."""
    count = int(header.get("NumberOfFrames", 1) or 1)
    number = float(header.get("InstanceNumber", 0) or 0)
    position, orientation = header.get("ImagePositionPatient"), header.get("ImageOrientationPatient")
    along = 0.0
    if position and orientation and len(position) == 3 and len(orientation) == 6:
        axes = np.array(orientation, dtype=np.float64)
        along = float(np.dot(np.cross(axes[:3], axes[3:]), np.array(position, dtype=np.float64)))
    return [_Frame(path, index, (along, number, index)) for index in range(count)]


def _slice(frame: _Frame) -> Slice:
    dataset = _read(frame.path, pixels=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            stored: NDArray[np.generic] = dataset.pixel_array
            pixels = np.asarray(apply_rescale(stored, dataset), np.float32)
        except (RuntimeError, NotImplementedError):
            syntax = dataset.file_meta.get("TransferSyntaxUID")
            known = f" ({syntax.name})" if syntax is not None and syntax.is_compressed else ""
            raise DataError(f"its pixels cannot be decoded{known}; see pydicom's page on compressed data") from None
        except Exception:
            raise DataError("it is damaged: its pixels cannot be read") from None
    image = pixels[frame.index] if pixels.ndim == 3 else pixels
    if image.ndim != 2 or not np.isfinite(image).all():
        raise DataError("it holds values that are not finite")
    if str(dataset.get("PhotometricInterpretation", "")) == "MONOCHROME1":
        image = image.max() - image
    if image.max() == image.min():
        raise DataError("it is uniform")
    return Slice(np.abs(image), _spacing(dataset))


def _spacing(dataset: FileDataset) -> tuple[float, float]:
    try:
        rows, columns = (float(step) for step in dataset.PixelSpacing)
    except (AttributeError, TypeError, ValueError):
        return 1.0, 1.0
    return (rows, columns) if 0 < rows < np.inf and 0 < columns < np.inf else (1.0, 1.0)


def _words(text: str) -> set[str]:
    """The parts of a name that are long enough to be one."""
    parts: Iterable[str] = re.split(r"[\^=\s,_]+", text)
    return {part for part in parts if len(part) >= 3}
