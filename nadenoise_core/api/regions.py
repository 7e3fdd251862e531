"""Concentrations of regions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from nadenoise_core.api.chains import Chain
from nadenoise_core.api.table import Table
from nadenoise_core.errors import BadInputError

COLUMNS = (
    "scan",
    "averages",
    "region",
    "method",
    "atsc",
    "standard_error",
    "low",
    "high",
    "label_error",
    "area_mm2",
    "residual",
    "slice",
    "contrast",
    "repetition",
)
"""Of the table, as `nadenoise_core.measure.table` describes them."""


def measure(
    raw: str | Path | Iterable[str | Path],
    labels: str | Path,
    *,
    names: str | Path | None = None,
    averages: Sequence[int] = (),
    methods: Sequence[str] = ("fit",),
    pose: str | None = None,
    chain: str | Path | Chain = "sodium_calf",
    group: str | None = None,
) -> Table:
    """Measure the regions of a label map in one or more scans, without partial volume: a row a region.

    Args:
        raw: ISMRMRD file, or several.
        labels: NIfTI or NRRD label map, of any resolution and orientation; `{name}` in it stands for the name of the
            raw file.
        names: text file of label names; None takes those of the label map.
        averages: numbers of averages to measure at; none for all of them together.
        methods: "fit" (to averaged k-space), "mean" (of pixels), "denoised mean".
        pose: what of the labels' pose against the scan is fitted, e.g. "off" or "rigid"; None: as the chain says.
        chain: name of a chain, path of a chain file, or a chain built in Python.
        group: of the measurement in the raw file, if it holds several.

    Returns:
        Concentrations in mmol/L, with their standard errors and 95 % intervals.

    Raises:
        NadenoiseError: a raw file, the label map or the chain cannot be used.
    """
    from nadenoise_core.measure.measure import MeasureSettings, measuring_chain
    from nadenoise_core.measure.measure import measure as measure_scan
    from nadenoise_core.measure.table import values_of
    from nadenoise_core.quantify.pose import PoseKind
    from nadenoise_core.quantify.readings import RegionMethod

    try:
        settings = MeasureSettings(
            labels=str(labels),
            names=Path(names) if names is not None else None,
            averages=tuple(sorted(averages)),
            methods=tuple(map(RegionMethod, methods)),
            pose=PoseKind(pose) if pose is not None else None,
        )
    except ValueError as error:
        raise BadInputError(f"measure: {error}") from None
    chosen = measuring_chain((chain if isinstance(chain, Chain) else Chain.named(chain)).stages, settings)
    files = [Path(raw)] if isinstance(raw, str | Path) else [Path(one) for one in raw]
    rows = (values_of(row) for file in files for row in measure_scan(file, chosen, settings, group=group))
    return Table({name: row[name] for name in COLUMNS} for row in rows)
