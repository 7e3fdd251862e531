"""What is installed from a wheel that was built from the source archive works without anything else."""

from __future__ import annotations

import tarfile
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

import pytest

from nadenoise_core import __version__

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def names(archives) -> set[str]:
    with ZipFile(archives[1]) as opened:
        return set(opened.namelist())


def test_the_wheel_holds_every_file_of_ours(names):
    rooms = ("chains", "gadgets", "nadenoise_core", "training")
    files = {
        path for room in rooms for path in (ROOT / room).rglob("*") if path.is_file() and "__pycache__" not in str(path)
    }
    assert {path.relative_to(ROOT).as_posix() for path in files} - names == set()
    assert {name.partition("/")[0] for name in names} == {
        *rooms,
        *(f"nadenoise-{__version__}.{end}" for end in ("dist-info", "data")),
    }


def test_gadgetron_finds_every_chain_where_it_looks(names):
    wanted = {
        f"nadenoise-{__version__}.data/data/share/gadgetron/config/{path.name}"
        for path in (ROOT / "chains").glob("*.xml")
    }
    assert wanted and wanted <= names


def test_the_source_archive_holds_what_the_licence_asks_for(archives):
    with tarfile.open(archives[0]) as opened:
        held = {name.partition("/")[2] for name in opened.getnames()}
    assert {"LICENSE", "README.md", "CITATION.cff", "constraints.txt", "setup.cfg"} <= held


def test_metadata(archives):
    with ZipFile(archives[1]) as opened:
        said = HeaderParser().parsestr(opened.read(f"nadenoise-{__version__}.dist-info/METADATA").decode())
    assert said["License-Expression"] == "MIT" and said["License-File"] == "LICENSE"
    assert said["Requires-Python"] == ">=3.10" and said["Author"]
    assert "Typing :: Typed" in said.get_all("Classifier")


def test_it_runs_from_raw_data_to_dicom(run_fresh, tmp_path):
    ended = run_fresh("nadenoise", "demo", "--averages", "10", "--out", "demo")
    assert ended.returncode == 0, ended.stderr
    assert "CNN 10 avg" in ended.stdout and "warning" not in ended.stdout
    assert len(list((tmp_path / "demo" / "scan" / "dicom").rglob("*.dcm"))) == 3


def test_every_module_is_imported_without_an_extra(run_fresh):
    code = (
        "import pkgutil, importlib, nadenoise_core, gadgets\n"
        "for room in nadenoise_core, gadgets:\n"
        "    for found in pkgutil.walk_packages(room.__path__, room.__name__ + '.'):\n"
        "        importlib.import_module(found.name)\n"
        "print(nadenoise_core.__file__)\n"
    )
    ended = run_fresh("python", "-c", code)
    assert ended.returncode == 0, ended.stderr
    assert not Path(ended.stdout.strip()).is_relative_to(ROOT)


class TestTraining:
    """`nadenoise-train` without its extra."""

    def test_what_needs_no_extra_works(self, run_fresh):
        ended = run_fresh("nadenoise-train", "configs")
        assert ended.returncode == 0 and "noise_aware" in ended.stdout, ended.stderr

    def test_what_needs_it_names_it(self, run_fresh):
        ended = run_fresh("nadenoise-train", "evaluate", "run")
        assert ended.returncode == 2 and len(ended.stderr.splitlines()) == 1, ended.stderr
        assert ended.stderr.startswith("error: ") and "pip install 'nadenoise[train]'" in ended.stderr
