"""All messages are below one logger, so that one collector hears every warning."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import nadenoise_core
from nadenoise_core.log import ROOT, recorded_warnings

TREE = Path(nadenoise_core.__file__).parents[1]
FILES = [path for room in ("nadenoise_core", "gadgets") for path in sorted((TREE / room).rglob("*.py"))]


def logger_names(path: Path) -> list[str]:
    """What modules ask `logging.getLogger` for, a name that is put together by its beginning; "" for anything else."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "getLogger":
            given = node.args[0] if node.args else ast.Constant("")
            if isinstance(given, ast.JoinedStr):
                given = given.values[0]
            names.append(str(given.value) if isinstance(given, ast.Constant) else "")
    return names


@pytest.mark.parametrize("path", [path for path in FILES if "_log" in path.read_text()], ids=lambda path: path.stem)
def test_every_module_logs_below_ours(path):
    own = [name for name in logger_names(path) if name]
    assert all(name == ROOT or name.startswith(f"{ROOT}.") for name in own), own


def test_warnings_of_the_header_and_of_dicom_are_heard():
    from nadenoise_core.dicom.text import identifier
    from nadenoise_core.mrd.scan import read_scan
    from nadenoise_core.simulate.measurement import VirtualMeasurement

    with recorded_warnings() as heard:
        read_scan(VirtualMeasurement(averages=1).header_xml().replace("<TE>0.23<", "<TE>n/a<"))
        identifier("x" * 80, "the patient's ID")
    assert [message.split(": ")[0] for message in heard] == ["header", "dicom"]
