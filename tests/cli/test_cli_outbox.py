"""An outbox beside a scan: it gets every object, and one that takes none fails the scan."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pydicom
import pytest


def objects(folder: Path) -> dict[str, bytes]:
    return {pydicom.dcmread(path).SOPInstanceUID: path.read_bytes() for path in folder.rglob("*.dcm")}


def with_outbox(smoothing_chain, folder):
    return [*smoothing_chain[:-1], ("deliver", {"outbox": str(folder)})]


def test_the_outbox_gets_what_the_folder_gets(scan_file, chain_file, smoothing_chain, command, tmp_path) -> None:
    chain = chain_file(with_outbox(smoothing_chain, tmp_path / "outbox"))
    for out in ("first", "again"):  # the same objects: a replay adds none
        assert command("replay", scan_file(averages=2), "--chain", chain, "--out", tmp_path / out).status == 0
    outbox = objects(tmp_path / "outbox")
    assert outbox and outbox == objects(tmp_path / "first") == objects(tmp_path / "again")
    assert all(path.stem in outbox for path in (tmp_path / "outbox").iterdir())


@pytest.mark.parametrize("mount", ["-o size=8k", "-o ro"], ids=["full", "read-only"])
def test_an_outbox_on_a_disc_that_takes_nothing_fails_the_scan(
    mount, scan_file, chain_file, smoothing_chain, process, tmp_path
) -> None:
    disc = tmp_path / "disc"
    disc.mkdir()
    shell = f"mount -t tmpfs {mount} tmpfs '{disc}'"
    if subprocess.run(["unshare", "--mount", "sh", "-c", shell], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system")
    chain = chain_file(with_outbox(smoothing_chain, disc / "outbox"))
    ended = process("replay", scan_file(averages=2), "--chain", chain, "--out", tmp_path / "out", shell=shell)
    assert ended.status == 2 and "images are not in the outbox and will not be delivered: cannot write" in ended.err
