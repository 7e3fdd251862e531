"""The measurement of a scan as a job, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nadenoise_core.chain.chain import Chain
from nadenoise_core.jobs.job import Job
from nadenoise_core.log import recorded_warnings
from nadenoise_core.measure.measure import Measured, MeasureSettings, measure_with_tubes
from nadenoise_core.measure.tube_quality import TubeQuality
from nadenoise_core.progress import ProgressCallback


@dataclass(frozen=True)
class MeasuredScan:
    """What a scan reads.

    Attributes:
        raw: the file.
        readings: of its regions.
        tubes: what they say in the plain map of the most averages.
        warnings: of the measurement, each once.
    """

    raw: Path
    readings: tuple[Measured, ...]
    tubes: TubeQuality
    warnings: tuple[str, ...]


def measure_scan(
    raw: Path,
    chain: Chain,
    settings: MeasureSettings,
    group: str | None = None,
    progress: ProgressCallback | None = None,
) -> MeasuredScan:
    """Measure a scan; arguments and errors as of `measure_with_tubes`."""
    with recorded_warnings() as warnings:
        readings, tubes = measure_with_tubes(raw, chain, settings, group=group, progress=progress)
    return MeasuredScan(raw, tuple(readings), tubes, tuple(warnings))


def measure_job(raw: Path, chain: Chain, settings: MeasureSettings, group: str | None = None) -> Job[MeasuredScan]:
    """The job that `measure_scan` is of these arguments; it writes nothing."""
    return Job(str(raw), partial(measure_scan, raw, chain, settings, group))
