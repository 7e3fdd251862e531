"""The report of a study: one HTML page, the same as JSON, and as Markdown for the documentation."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from nadenoise_core import __version__, paper
from nadenoise_core.denoise.bundle import Bundle, shipped_bundles
from nadenoise_core.files import write_whole
from nadenoise_core.replay.html import number, render
from nadenoise_core.study.config import StudyConfig
from nadenoise_core.study.measures import FIT, METHODS, REFERENCE_FIT
from nadenoise_core.study.merge import StudyRun
from nadenoise_core.study.other_tables import METRICS, NetworkRow, Ranking, table_1, table_3
from nadenoise_core.study.products import bundles_of
from nadenoise_core.study.prose import headline, methods_text, subjects_line, warnings_of
from nadenoise_core.study.shown import figures_of
from nadenoise_core.study.tables import QUALITIES, ErrorRow, Tables, compute_tables

_ROOM = "nadenoise_core.study"
_IN_RESULTS = ("images", "maps", "muscle", "skin")


@dataclass(frozen=True)
class Report:
    """All that the report says, before it is laid out.

    Attributes:
        config: of the study.
        run: its volunteers.
        tables: 2, 4 and 5.
        networks: bundles used.
        network_rows: Table 1, of the networks used and of those that come with nadenoise.
        ranking: Table 3, if readers have ranked.
        date: of the report.
        commit: of the code; empty where it is not known.
    """

    config: StudyConfig
    run: StudyRun
    tables: Tables
    networks: tuple[Bundle, ...]
    network_rows: tuple[NetworkRow, ...]
    ranking: Ranking | None
    date: str
    commit: str


def make_report(config: StudyConfig, run: StudyRun) -> Report:
    """Compute everything that the report says, from the long table.

    Raises:
        BadInputError: the result of the reader study is not usable.
    """
    tables = compute_tables(run.measures)
    used = {bundle["sha256"] for record in run.records for bundle in record["bundles"]}
    networks = tuple(bundle for bundle in bundles_of(config.methods) if bundle.sha256 in used)
    return Report(
        config=config,
        run=run,
        tables=tables,
        networks=networks,
        network_rows=table_1({bundle.sha256: bundle for bundle in (*networks, *shipped_bundles())}.values()),
        ranking=table_3(config.report.readers) if config.report.readers else None,
        date=datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        commit=code_commit(),
    )


def write_report(report: Report, folder: Path) -> tuple[Path, Path]:
    """Write `report.html` and `report.json`.

    Raises:
        NadenoiseError: an image cannot be read, or a file not be written.
    """
    page, data = folder / "report.html", folder / "report.json"
    context = _context(report) | {"figures": list(figures_of(report.run, report.config.report))}
    write_whole(page, render(_ROOM, "study.html.j2", **context).encode())
    write_whole(data, (json.dumps(report_data(report), indent=2, allow_nan=False) + "\n").encode())
    return page, data


def write_results(report: Report, path: Path, command: str) -> None:
    """Write the tables as Markdown, with date, commit and command, and figures beside it, such as `results_maps.png`.

    Raises:
        NadenoiseError: an image cannot be read, or a file not be written.
    """
    figures = [figure for figure in figures_of(report.run, report.config.report) if figure.name in _IN_RESULTS]
    for figure in figures:
        write_whole(path.with_name(f"{path.stem}_{figure.name}.{figure.form}"), figure.content)
    context = _context(report) | {"command": command, "figures": figures, "stem": path.stem}
    write_whole(path, render(_ROOM, "results.md.j2", **context).encode())


def report_data(report: Report) -> dict[str, Any]:
    """The report as plain data for JSON; what is not known is null."""
    said = {
        "subjects": subjects_line(report.run),
        "virtual": report.run.virtual > 0,
        "date": report.date,
        "commit": report.commit,
        "version": __version__,
        "config": _without_paths(report.config),
        "headline": headline(report.tables, report.run),
        "table_1": [asdict(row) for row in report.network_rows],
        "table_3": None if report.ranking is None else asdict(report.ranking),
        "tables": asdict(report.tables),
        "methods": methods_text(report.config, report.run, report.tables),
        "seconds": _seconds(report),
        "volunteers": list(report.run.records),
        "warnings": warnings_of(report.run, report.tables),
    }
    plain: dict[str, Any] = _plain(said)
    return plain


def code_commit() -> str:
    """The commit of the code that runs, with "+" where files were changed since; empty where it is not known."""
    here = Path(__file__).parent
    try:
        head, changed = (
            subprocess.run(["git", "-C", str(here), *command], capture_output=True, text=True, timeout=10, check=True)
            for command in (
                ["rev-parse", "--short=12", "HEAD"],
                ["status", "--porcelain", "--untracked-files=no", "--", "."],
            )
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


def _context(report: Report) -> dict[str, Any]:
    tables = report.tables
    return {
        "title": report.config.title,
        "subjects": subjects_line(report.run),
        "virtual": report.run.virtual > 0,
        "version": __version__,
        "date": report.date,
        "commit": report.commit,
        "tables": tables,
        "table_1": report.network_rows,
        "networks": [bundle.metadata for bundle in report.networks],
        "metrics": METRICS,
        "qualities": QUALITIES,
        "quality": {(row.measure, row.averages): row for row in tables.quality},
        "methods": METHODS,
        "headline": headline(tables, report.run),
        "averages_list": report.run.measures.averages,
        "reference_averages": " or ".join(map(str, tables.reference_averages)),
        "error_of": _error_of,
        "paper_reference": paper.TABLE_2_REFERENCE,
        "paper_aTSC": paper.TABLES_4_5_REFERENCE,
        "paper_table_3": paper.TABLE_3,
        "ranking": report.ranking,
        "cases": "cases.csv",
        "methods_text": methods_text(report.config, report.run, report.tables),
        "seconds": _seconds(report),
        "paper_seconds": paper.SECONDS,
        "volunteers": [_volunteer(record) for record in report.run.records],
        "warnings": warnings_of(report.run, report.tables),
    }


def _error_of(row: ErrorRow, method: str) -> str:
    """A cell of Table 6; all averages are those of the reference, by means or by the fit."""
    of_all: dict[str, str] = {"NUFFT": "reference", FIT: REFERENCE_FIT}
    found = row.errors.get(method) or row.errors.get(of_all.get(method, ""))
    return "" if found is None else f"{number(found[0])} ({number(found[1])})"


def _seconds(report: Report) -> dict[str, float]:
    """Median over volunteers."""
    names = [name for name in ("NUFFT", "CNN", "CS") if all(name in record["seconds"] for record in report.run.records)]
    return {name: float(np.median([record["seconds"][name] for record in report.run.records])) for name in names}


def _volunteer(record: dict[str, Any]) -> dict[str, str]:
    subject = record["subject"]
    if "measurement" in subject:
        made = subject["measurement"]
        scan = f"seed {made['seed']}, muscle {made['muscle']:.2f}, skin {made['skin']:.2f} mmol/L"
    else:
        scan = f"sha256 {subject['raw_sha256'][:12]}"
    pixels = ", ".join(str(record["regions"]["pixels"][name]) for name in ("muscle", "skin", "background"))
    return {
        "name": record["volunteer"],
        "scan": f"{scan}; {record['averages']} averages",
        "pixels": pixels,
        "origin": record["regions"]["origin"],
    }


def _without_paths(config: StudyConfig) -> dict[str, Any]:
    """The configuration; of a path the last part only, for a path may name a patient or a machine."""

    def last(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: last(inner) for key, inner in value.items()}
        return Path(value).name if isinstance(value, str) and "/" in value else value

    plain: dict[str, Any] = last(config.plain())
    return plain


def _plain(value: Any) -> Any:
    """JSON's types: tuples as lists, NaN and infinity as null, keys as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
