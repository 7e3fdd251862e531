"""Raw files as others lay them out: HDF5 is read by name, and the header's bytes stay as they are."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import ismrmrd
import numpy as np
import pytest
from ismrmrd.hdf5 import acquisition_dtype

from nadenoise_core.errors import RawDataError
from nadenoise_core.mrd.rawfile import RawFile, write_raw_file
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.simulate.measurement import VirtualMeasurement

XML = VirtualMeasurement(averages=1).header_xml()


@pytest.fixture
def items():
    rng = np.random.default_rng(4)
    made = []
    for number in range(5):
        data = (rng.standard_normal((2, 6)) + 1j * rng.standard_normal((2, 6))).astype(np.complex64)
        acquisition = ismrmrd.Acquisition.from_array(data, rng.standard_normal((6, 2)).astype(np.float32))
        acquisition.idx.kspace_encode_step_1 = number
        acquisition.sample_time_us, acquisition.scan_counter = 14.8, 100_000 + number
        acquisition.position[:] = (1.5, -2.5, number)
        made.append(acquisition)
    return made


def big_endian(dtype: np.dtype) -> np.dtype:
    if dtype.names:
        return np.dtype([(name, big_endian(dtype[name])) for name in dtype.names])
    if dtype.subdtype:
        return np.dtype((big_endian(dtype.subdtype[0]), dtype.subdtype[1]))
    inner = h5py.check_dtype(vlen=dtype)
    return h5py.vlen_dtype(np.dtype(inner).newbyteorder(">")) if inner else dtype.newbyteorder(">")


def shuffled(dtype: np.dtype) -> np.dtype:
    if not dtype.names:
        return dtype
    return np.dtype(
        [(name, shuffled(dtype[name])) for name in sorted(dtype.names)] + [(f"new_{len(dtype.names)}", "<i4")]
    )


def widened(dtype: np.dtype) -> np.dtype:
    if dtype.names:
        return np.dtype([(name, widened(dtype[name])) for name in dtype.names])
    wider = {"<u2": "<u4", "<f4": "<f8"}
    if dtype.subdtype:
        return np.dtype((widened(dtype.subdtype[0]), dtype.subdtype[1]))
    return np.dtype(wider.get(dtype.str, dtype)) if h5py.check_dtype(vlen=dtype) is None else dtype


def fill(target, source):
    for name in source.dtype.names:
        if source.dtype[name].names:
            fill(target[name], source[name])
        else:
            target[name] = source[name]


def laid_out(path: Path, items, change) -> None:
    """A raw file whose acquisitions have another compound type."""
    write_raw_file(path, XML, items)
    with h5py.File(path, "r+") as file:
        rows = file["dataset/data"][()]
        other = np.empty(len(rows), change(acquisition_dtype))
        fill(other["head"], rows["head"])
        for name in ("traj", "data"):
            inner = h5py.check_dtype(vlen=other.dtype[name])
            for row, given in zip(other, rows, strict=True):
                row[name] = given[name].astype(inner)
        del file["dataset/data"]
        file["dataset"].create_dataset("data", data=other)


@pytest.mark.parametrize("change", [lambda same: same, big_endian, shuffled, widened])
def test_acquisitions_are_read_by_the_names_of_their_fields(change, items, tmp_path):
    laid_out(tmp_path / "raw.h5", items, change)
    with RawFile(tmp_path / "raw.h5") as file:
        read = list(file.acquisitions())
    for given, got in zip(items, read, strict=True):
        assert bytes(got.getHead()) == bytes(given.getHead())
        np.testing.assert_array_equal(got.data, given.data)
        np.testing.assert_array_equal(got.traj, given.traj)


def test_a_field_that_is_not_there_is_named(items, tmp_path):
    def without(dtype):
        head = np.dtype([(name, dtype["head"][name]) for name in dtype["head"].names if name != "idx"])
        return np.dtype([("head", head), ("traj", dtype["traj"]), ("data", dtype["data"])])

    write_raw_file(tmp_path / "raw.h5", XML, items)
    with h5py.File(tmp_path / "raw.h5", "r+") as file:
        del file["dataset/data"]
        file["dataset"].create_dataset("data", (5,), dtype=without(acquisition_dtype))
    with pytest.raises(RawDataError, match="another ISMRMRD version, without head.idx"):
        RawFile(tmp_path / "raw.h5")


def rewritten(path: Path, items, change) -> None:
    """A raw file whose acquisitions are another array."""
    write_raw_file(path, XML, items)
    with h5py.File(path, "r+") as file:
        rows = file["dataset/data"][()]
        del file["dataset/data"], file["dataset/checksums"]
        file["dataset"].create_dataset("data", data=change(rows))


def test_a_field_of_no_consequence_may_be_missing(items, tmp_path, caplog):
    def without(rows):
        kept = [name for name in rows.dtype["head"].names if name not in ("user_int", "center_sample", "position")]
        head = np.dtype([(name, rows.dtype["head"][name]) for name in kept])
        kinds = [("head", head), ("traj", rows.dtype["traj"]), ("data", rows.dtype["data"])]
        other = np.empty(len(rows), np.dtype(kinds))
        for name in ("traj", "data"):
            other[name] = rows[name]
        for name in kept:
            other["head"][name] = rows["head"][name]
        return other

    rewritten(tmp_path / "raw.h5", items, without)
    with RawFile(tmp_path / "raw.h5") as file:
        read = list(file.acquisitions())
    assert "no head.center_sample, head.position, head.user_int, which is taken as 0" in caplog.text
    for given, got in zip(items, read, strict=True):
        np.testing.assert_array_equal(got.data, given.data)
        assert tuple(got.position) == (0, 0, 0) and got.scan_counter == given.scan_counter


def test_samples_may_be_stored_as_complex_numbers(items, tmp_path):
    pair = np.dtype([("real", "<f4"), ("imag", "<f4")])

    def paired(rows):
        kinds = [("head", rows.dtype["head"]), ("traj", rows.dtype["traj"]), ("data", h5py.vlen_dtype(pair))]
        other = np.empty(len(rows), np.dtype(kinds))
        for row, given in zip(other, rows, strict=True):
            row["head"], row["traj"], row["data"] = given["head"], given["traj"], given["data"].view(pair)
        return other

    rewritten(tmp_path / "raw.h5", items, paired)
    with RawFile(tmp_path / "raw.h5") as file:
        for given, got in zip(items, file.acquisitions(), strict=True):
            np.testing.assert_array_equal(got.data, given.data)


def test_samples_may_have_a_fixed_length(items, tmp_path):
    def fixed(rows):
        kinds = [("head", rows.dtype["head"]), ("traj", "<f4", (12,)), ("data", "<f4", (24,))]
        other = np.empty(len(rows), np.dtype(kinds))
        for name in ("head", "traj", "data"):
            other[name] = rows[name] if name == "head" else np.stack(list(rows[name]))
        return other

    rewritten(tmp_path / "raw.h5", items, fixed)
    with RawFile(tmp_path / "raw.h5") as file:
        for given, got in zip(items, file.acquisitions(), strict=True):
            np.testing.assert_array_equal(got.data, given.data)


def texts(rows):
    kinds = [("head", rows.dtype["head"]), ("traj", rows.dtype["traj"]), ("data", h5py.string_dtype())]
    other = np.zeros(len(rows), np.dtype(kinds))
    for row, given in zip(other, rows, strict=True):
        row["traj"], row["data"] = given["traj"], "samples"
    return other


@pytest.mark.parametrize(
    ("change", "words"),
    [(texts, "'data' of the acquisitions holds no numbers"), (lambda _: np.ones((5, 6)), "'data' is an array of num")],
)
def test_what_is_no_acquisitions_is_told(change, words, items, tmp_path):
    rewritten(tmp_path / "raw.h5", items, change)
    with pytest.raises(RawDataError, match=words):
        RawFile(tmp_path / "raw.h5")


@pytest.mark.parametrize("name", ["xml", "data"])
def test_a_group_in_the_place_of_values_is_told(name, items, tmp_path):
    write_raw_file(tmp_path / "raw.h5", XML, items)
    with h5py.File(tmp_path / "raw.h5", "r+") as file:
        del file["dataset/data"].attrs["checksums"], file["dataset/checksums"], file[f"dataset/{name}"]
        file.create_group(f"dataset/{name}")
    with pytest.raises(RawDataError, match=f"'{name}' is a group"):
        RawFile(tmp_path / "raw.h5")


def test_a_measurement_may_be_the_whole_file(items, tmp_path):
    write_raw_file(tmp_path / "raw.h5", XML, items)
    with h5py.File(tmp_path / "raw.h5", "r+") as file:
        for name in list(file["dataset"]):
            file.move(f"dataset/{name}", name)
        del file["dataset"]
    for chosen in (None, "/"):
        with RawFile(tmp_path / "raw.h5", chosen) as file:
            assert len(file) == 5


def test_a_header_with_nuls_is_written_as_one_without(items, tmp_path):
    wide = XML.replace("utf-8", "utf-16").encode("utf-16")
    write_raw_file(tmp_path / "raw.h5", wide, items)
    with RawFile(tmp_path / "raw.h5") as file:
        assert b"\0" not in file.header_xml
        assert read_scan(file.header_xml) == read_scan(wide) == read_scan(XML)


def test_what_is_no_file_is_told(tmp_path):
    os.mkfifo(tmp_path / "raw.h5")
    with pytest.raises(RawDataError, match="a pipe or device, no file; copy"):
        RawFile(tmp_path / "raw.h5")
    with pytest.raises(RawDataError, match="a folder, no file"):
        RawFile(tmp_path)


def test_acquisitions_in_several_rows_are_told(items, tmp_path):
    rewritten(tmp_path / "raw.h5", items[:4], lambda rows: rows.reshape(2, 2))
    with pytest.raises(RawDataError, match=r"array of shape \(2, 2\)"):
        RawFile(tmp_path / "raw.h5")


@pytest.mark.parametrize("group", ["scan", "study/scan", "a/b/c"])
def test_measurements_lie_in_groups_of_any_depth(group, items, tmp_path):
    write_raw_file(tmp_path / "raw.h5", XML, items)
    with h5py.File(tmp_path / "raw.h5", "r+") as file:
        file.move("dataset", group)
    for chosen in (None, group, f"/{group}/"):
        with RawFile(tmp_path / "raw.h5", chosen) as file:
            assert len(file) == 5
    with pytest.raises(RawDataError, match=f"no measurement 'dataset'; it holds {group}"):
        RawFile(tmp_path / "raw.h5", "dataset")


@pytest.mark.parametrize(
    "store",
    [
        lambda group, xml: group.create_dataset("xml", data=xml, dtype=h5py.special_dtype(vlen=bytes)),
        lambda group, xml: group.create_dataset("xml", data=np.bytes_(xml)),
        lambda group, xml: group.create_dataset("xml", data=[xml.decode()], dtype=h5py.string_dtype()),
        lambda group, xml: group.create_dataset("xml", data=[[xml]], dtype=h5py.special_dtype(vlen=bytes)),
        lambda group, xml: group.create_dataset("xml", data=np.frombuffer(xml, np.uint8)),
    ],
    ids=["scalar", "fixed length", "text", "two axes", "bytes"],
)
def test_the_header_is_read_however_it_is_stored(store, items, tmp_path):
    write_raw_file(tmp_path / "raw.h5", XML, items)
    with h5py.File(tmp_path / "raw.h5", "r+") as file:
        del file["dataset/xml"]
        store(file["dataset"], XML.encode())
    with RawFile(tmp_path / "raw.h5") as file:
        assert read_scan(file.header_xml) == read_scan(XML)


@pytest.mark.parametrize(
    ("encoding", "declared", "name"),
    [
        ("utf-8", "utf-8", "Yamada^Tarou=山田^太郎"),
        ("latin-1", "ISO-8859-1", "Müller^Jürgen"),
        ("utf-16", "UTF-16", "Müller^Jürgen"),
        ("utf-8", "ISO-8859-1", "Müller^Jürgen"),  # a declaration that lies
        ("utf-8", "foo-8", "Müller^Jürgen"),
        ("latin-1", "utf-8", ""),  # a name that the declaration makes unreadable is no name
    ],
)
def test_a_header_keeps_its_bytes(encoding, declared, name, items, tmp_path, caplog):
    text = XML.replace('encoding="utf-8"', f'encoding="{declared}"').replace("Virtual^Calf", name or "Müller^Jürgen")
    given = text.encode(encoding)
    scan = read_scan(given)
    assert scan.study.patient_name == name and scan.study.patient_id == "calf-1"
    assert ("patientName is in another encoding" in caplog.text) == (not name)
    assert "ller" not in caplog.text
    if encoding != "utf-16":  # HDF5 ends text at a NUL
        write_raw_file(tmp_path / "raw.h5", given, items)
        with RawFile(tmp_path / "raw.h5") as file:
            assert file.header_xml == given


@pytest.mark.parametrize("name", ["Doe & Sons^John", "M&uuml;ller^J", "Doe\x01^John"])
def test_text_that_is_no_xml_costs_no_more_than_itself(name, caplog):
    scan = read_scan(XML.replace("Virtual^Calf", name).encode())
    assert scan.study.patient_name == "" and scan.study.patient_id == "calf-1"
    assert "patientName is in another encoding than the header declares, or no XML" in caplog.text
    assert scan.encoding == read_scan(XML).encoding and scan.limits == read_scan(XML).limits


def test_what_follows_the_header_in_its_buffer_is_no_part_of_it():
    assert read_scan(XML.encode() + b"\0<left from before") == read_scan(XML)
    utf_16 = XML.replace('encoding="utf-8"', 'encoding="UTF-16"').encode("utf-16")
    assert read_scan(utf_16.rstrip(b"\0")) == read_scan(XML)
