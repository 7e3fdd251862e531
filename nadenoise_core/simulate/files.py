"""A virtual measurement as files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import ismrmrd

from nadenoise_core.errors import OutputError
from nadenoise_core.files import write_whole
from nadenoise_core.mrd.rawfile import write_raw_file
from nadenoise_core.simulate.measurement import VirtualMeasurement


def write_measurement(
    measurement: VirtualMeasurement,
    raw: Path,
    truth: Path | None = None,
    *,
    overwrite: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> None:
    """Write a virtual measurement as a raw file, and what is to be found in it as JSON.

    Args:
        measurement: to write.
        raw: ISMRMRD file.
        truth: JSON file; None writes none.
        overwrite: files that are there.
        progress: called with (acquisitions written, acquisitions in all).

    Raises:
        OutputError: a file cannot be written, or is there already.
    """
    for path in (raw, truth):
        if path is not None and path.exists() and not overwrite:
            raise OutputError(f"{path}: exists already; choose another name, or --overwrite it")
    write_raw_file(raw, measurement.header_xml(), _counted(measurement, progress))
    if truth is not None:
        text = json.dumps(measurement.truth(), indent=2) + "\n"
        write_whole(truth, text.encode(), make_folders=False)


def _counted(
    measurement: VirtualMeasurement, progress: Callable[[int, int], object] | None
) -> Iterator[ismrmrd.Acquisition]:
    total = measurement.acquisition_count()
    for number, acquisition in enumerate(measurement.acquisitions(), 1):
        yield acquisition
        if progress is not None:
            progress(number, total)
