"""What the numbers of a label map mean."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from nadenoise_core.errors import BadInputError

_LEG = (
    "anterior compartment",
    "deep posterior compartment",
    "lateral compartment",
    "soleus",
    "gastrocnemius",
    "tibia",
    "fibula",
)
MUSCLE_MAP: Mapping[int, str] = {
    8101 + 10 * index + side: f"{name} {word}"
    for index, name in enumerate(_LEG)
    for side, word in enumerate(("left", "right"))
}
"""Numbers of the lower leg in MuscleMap (https://musclemap.github.io, anatomical labels)."""

MUSCLES = frozenset(name for number, name in MUSCLE_MAP.items() if number < 8151)
"""Those of MuscleMap's names that are muscles: together they are read as "muscle"."""

_ITK_SNAP = re.compile(r'^(\d+)(?:\s+[\d.]+){6}\s+"(.*)"$')
_COLOUR_TABLE = re.compile(r"^(\d+)\s+(\S.*?)((?:\s+\d+){3,4})$")
_TWO_COLUMNS = re.compile(r"^(\d+)\s*[,;:=\t ]\s*(\S.*)$")


def read_label_names(path: Path) -> dict[int, str]:
    """Names of label numbers.

    Three forms are known: ITK-SNAP's label descriptions, 3D Slicer's colour table (.ctbl), and text with a number and
    a name a line, parted by a comma, a tab or blanks. Lines that begin with # are comments; a line of column titles
    may stand first.

    Raises:
        BadInputError: the file cannot be read, a line is in none of the forms, or a number stands twice.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: cannot be read as text with label names ({error})") from None
    names: dict[int, str] = {}
    stripped = [(number, line.strip()) for number, line in enumerate(lines, start=1)]
    content = [(number, line) for number, line in stripped if line and not line.startswith("#")]
    for position, (number, line) in enumerate(content):
        entry = _entry(line)
        if entry is None and position == 0 and not line[0].isdigit():
            continue  # titles of columns
        if entry is None:
            raise BadInputError(
                f"{path}, line {number}: '{line}' names no label; write a number and a name, or give the label file "
                "of ITK-SNAP or the colour table of 3D Slicer"
            )
        if entry[0] in names:
            raise BadInputError(f"{path}, line {number}: label {entry[0]} has a name already; leave one")
        names[entry[0]] = entry[1]
    if not names:
        raise BadInputError(f"{path}: names no label; write a number and a name a line")
    return names


def name_of(number: int, *given: Mapping[int, str]) -> str:
    """Name of a label: by the first of the tables that has it, else MuscleMap's, else "label N"."""
    for table in (*given, MUSCLE_MAP):
        if number in table:
            return table[number]
    return f"label {number}"


def merged_names(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Regions that are read as one, of texts such as "muscle = soleus + gastrocnemius".

    Raises:
        BadInputError: a text that does not say so.
    """
    merged: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, sign, parts = text.partition("=")
        members = tuple(part.strip() for part in parts.split("+") if part.strip())
        if not (sign and name.strip() and members):
            raise BadInputError(f"'{text}' merges nothing; write it as muscle=soleus+gastrocnemius")
        merged[name.strip()] = members
    return merged


def _entry(line: str) -> tuple[int, str] | None:
    """Number and name that stand on a line."""
    if found := _ITK_SNAP.match(line):
        return int(found[1]), found[2].strip()
    if found := _COLOUR_TABLE.match(line):
        return int(found[1]), found[2].replace("_", " ").strip()
    if found := _TWO_COLUMNS.match(line):
        return int(found[1]), found[2].strip().strip('"').strip()
    return None
