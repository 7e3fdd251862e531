"""Raw files with other bytes: acquisitions, or a sentence; never another exception, never for long, no crash.

`NADENOISE_FUZZ=10000` tries more inputs than the few of every day.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import ismrmrd
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nadenoise_core.errors import RawDataError
from nadenoise_core.mrd.rawfile import RawFile, write_raw_file

EXAMPLES = int(os.environ.get("NADENOISE_FUZZ", "25"))
HEADER = b"<ismrmrdHeader/>"
SECONDS = 0.25  # what HDF5 has to say of so small a file takes a hundredth of it

many = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
some = settings(many, max_examples=max(EXAMPLES // 10, 10))  # half of them last as long as they may
byte = st.sampled_from([0, 1, 2, 4, 8, 16, 32, 64, 127, 128, 254, 255]) | st.integers(0, 255)


def acquisitions() -> list[ismrmrd.Acquisition]:
    rng = np.random.default_rng(1)
    return [
        ismrmrd.Acquisition.from_array(
            rng.standard_normal((2, 12, 2)).astype(np.float32).view(np.complex64)[..., 0],
            rng.standard_normal((12, 2)).astype(np.float32),
        )
        for _ in range(10)
    ]


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "scan.h5"


class Content(bytes):
    """Bytes that no message shows."""

    def __repr__(self) -> str:
        return f"{len(self)} bytes"


@pytest.fixture(scope="module")
def ours(path) -> Content:
    write_raw_file(path, HEADER, acquisitions())
    return Content(path.read_bytes())


@pytest.fixture(scope="module")
def theirs(path) -> Content:
    path.unlink(missing_ok=True)
    with closing(ismrmrd.Dataset(str(path), "dataset", create_if_needed=True)) as dataset:
        dataset.write_xml_header(HEADER)
        for item in acquisitions():
            dataset.append_acquisition(item)
    return Content(path.read_bytes())


def read(path: Path, content: bytes) -> list[ismrmrd.Acquisition] | None:
    """The acquisitions; None if it was refused."""
    path.write_bytes(content)
    try:
        with RawFile(path, seconds=SECONDS) as file:
            return list(file.acquisitions())
    except RawDataError as error:
        assert str(error).startswith(f"{path}: ") and len(str(error).splitlines()) == 1 and len(str(error)) < 1000
        return None


def changed(content: bytes, changes: list[tuple[int, list[int]]], cut: int) -> bytes:
    made = bytearray(content)
    for place, values in changes:
        place %= len(made)
        made[place : place + len(values)] = bytes(values)[: len(made) - place]
    return bytes(made[: len(made) - cut % len(made)])


changes = st.lists(st.tuples(st.integers(0, 1 << 17), st.lists(byte, min_size=1, max_size=8)), min_size=1, max_size=4)


@many
@given(changes, st.just(0) | st.integers(0, 1 << 17))
def test_files_of_ours_with_other_bytes_are_refused_or_unchanged(path, ours, changes, cut) -> None:
    found = read(path, changed(ours, changes, cut))
    if found is not None:
        for item, original in zip(found, acquisitions(), strict=True):
            assert item.data.tobytes() == original.data.tobytes() and item.traj.tobytes() == original.traj.tobytes()


@many
@given(changes, st.just(0) | st.integers(0, 1 << 17))
def test_files_of_the_library_with_other_bytes_are_read_or_refused(path, theirs, changes, cut) -> None:
    found = read(path, changed(theirs, changes, cut))
    assert found is None or len(found) <= 100_000


@some
@given(st.integers(0, 1 << 17), st.sampled_from([64, 512, 4096]), st.booleans())
def test_holes_end_in_time(path, ours, theirs, place, size, whose) -> None:
    """A run of zeros, as of a disc block that was lost: at many places HDF5 would never end."""
    read(path, changed(ours if whose else theirs, [(place, [0] * size)], 0))
