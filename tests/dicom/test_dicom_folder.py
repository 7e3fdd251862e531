"""A folder holds whole files or none, whatever goes wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest

from nadenoise_core.dicom import to_dataset, write
from nadenoise_core.errors import BadInputError, OutputError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def dataset(make, geometry, full_study):
    return to_dataset(make("plain"), geometry, full_study)


def test_a_file_is_written_and_its_path_returned(dataset, tmp_path):
    path = write(dataset, tmp_path / "new" / "folder", "image.dcm")
    assert path == tmp_path / "new" / "folder" / "image.dcm"
    assert [entry.name for entry in path.parent.iterdir()] == ["image.dcm"]
    assert pydicom.dcmread(path).SOPInstanceUID == dataset.SOPInstanceUID


def test_a_file_of_that_name_is_replaced(dataset, tmp_path):
    (tmp_path / "image.dcm").write_bytes(b"old")
    assert pydicom.dcmread(write(dataset, tmp_path, "image.dcm")).Rows == 80


@pytest.mark.parametrize("name", ["", ".", "..", "a/b.dcm", "../b.dcm", "/etc/b.dcm"])
def test_a_name_that_leads_elsewhere_is_refused(name, dataset, tmp_path):
    with pytest.raises(BadInputError, match="plain file name"):
        write(dataset, tmp_path, name)


def test_a_file_where_the_folder_should_be(dataset, tmp_path):
    (tmp_path / "taken").write_text("a file")
    for folder in (tmp_path / "taken", tmp_path / "taken" / "below"):
        with pytest.raises(OutputError) as failure:
            write(dataset, folder, "image.dcm")
        assert str(folder / "image.dcm") in str(failure.value)
        assert "\n" not in str(failure.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["taken"]


def test_a_folder_where_the_file_should_be_leaves_nothing_behind(dataset, tmp_path):
    (tmp_path / "image.dcm").mkdir()
    with pytest.raises(OutputError, match="directory"):
        write(dataset, tmp_path, "image.dcm")
    assert [entry.name for entry in tmp_path.iterdir()] == ["image.dcm"]


def test_a_name_too_long_for_the_disc_leaves_nothing_behind(dataset, tmp_path):
    with pytest.raises(OutputError, match="name too long"):
        write(dataset, tmp_path, "x" * 300)
    assert list(tmp_path.iterdir()) == []


WRITE_UNDER_A_LIMIT = """
import resource, sys
import numpy as np
from nadenoise_core.mrd.facts import ImageFacts, Kind
from nadenoise_core.dicom import Geometry, Product, Study, to_dataset, write
from nadenoise_core.errors import OutputError
geometry = Geometry((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (180, 180), 30)
product = Product(ImageFacts(Kind.PLAIN, 30), np.ones((80, 80)), scale=1.0)
dataset = to_dataset(product, geometry, Study(measurement_id="scan"))
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write(dataset, sys.argv[1], "image.dcm")
except OutputError as error:
    print(error)
"""


def test_a_write_that_breaks_off_keeps_the_old_file_and_leaves_nothing_behind(tmp_path):
    (tmp_path / "image.dcm").write_bytes(b"old")
    run = subprocess.run(
        [sys.executable, "-c", WRITE_UNDER_A_LIMIT, tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "File too large" in run.stdout and str(tmp_path / "image.dcm") in run.stdout
    assert [entry.name for entry in tmp_path.iterdir()] == ["image.dcm"]
    assert (tmp_path / "image.dcm").read_bytes() == b"old"


@pytest.fixture
def tiny_disc(tmp_path):
    folder = tmp_path / "disc"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small disc can be mounted by root only")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disc(dataset, tiny_disc):
    with pytest.raises(OutputError, match="No space left on device"):
        write(dataset, tiny_disc, "image.dcm")
    assert list(tiny_disc.iterdir()) == []


def test_a_read_only_folder(dataset, tiny_disc):
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disc)], check=True)
    with pytest.raises(OutputError, match="Read-only file system"):
        write(dataset, tiny_disc, "image.dcm")
