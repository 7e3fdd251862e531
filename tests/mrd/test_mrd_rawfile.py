"""Raw files against the ISMRMRD library, in both directions; damaged ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import h5py
import ismrmrd
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nadenoise_core.errors import OutputError, RawDataError
from nadenoise_core.mrd.rawfile import RawFile, write_raw_file
from nadenoise_core.mrd.rawfile_reading import read_parts

HEADER = "<ismrmrdHeader/>"


def acquisitions(count: int = 5) -> list[ismrmrd.Acquisition]:
    """Acquisitions that differ in size, with every kind of header field set."""
    rng = np.random.default_rng(1)
    made = []
    for number in range(count):
        coils, samples, dimensions = 1 + number % 3, 8 + number, (2, 3, 0)[number % 3]
        data = rng.standard_normal((coils, samples, 2)).astype(np.float32).view(np.complex64)[..., 0]
        trajectory = rng.standard_normal((samples, dimensions)).astype(np.float32)
        head = ismrmrd.AcquisitionHeader()
        head.version, head.number_of_samples, head.active_channels = 1, samples, coils
        head.available_channels, head.trajectory_dimensions = coils, dimensions
        head.scan_counter, head.measurement_uid, head.sample_time_us = number, 4123456789, 14.8
        head.idx.average, head.idx.kspace_encode_step_1, head.idx.user[3] = number, number % 2, 9
        head.position[:], head.read_dir[:] = (1, 2, number), (0.6, 0.8, 0)
        head.user_int[2], head.user_float[7], head.channel_mask[0] = -5, 0.125, 7
        made.append(ismrmrd.Acquisition(head, data=data, trajectory=trajectory))
        made[-1].set_flag(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
    return made


def written_by_library(path: Path, items: list[ismrmrd.Acquisition], group: str = "dataset", header: str = HEADER):
    with closing(ismrmrd.Dataset(str(path), group, create_if_needed=True)) as dataset:
        dataset.write_xml_header(header)
        for item in items:
            dataset.append_acquisition(item)
    return path


def same(ours: ismrmrd.Acquisition, theirs: ismrmrd.Acquisition) -> bool:
    return (
        bytes(ours.getHead()) == bytes(theirs.getHead())
        and np.array_equal(ours.data, theirs.data)
        and np.array_equal(ours.traj, theirs.traj)
    )


@pytest.mark.parametrize("count", [1, 5, 300])  # 300 is more than one block
def test_files_of_the_library_are_read(count, tmp_path):
    items = acquisitions(count)
    with RawFile(written_by_library(tmp_path / "a.h5", items)) as file:
        assert len(file) == count and file.header_xml.decode() == HEADER
        read = list(file.acquisitions())
    assert len(read) == count and all(map(same, read, items))


@pytest.mark.parametrize("count", [0, 1, 5, 300])
def test_the_library_reads_our_files(count, tmp_path):
    items = acquisitions(count)
    write_raw_file(tmp_path / "a.h5", HEADER, items)
    with closing(ismrmrd.Dataset(str(tmp_path / "a.h5"), "dataset", create_if_needed=False)) as dataset:
        assert dataset.read_xml_header() == HEADER.encode()
        assert dataset.number_of_acquisitions() == count
        assert all(same(dataset.read_acquisition(number), item) for number, item in enumerate(items))
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_our_files_are_read(tmp_path):
    items = acquisitions(6)
    write_raw_file(tmp_path / "a.h5", HEADER, iter(items))
    with RawFile(tmp_path / "a.h5") as file:
        assert all(map(same, file.acquisitions(), items))


def test_groups(tmp_path):
    path = written_by_library(tmp_path / "a.h5", acquisitions(2), "first")
    with RawFile(path) as file:
        assert len(file) == 2
    written_by_library(path, acquisitions(3), "second")
    with RawFile(path, "first") as first, RawFile(path, "second") as second:
        assert (len(first), len(second)) == (2, 3)
    with pytest.raises(RawDataError, match=r"several measurements \(first, second\); choose one with --group"):
        RawFile(path)
    with pytest.raises(RawDataError, match="no measurement 'third'; it holds first, second"):
        RawFile(path, "third")


def refused(path: Path, *words: str) -> None:
    with pytest.raises(RawDataError) as caught, RawFile(path) as file:
        list(file.acquisitions())
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and len(message.splitlines()) == 1
    assert all(word in message for word in words), message


def test_what_is_no_raw_file_is_told(tmp_path):
    refused(tmp_path / "missing.h5", "no such file")
    refused(tmp_path, "a folder, no file")
    (tmp_path / "empty.h5").touch()
    refused(tmp_path / "empty.h5", "it is empty")
    (tmp_path / "text.h5").write_text("time,signal\n" * 1000)
    refused(tmp_path / "text.h5", "not a readable HDF5 file")
    with h5py.File(tmp_path / "nothing.h5", "w"):
        pass
    refused(tmp_path / "nothing.h5", "no ISMRMRD measurement", "it holds nothing")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["images"] = np.zeros(3)
        file.create_group("dataset")["data"] = np.zeros(3)
    refused(tmp_path / "other.h5", "no ISMRMRD measurement", "images")


def test_a_measurement_of_other_things_is_told(tmp_path):
    for number, (xml, data) in enumerate(
        [
            (np.zeros(0), np.zeros(3)),
            (np.array([b"<x/>"]), np.zeros(3)),
            (np.array([b"<x/>"]), np.zeros(3, dtype=[("head", "i4"), ("data", "f4")])),
            (5.0, np.zeros(3)),
        ]
    ):
        path = tmp_path / f"{number}.h5"
        with h5py.File(path, "w") as file:
            file["dataset/xml"], file["dataset/data"] = xml, data
        refused(path)
    with h5py.File(tmp_path / "groups.h5", "w") as file:
        file.create_group("dataset/xml")
        file.create_group("dataset/data")
    refused(tmp_path / "groups.h5")


@pytest.mark.parametrize(
    ("field", "value"), [("number_of_samples", 7), ("active_channels", 3), ("trajectory_dimensions", 2)]
)
def test_data_that_do_not_match_their_header_are_told_by_number(field, value, tmp_path):
    path = written_by_library(tmp_path / "a.h5", acquisitions(3))
    with h5py.File(path, "r+") as file:
        rows = file["dataset/data"][:]
        rows["head"][field][1] = value
        file["dataset/data"][:] = rows
    refused(path, "acquisition 1 holds", "damaged")


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[Path, bytes]:
    path = tmp_path_factory.mktemp("truncated") / "a.h5"
    write_raw_file(path, HEADER, acquisitions(40))
    return path, path.read_bytes()


@given(st.floats(0, 1, exclude_max=True))
@settings(max_examples=40, deadline=None)
def test_a_truncated_file_is_told(whole, share):
    path, content = whole
    path.write_bytes(content[: int(share * len(content))])
    refused(path)


@pytest.mark.parametrize("signature", [b"TREE", b"HEAP", b"SNOD"])
def test_a_damaged_file_is_told(whole, signature, tmp_path):
    _, content = whole
    assert content.count(signature)
    (tmp_path / "a.h5").write_bytes(content.replace(signature, b"XXXX"))
    refused(tmp_path / "a.h5")


def test_a_scan_that_breaks_off_leaves_no_file(tmp_path):
    def broken() -> Iterator[ismrmrd.Acquisition]:
        yield from acquisitions(3)
        raise KeyboardInterrupt

    (tmp_path / "a.h5").write_text("before")
    with pytest.raises(KeyboardInterrupt):
        write_raw_file(tmp_path / "a.h5", HEADER, broken())
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]
    assert (tmp_path / "a.h5").read_text() == "before"


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    for folder in ("file", "missing"):
        path = tmp_path / folder / "a.h5"
        with pytest.raises(OutputError) as caught:
            write_raw_file(path, HEADER, acquisitions(1))
        assert str(caught.value).startswith(f"cannot write {path}: ") and len(str(caught.value).splitlines()) == 1


def flipped(path: Path, place: int, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)


def test_a_bit_that_flips_is_found_or_changes_nothing(tmp_path):
    path = tmp_path / "scan.h5"
    items = acquisitions(40)
    write_raw_file(path, HEADER, items)
    whole = path.read_bytes()
    rng = np.random.default_rng(5)
    found = 0
    for place, bit in zip(rng.integers(0, len(whole), 300), rng.integers(0, 8, 300), strict=True):
        path.write_bytes(whole)
        flipped(path, int(place), int(bit))
        try:
            opened, block = read_parts(path, None)  # as a helper does; none of these places makes HDF5 hang
        except RawDataError:
            found += 1
        else:
            assert opened.header_xml == HEADER.encode() and opened.acquisitions == len(items)
            assert block.heads.tobytes() == b"".join(bytes(item.getHead()) for item in items)
            assert block.data.tobytes() == b"".join(item.data.tobytes() for item in items)
            assert block.trajectory.tobytes() == b"".join(item.traj.tobytes() for item in items)
    assert found > 50


def test_a_file_at_which_hdf5_hangs_is_told(tmp_path):
    path = tmp_path / "scan.h5"
    write_raw_file(path, HEADER, acquisitions(40))
    content = bytearray(path.read_bytes())
    heap = content.index(b"GCOL")
    content[heap + 64 : heap + 4096] = bytes(4032)  # an object of no size, after which HDF5 looks for the next
    path.write_bytes(content)
    with pytest.raises(RawDataError, match=r"scan.h5: cannot be read \(it took more than 0.5 s\); copy or convert"):
        RawFile(path, seconds=0.5)


def test_acquisitions_can_be_read_twice_and_left_in_the_middle(tmp_path):
    items = acquisitions(3)
    write_raw_file(tmp_path / "scan.h5", HEADER, items)
    with RawFile(tmp_path / "scan.h5") as file:
        assert same(next(file.acquisitions()), items[0])
        for _ in range(2):
            assert all(same(*pair) for pair in zip(file.acquisitions(), items, strict=True))


def test_a_number_of_acquisitions_that_the_file_cannot_hold_is_told(tmp_path):
    path = written_by_library(tmp_path / "a.h5", acquisitions(3))
    with h5py.File(path, "a") as file:
        file["dataset/data"].resize(1 << 40, axis=0)
    refused(path, "says that it holds 1099511627776 acquisitions, for which it is too small")


@pytest.mark.parametrize("what", ["a sample", "the trajectory", "the header"])
def test_what_was_changed_is_named(what, tmp_path):
    path = tmp_path / "scan.h5"
    items = acquisitions(3)
    write_raw_file(path, HEADER, items)
    sought = {
        "a sample": items[1].data.tobytes(),
        "the trajectory": items[1].traj.tobytes(),
        "the header": HEADER.encode(),
    }[what]
    place = path.read_bytes().index(sought)
    flipped(path, place + 2, 4)
    words = "header is not as it was written" if what == "the header" else "acquisition 1 is not as it was written"
    with pytest.raises(RawDataError, match=words), RawFile(path) as file:
        list(file.acquisitions())


def test_a_file_that_has_lost_its_checksums_is_told(tmp_path):
    path = tmp_path / "scan.h5"
    write_raw_file(path, HEADER, acquisitions(3))
    with h5py.File(path, "a") as file:
        del file["dataset/checksums"]
    refused(path, "the checksums that it was written with are gone", "damaged")


def test_a_file_that_was_edited_on_purpose_is_read(tmp_path):
    path = tmp_path / "scan.h5"
    write_raw_file(path, HEADER, acquisitions(3))
    dataset = ismrmrd.Dataset(path, create_if_needed=False)
    dataset.write_xml_header(HEADER + "<!-- edited -->")
    dataset.close()
    refused(path, "header is not as it was written", "delete the attribute 'checksums' of its dataset 'data'")
    with h5py.File(path, "a") as file:
        del file["dataset/data"].attrs["checksums"]
    with RawFile(path) as file:
        assert b"edited" in file.header_xml and not file.has_checksums
        assert len(list(file.acquisitions())) == 3


def test_acquisitions_that_another_program_wrote_anew_are_read(tmp_path):
    path, items = tmp_path / "scan.h5", acquisitions(3)
    write_raw_file(path, HEADER, items)
    with h5py.File(path, "a") as file:
        del file["dataset/data"]
    dataset = ismrmrd.Dataset(path, create_if_needed=False)
    for item in items[:2]:
        dataset.append_acquisition(item)
    dataset.close()
    with RawFile(path) as file:
        assert len(list(file.acquisitions())) == 2


def test_whether_there_are_checksums_is_known(tmp_path):
    write_raw_file(tmp_path / "ours.h5", HEADER, acquisitions(2))
    theirs = written_by_library(tmp_path / "theirs.h5", acquisitions(2))
    with RawFile(tmp_path / "ours.h5") as file:
        assert file.has_checksums
    with RawFile(theirs) as file:
        assert not file.has_checksums


@pytest.mark.parametrize("name", ["xml", "data", "checksums"])
@pytest.mark.parametrize("kind", ["link", "soft link", "virtual", "storage"])
def test_a_file_whose_data_are_elsewhere_is_refused(name, kind, tmp_path):
    path, other = tmp_path / "scan.h5", tmp_path / "other.h5"
    for one in (path, other):
        write_raw_file(one, HEADER, acquisitions(2))
    with h5py.File(path, "a") as file:
        group = file["dataset"]
        shape, dtype = group[name].shape, np.dtype("u4")
        del group[name]
        if kind == "link":
            group[name] = h5py.ExternalLink(str(other), f"dataset/{name}")
        elif kind == "soft link":
            group["elsewhere"] = h5py.ExternalLink(str(other), "dataset")
            group[name] = h5py.SoftLink(f"/dataset/elsewhere/{name}")
        elif kind == "virtual":
            layout = h5py.VirtualLayout(shape, dtype)
            layout[:] = h5py.VirtualSource(str(other), f"dataset/{name}", shape, dtype)
            group.create_virtual_dataset(name, layout)
        else:
            group.create_dataset(name, shape, dtype, external=[("/etc/hostname", 0, 8)])
    with pytest.raises(RawDataError, match=f"'{name}' is in another file"):
        RawFile(path)


def test_a_file_is_not_replaced_unless_it_may(tmp_path):
    path = tmp_path / "scan.h5"
    write_raw_file(path, HEADER, acquisitions(2))
    before = path.read_bytes()
    with pytest.raises(OutputError, match="File exists"):
        write_raw_file(path, HEADER, acquisitions(3), replace=False)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1
