"""Scans that are measured: several at once, in the order in which they were given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nadenoise_core.chain.chain import Chain
from nadenoise_core.cli.engine import engine_of
from nadenoise_core.cli.many import Lines, Tally, run_all
from nadenoise_core.cli.raws import check_names
from nadenoise_core.console import counting_bar, note
from nadenoise_core.measure.job import MeasuredScan, measure_job, measure_scan
from nadenoise_core.measure.measure import MeasureSettings


def measure_scans(
    raws: Sequence[Path], chain: Chain, settings: MeasureSettings, group: str | None, jobs: int | None
) -> tuple[list[MeasuredScan], Tally]:
    """Measure scans, with their warnings and failures on stderr.

    Args:
        raws: ISMRMRD files.
        chain: as `measuring_chain` gives it.
        settings: the same.
        group: of the measurement in each raw file.
        jobs: how many at once; None: as many as cores and memory allow.

    Raises:
        BadInputError: two files have the same name.
        NadenoiseError: the only file cannot be measured; of several, those are in the tally.
    """
    check_names(raws, "rename them, tables tell them by name")
    if len(raws) == 1:
        with counting_bar(raws[0].name) as progress:
            scan = measure_scan(raws[0], chain, settings, group, progress)
        for warning in _warnings(scan):
            note(warning)
        return [scan], Tally(done=1)
    done: dict[Path, MeasuredScan] = {}

    def lines(scan: MeasuredScan) -> Lines:
        done[scan.raw] = scan
        return [], _warnings(scan)

    with engine_of(jobs, None, None, None) as engine:
        tally = run_all(engine, (measure_job(raw, chain, settings, group) for raw in raws), len(raws), lines)
    return [done[raw] for raw in raws if raw in done], tally


def _warnings(scan: MeasuredScan) -> list[str]:
    return [f"warning: {scan.raw.name}: {warning}" for warning in scan.warnings]
