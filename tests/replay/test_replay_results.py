"""The ISMRMRD file of images: what is read is in it."""

from __future__ import annotations

import h5py
import ismrmrd
import numpy as np
import pytest

from nadenoise_core.errors import RawDataError
from nadenoise_core.replay.results import ImagesFile, read_images_file


def image(number: int) -> ismrmrd.Image:
    made = ismrmrd.Image.from_array(np.full((3, 4), number + 1j, np.complex64), transpose=False)
    made.image_series_index, made.image_index = 1, number
    made.meta["number"] = str(number)
    return made


@pytest.fixture
def path(tmp_path):
    with ImagesFile(tmp_path / "images.h5", b"<ismrmrdHeader/>") as stored:
        for number in (2, 1):
            stored.add(image(number))
    return tmp_path / "images.h5"


def test_images_come_back_in_order(path):
    header, images = read_images_file(path)
    assert header == b"<ismrmrdHeader/>" and [one.meta["number"] for one in images] == ["1", "2"]
    np.testing.assert_array_equal(images[1].data[0, 0], np.full((3, 4), 2 + 1j))


@pytest.mark.parametrize("name", ["dataset", "dataset/xml", "dataset/image_1", "dataset/image_1/data"])
def test_what_is_in_another_file_is_not_read(name, path, tmp_path):
    other = tmp_path / "other.h5"
    other.write_bytes(path.read_bytes())
    with h5py.File(path, "a") as file:
        del file[name]
        file[name] = h5py.ExternalLink(str(other), name)
    with pytest.raises(RawDataError, match="images.h5: is no file of ISMRMRD images .some of it is in another file"):
        read_images_file(path)


@pytest.mark.parametrize("content", [b"", b"no HDF5", None])
def test_what_is_no_such_file_is_told(content, tmp_path):
    if content is None:
        h5py.File(tmp_path / "images.h5", "w").close()
    else:
        (tmp_path / "images.h5").write_bytes(content)
    with pytest.raises(RawDataError, match="is no file of ISMRMRD images") as caught:
        read_images_file(tmp_path / "images.h5")
    assert len(str(caught.value).splitlines()) == 1 and "fault of nadenoise" not in str(caught.value)


def test_a_bit_that_flips_in_a_pixel_or_a_head_is_found(path):
    whole = path.read_bytes()
    for sought in (image(2).data.tobytes(), bytes(image(1).getHead())):
        content = bytearray(whole)
        content[content.index(sought) + 5] ^= 4
        path.write_bytes(content)
        with pytest.raises(RawDataError, match="is no file of ISMRMRD images"):
            read_images_file(path)
