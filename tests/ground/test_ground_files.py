"""Whole files or none."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from nadenoise_core import files
from nadenoise_core.errors import NadenoiseError, OutputError, reason_of
from nadenoise_core.files import check_name, whole_file, write_whole


@pytest.fixture
def open_to_all():
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path):
    return path.stat().st_mode & 0o777


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_appears_when_it_is_whole(tmp_path, durable):
    path = tmp_path / "made" / "here.txt"
    with whole_file(path, durable=durable) as unfinished:
        unfinished.write_text("all of it")
        assert not path.exists() and unfinished.parent == path.parent and unfinished.name.startswith(".")
    assert path.read_text() == "all of it" and names(path.parent) == ["here.txt"]


@pytest.mark.parametrize("failure", [ValueError("no"), KeyboardInterrupt(), NadenoiseError("no")])
def test_a_failure_leaves_what_was_there(tmp_path, failure):
    path = tmp_path / "here.txt"
    write_whole(path, b"before")
    with pytest.raises(type(failure)), whole_file(path) as unfinished:
        unfinished.write_text("half")
        raise failure
    assert path.read_bytes() == b"before" and names(tmp_path) == ["here.txt"]


def test_what_the_system_says_is_an_error_of_ours(tmp_path):
    with pytest.raises(OutputError, match=r"cannot write .*: No such file or directory; check the folder"):
        write_whole(tmp_path / "missing" / "here.txt", b"", make_folders=False)
    with pytest.raises(OutputError, match="No space left on device"), whole_file(tmp_path / "here.txt"):
        raise OSError(28, os.strerror(28))
    assert names(tmp_path) == []


@pytest.mark.parametrize("hard_links", [True, False])
def test_a_file_that_must_not_be_replaced_is_not(tmp_path, monkeypatch, hard_links):
    if not hard_links:

        def refuse(*_):
            raise PermissionError(1, os.strerror(1))

        monkeypatch.setattr(files.os, "link", refuse)
    path = tmp_path / "here.txt"

    def write(number: int) -> bool:
        try:
            with whole_file(path, replace=False) as unfinished:
                unfinished.write_text(str(number))
        except OutputError as error:
            assert "File exists" in str(error)
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(write, range(8)))
    assert sum(written) == 1 and path.read_text() == str(written.index(True))
    assert names(tmp_path) == ["here.txt"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("Unable to open file (truncated file: eof = 96)"), "truncated file: eof = 96"),
        (ValueError("first (of two)\nsecond"), "first (of two)"),
        (KeyError(), "KeyError"),
    ],
)
def test_reasons_are_one_line(error, reason):
    assert reason_of(error) == reason


@pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")
def test_what_may_tell_of_a_patient_is_for_its_owner_alone(tmp_path, open_to_all):
    path = tmp_path / "new" / "newer" / "here.txt"
    write_whole(path, b"somebody")
    assert mode(path) == 0o600 and mode(path.parent) == mode(path.parent.parent) == 0o700
    write_whole(path, b"a chain", private=False)
    assert mode(path) == 0o666
    (tmp_path / "shared").mkdir(mode=0o775)
    write_whole(tmp_path / "shared" / "here.txt", b"somebody")
    assert mode(tmp_path / "shared") == 0o775 and mode(tmp_path / "shared" / "here.txt") == 0o600


def test_a_name_that_is_no_text_is_told(tmp_path):
    check_name(tmp_path / "Müller 山田 [a] %s")
    with pytest.raises(OutputError, match=r"scan\\udcff: the name is not text in UTF-8"):
        check_name(tmp_path / os.fsdecode(b"scan\xff"))


def test_a_file_in_the_way_of_a_folder_is_told(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(OSError):
            files.make_folder(folder)
