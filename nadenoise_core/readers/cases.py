"""Which image of which method belongs to which case: from folders, or from a list in YAML or CSV."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from nadenoise_core.errors import BadInputError
from nadenoise_core.readers.files import read_file
from nadenoise_core.readers.formats import MOST_IMAGES
from nadenoise_core.readers.images import image_name

_AVERAGES = re.compile(r"(?<!\d)(\d+)[ _-]*(?:averages|avgs?)(?![a-z])|(?<![a-z])(?:averages|avgs?)[ _-]*(\d+)", re.I)
_COLUMNS = ("case", "method", "file", "averages")


@dataclass(frozen=True)
class Case:
    """The images of one case.

    Attributes:
        name: of the case.
        averages: of its images, where known.
        files: method to file; in the same order in all cases.
    """

    name: str
    averages: int | None
    files: dict[str, Path]


@dataclass(frozen=True)
class _Entry:
    case: str
    averages: int | None
    method: str
    file: Path
    place: str


def find_cases(sources: Sequence[Path], methods: Sequence[str] = ()) -> list[Case]:
    """Find the cases of a study.

    A folder is a case if it holds image files: each is one method, named as the file is without its suffix (.nii,
    .nii.gz, .dcm, .ima). Folders are looked for at any depth; a case is called by its path below the given folder,
    and its averages are read from there ("calf3/30avg", "averages-30/calf3"). A list (.csv, .yaml, .yml) has the
    columns or keys case, method, file and, if known, averages; its files are relative to the list.

    Args:
        sources: folders and lists.
        methods: to take from each case, in the order of all tables; empty: all that are there.

    Raises:
        BadInputError: no case, a case twice or with a method twice, or cases whose methods differ.
    """
    wanted = list(dict.fromkeys(method.strip().lower() for method in methods))
    entries: list[_Entry] = []
    for source in sources:
        found = _entries_of_folder(source) if source.is_dir() else _entries_of_list(source)
        known = {entry.case for entry in entries}
        if twice := sorted(known & {entry.case for entry in found}):
            raise BadInputError(f"{source}: case {twice[0]} is there already; give each case a name of its own")
        entries += found
    cases = _grouped(entry for entry in entries if not wanted or entry.method in wanted)
    if not cases:
        raise BadInputError(f"no case in {', '.join(map(str, sources))}; a case is a folder of NIfTI or DICOM images")
    every = wanted or list(dict.fromkeys(method for case in cases for method in case.files))
    for case in cases:
        if missing := sorted(set(every) - set(case.files)):
            raise BadInputError(
                f"case {case.name}: has no image of {', '.join(missing)}; every case needs {', '.join(every)} "
                "(--methods chooses)"
            )
    if not 2 <= len(every) <= MOST_IMAGES:
        raise BadInputError(f"the cases have {len(every)} methods ({', '.join(every)}); give 2 to {MOST_IMAGES}")
    return [replace(case, files={method: case.files[method] for method in every}) for case in cases]


def _entries_of_folder(folder: Path) -> list[_Entry]:
    entries = []
    for path in sorted(folder.rglob("*")):
        name = image_name(path)
        parts = path.relative_to(folder).parts
        if name is None or any(part.startswith(".") for part in parts) or not path.is_file():
            continue
        case = "/".join(parts[:-1]) or folder.resolve().name
        written = _AVERAGES.search(case)
        averages = int(written.group(1) or written.group(2)) if written else None
        entries.append(_Entry(case, averages or None, name.strip().lower(), path, str(path)))
    return entries


def _entries_of_list(path: Path) -> list[_Entry]:
    suffix = path.suffix.lower()
    if not path.exists():
        raise BadInputError(f"{path}: no such folder or file")
    if suffix == ".csv":
        return [_entry(path, place, row) for place, row in _csv_rows(path)]
    if suffix in (".yaml", ".yml"):
        return [_entry(path, place, row) for place, row in _yaml_rows(path)]
    raise BadInputError(f"{path}: is neither a folder of cases nor a list of them (.csv, .yaml)")


def _text(path: Path) -> str:
    try:
        return read_file(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInputError(f"{path}: is not text in UTF-8") from None


def _csv_rows(path: Path) -> list[tuple[str, dict[str, Any]]]:
    try:
        reader = csv.DictReader(_text(path).splitlines(), strict=True)
        return [(f"{path}:{reader.line_num}", dict(row)) for row in reader]
    except csv.Error as error:
        raise BadInputError(f"{path}: is not CSV ({error})") from None


def _yaml_rows(path: Path) -> list[tuple[str, dict[str, Any]]]:
    try:
        rows = yaml.safe_load(_text(path))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise BadInputError(f"{path}: is not YAML ({' '.join(str(error).split())[:200]})") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadInputError(f"{path}: must be a list of entries with case, method, file and, if known, averages")
    return [(f"{path}: entry {number}", row) for number, row in enumerate(rows, 1)]


def _entry(path: Path, place: str, row: dict[Any, Any]) -> _Entry:
    if unknown := [key for key in row if key not in _COLUMNS]:
        raise BadInputError(f"{place}: unknown column {unknown[0]}; the columns are {', '.join(_COLUMNS)}")
    given = {key: str(value).strip() for key, value in row.items() if value is not None}
    for column in ("case", "method", "file"):
        if not given.get(column):
            raise BadInputError(f"{place}: has no {column}")
    averages = given.get("averages", "")
    if averages and not (averages.isascii() and averages.isdigit() and int(averages) > 0):
        raise BadInputError(f"{place}: averages is {averages!r}; give a whole number above 0, or leave it out")
    method = given["method"].lower()
    return _Entry(given["case"], int(averages) if averages else None, method, path.parent / given["file"], place)


def _grouped(entries: Iterable[_Entry]) -> list[Case]:
    cases: dict[str, Case] = {}
    for entry in entries:
        case = cases.setdefault(entry.case, Case(entry.case, entry.averages, {}))
        if entry.method in case.files:
            raise BadInputError(f"{entry.place}: case {entry.case} has {entry.method} twice")
        if entry.averages != case.averages:
            raise BadInputError(f"{entry.place}: case {entry.case} has other averages elsewhere")
        case.files[entry.method] = entry.file
    return list(cases.values())
