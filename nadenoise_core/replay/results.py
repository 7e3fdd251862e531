"""Where results go: folders and files that appear when they are whole, and the ISMRMRD file of images."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import ismrmrd

from nadenoise_core.errors import NadenoiseError, OutputError, RawDataError
from nadenoise_core.files import check_name, make_folder, no_file, write_whole
from nadenoise_core.hdf5 import is_elsewhere
from nadenoise_core.helper import Helper
from nadenoise_core.jobs.owner import has_died, owner_mark
from nadenoise_core.mrd.header import storable_header

_SERIES = "image_"
_PATIENCE = 30.0  # s for an image
_TRIES = 20

RESULTS = ("images.h5", "dicom", "report.json", "report.html", "overview.png", "nifti")
"""What the folder of a replay holds; the first is in every one."""


def check_replaceable(final: Path, ours: Sequence[str] = RESULTS) -> None:
    """Check that a folder which is to be replaced holds results of ours and nothing else.

    Args:
        final: the folder; it may be missing, or empty.
        ours: the names that such a folder holds, of which the first is in every one.

    Raises:
        OutputError: it is a file, or holds something else.
    """
    if not final.exists():
        return
    names = {path.name for path in final.iterdir()} if final.is_dir() else {final.name}
    if foreign := sorted(names - set(ours)) or (sorted(names) if names and ours[0] not in names else []):
        raise OutputError(
            f"{final}: is not replaced, since it holds {foreign[0]}, which may be yours; move it elsewhere"
        )


@contextmanager
def folder_in_progress(final: Path, ours: Sequence[str] = RESULTS) -> Iterator[Path]:
    """A hidden folder beside `final`, that takes its name when all went well and is gone when not.

    Several processes, of several machines, may make one folder at a time: each has its own, and the last one stays.
    What a process left that was killed is taken away by the next that makes the same folder on its machine.

    Args:
        final: it replaces results that are there.
        ours: see `check_replaceable`.

    Raises:
        OutputError: it cannot be written, or what is there is not of ours.
    """
    check_name(final)
    check_replaceable(final, ours)
    room = final.with_name(f".{final.name}.part")
    folder = room / owner_mark()
    try:
        try:
            _clear(room)
            _make(folder)
            yield folder
            _put_in_place(folder, final)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):  # others are in it
                room.rmdir()
    except OSError as error:
        reason = error.strerror or (str(error).splitlines() or ["unknown"])[0]
        raise OutputError(f"cannot write {final}: {reason}; check the folder and its free space") from error


def _put_in_place(folder: Path, final: Path) -> None:
    """Give a folder its name; what had the name before goes."""
    retired = folder.with_name(f"{folder.name}.old")
    try:
        while True:
            with suppress(FileNotFoundError):
                os.rename(final, retired)
            try:
                os.rename(folder, final)
                return
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
            shutil.rmtree(retired, ignore_errors=True)  # another process was faster: it is the earlier one now
    finally:
        shutil.rmtree(retired, ignore_errors=True)


def _clear(room: Path) -> None:
    """Take away what dead processes of this machine have left."""
    for left in room.glob("*@*"):
        if has_died(left.name.removesuffix(".old")):
            shutil.rmtree(left, ignore_errors=True)


def _make(folder: Path) -> None:
    """Make a folder; another process may just be taking away the one around it."""
    for _ in range(_TRIES):
        with suppress(FileNotFoundError):
            make_folder(folder)
            return
    make_folder(folder)


class ImagesFile:
    """An ISMRMRD file of images, `image_<series>` in the group "dataset"; a context manager that writes it at its end.

    HDF5 does not survive a disc that fills: it writes to memory, and what it wrote goes to disc.
    """

    def __init__(self, path: Path, header_xml: bytes | str) -> None:
        self._path = path
        self._memory = BytesIO()
        self._dataset = ismrmrd.Dataset(self._memory, "dataset", create_if_needed=True)
        self._dataset.write_xml_header(storable_header(header_xml))

    def add(self, image: ismrmrd.Image) -> None:
        """Store an image with its words."""
        self._dataset.append_image(f"{_SERIES}{image.getHead().image_series_index}", image)

    def all_of(self, items: Iterable[Any]) -> list[ismrmrd.Image]:
        """Store the images of a stream, and give them."""
        images = []
        for item in items:
            if isinstance(item, ismrmrd.Image):
                self.add(item)
                images.append(item)
        return images

    def __enter__(self) -> ImagesFile:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._dataset.close()
        if error is None:
            write_whole(self._path, _with_checksums(self._memory))


def _with_checksums(stored: BytesIO) -> bytes:
    """The same file, in which HDF5 finds a bit that flips in heads or pixels; ismrmrd stores them without checksums."""
    made = BytesIO()
    with h5py.File(stored, "r") as file, h5py.File(made, "w") as copy:
        group = copy.create_group("dataset")
        for name, item in file["dataset"].items():
            if not name.startswith(_SERIES):
                file.copy(item, group, name)
                continue
            series = group.create_group(name)
            for part, values in item.items():
                if h5py.check_vlen_dtype(values.dtype) is not None:  # HDF5 has no checksums for texts
                    file.copy(values, series, part)
                else:
                    shape = {"chunks": (1, *values.shape[1:]), "maxshape": values.maxshape}
                    series.create_dataset(part, data=values[:], dtype=values.dtype, fletcher32=True, **shape)
    return made.getvalue()


def read_images_file(path: Path) -> tuple[bytes, list[ismrmrd.Image]]:
    """Header and images of an `images.h5`: by number, and for each number the plain image first.

    Raises:
        RawDataError: the file is missing or cannot be read.
    """
    if not path.is_file():
        raise RawDataError(f"{path}: {no_file(path)}")
    try:
        with Helper(lambda: _parts(path), _PATIENCE) as parts:
            header, *images = parts
    except NadenoiseError as error:  # h5py and ismrmrd raise types of their own for whatever is damaged
        raise RawDataError(f"{path}: is no file of ISMRMRD images ({error})") from None
    return header, sorted(images, key=lambda image: image.image_index)


def _parts(path: Path) -> Iterator[Any]:
    """The header, then the images."""
    with h5py.File(path, "r") as file:
        if any(is_elsewhere(group, name) for group, name in _entries(file)):
            raise RawDataError("some of it is in another file")
    content = path.read_bytes()
    # ismrmrd opens a file for writing; a copy in memory leaves it as it is.
    with closing(ismrmrd.Dataset(BytesIO(content), "dataset", create_if_needed=False)) as dataset:
        yield dataset.read_xml_header()
        for name in sorted(name for name in dataset.list() if name.startswith(_SERIES)):
            count = dataset.number_of_images(name)
            if count > len(content):
                raise RawDataError(f"it says that it holds {count} images, for which it is too small")
            for number in range(count):
                yield dataset.read_image(name, number)


def _entries(file: Any) -> Iterator[tuple[Any, str]]:
    """What is read, as groups and names in them, from the outside to the inside."""
    yield file, "dataset"
    group = file["dataset"]
    yield group, "xml"
    for name in group:
        if name.startswith(_SERIES):
            yield group, name
            yield from ((group[name], part) for part in group[name])
