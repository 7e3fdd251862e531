"""NIfTI files: one volume a file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError

from training.config import NiftiSettings
from training.errors import DataError
from training.sources.base import Journal, Series, Slice, anonymous, find_files, slices_of


class NiftiSource:
    """Files of a folder; a file is a subject unless the settings say how to find it in the path."""

    def __init__(self, settings: NiftiSettings) -> None:
        self.settings = settings

    def series(self, journal: Journal) -> Iterator[Series]:
        files = find_files(self.settings.folder, self.settings.pattern)
        for number, path in enumerate(files, 1):
            name = path.relative_to(self.settings.folder).as_posix()
            try:
                yield Series(anonymous(self._subject(name)), name, self._slices(path))
            except DataError as error:
                journal.skip(name, str(error))
            journal.progress(number, len(files))

    def _subject(self, name: str) -> str:
        if self.settings.subject is None:
            return name
        found = re.search(self.settings.subject, name)
        if found is None:
            raise DataError("data.source.subject is not found in its path")
        return found[1] if found.groups() else found[0]

    def _slices(self, path: Path) -> tuple[Slice, ...]:
        try:
            image = nibabel.load(path)
            spacing = tuple(float(step) for step in image.header.get_zooms())
            return slices_of(np.asanyarray(image.dataobj), self.settings.axis, self.settings.slices, spacing)
        except (ImageFileError, OSError, EOFError, ValueError, TypeError, AttributeError):
            raise DataError("it is no NIfTI file, or damaged") from None
