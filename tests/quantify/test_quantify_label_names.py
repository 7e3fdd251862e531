"""Names of labels in the files of the programs that people draw with."""

from __future__ import annotations

from pathlib import Path

import pytest

from nadenoise_core.errors import BadInputError
from nadenoise_core.quantify.label_names import name_of, read_label_names

ITK_SNAP = """################################################
# ITK-SnAP Label Description File
################################################
    0     0    0    0        0  0  0    "Clear Label"
    1   255    0    0        1  1  1    "Gastrocnemius (medial)"
    2     0  255    0     0.50  1  0    "skin"
"""
COLOUR_TABLE = """# Color table file /somewhere/leg.ctbl
# 3 values
0 Background 0 0 0 0
1 Gastrocnemius_(medial) 128 174 128 255
2 skin 241 214 145 255
"""


@pytest.mark.parametrize(
    "text",
    [
        ITK_SNAP,
        COLOUR_TABLE,
        "1 Gastrocnemius (medial)\n2 skin\n",
        "label,name\n1,Gastrocnemius (medial)\n2,skin\n",
        '\ufeff1\t"Gastrocnemius (medial)"\r\n2\tskin\r\n',
    ],
    ids=["itk-snap", "slicer", "blanks", "commas", "tabs"],
)
def test_names_are_read(text: str, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text(text, encoding="utf-8")
    names = read_label_names(tmp_path / "names.txt")
    assert (names[1], names[2]) == ("Gastrocnemius (medial)", "skin")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 muscle\nskin 2\n", "line 2: 'skin 2' names no label"),
        ("1 muscle\n1 skin\n", "line 2: label 1 has a name already"),
        ("# nothing\n", "names no label"),
    ],
)
def test_what_names_nothing_is_refused_with_its_line(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text(text)
    with pytest.raises(BadInputError, match=words):
        read_label_names(tmp_path / "names.txt")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="nowhere.txt: cannot be read"):
        read_label_names(tmp_path / "nowhere.txt")


def test_the_first_table_that_knows_a_number_names_it() -> None:
    assert name_of(8131) == "soleus left"
    assert name_of(8142) == "gastrocnemius right"
    assert name_of(8131, {}, {8131: "S"}) == "S"
    assert name_of(3, {3: "skin"}, {3: "other"}) == "skin"
    assert name_of(3) == "label 3"
