"""HDF5 files with an image dataset, such as fastMRI's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from training.config import Hdf5Settings
from training.errors import DataError
from training.sources.base import Journal, Series, Slice, anonymous, find_files, slices_of


class Hdf5Source:
    """Files of a folder; the subject is the attribute `patient_id` of a file, else the file."""

    def __init__(self, settings: Hdf5Settings) -> None:
        self.settings = settings

    def series(self, journal: Journal) -> Iterator[Series]:
        files = find_files(self.settings.folder, self.settings.pattern)
        for number, path in enumerate(files, 1):
            name = path.relative_to(self.settings.folder).as_posix()
            try:
                found = self._read(path, name, journal)
            except DataError as error:
                journal.skip(name, str(error))
            else:
                if found is not None:
                    yield found
            journal.progress(number, len(files))

    def _read(self, path: Path, name: str, journal: Journal) -> Series | None:
        settings = self.settings
        try:
            with h5py.File(path, "r") as file:
                acquisition = _text(file.attrs.get("acquisition", ""))
                if settings.acquisition is not None and not re.search(settings.acquisition, acquisition):
                    journal.unchosen[acquisition] += 1
                    return None
                if not isinstance(file.get(settings.dataset), h5py.Dataset):
                    raise DataError(f"it has no dataset '{settings.dataset}'; there are {', '.join(file) or 'none'}")
                slices = self._slices(file[settings.dataset])
                return Series(anonymous(_text(file.attrs.get("patient_id", "")) or name), name, slices)
        except (OSError, KeyError, RuntimeError):
            raise DataError("it is no HDF5 file, or damaged") from None

    def _slices(self, dataset: h5py.Dataset) -> tuple[Slice, ...]:
        if dataset.dtype.kind not in "fiuc":
            raise DataError(f"its dataset '{self.settings.dataset}' holds no numbers")
        return slices_of(np.asarray(dataset[()]), self.settings.axis, self.settings.slices, (1.0,) * dataset.ndim)


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
