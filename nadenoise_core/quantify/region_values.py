"""What regions read, with their errors: one by one, and merged by area."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.quantify.calibration import Slope
from nadenoise_core.quantify.label_names import MUSCLES
from nadenoise_core.quantify.pose import Pose
from nadenoise_core.quantify.readings import RegionMethod, RegionReading
from nadenoise_core.quantify.regions import Regions
from nadenoise_core.quantify.residual import ResidualCheck

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TubeReading:
    """What one reference tube reads on the line of all of them.

    Attributes:
        concentration: as prepared, mmol/L.
        reading, standard_error: mmol/L, the error by noise alone.
        centre: (x, y) mm.
    """

    concentration: float
    reading: float
    standard_error: float
    centre: tuple[float, float]


@dataclass(frozen=True, eq=False)
class RegionResult:
    """Concentrations of all regions.

    Attributes:
        values: regions in the order of the label map, then merged ones.
        tubes: readings.
        slope: signal per mmol/L, as the tubes tell it, with what other scans do.
        tube_diameter: mm.
        pose: of the labels.
        pose_gain: fall of chi-squared by the pose.
        chi_squared: of the whole residual, over its degrees of freedom; NaN where the noise was taken from it.
        residual: (rows, columns) of what the model leaves, in units of the noise; None where nobody looked.
        remarks: plain sentences for whoever reads the numbers.
    """

    values: tuple[RegionReading, ...]
    tubes: tuple[TubeReading, ...]
    slope: Slope
    tube_diameter: float
    pose: Pose
    pose_gain: float
    chi_squared: float
    residual: Floats | None
    remarks: tuple[str, ...]

    def value(self, name: str) -> RegionReading:
        """Of the region of that name; KeyError if there is none."""
        return {value.name: value for value in self.values}[name]


def region_table(
    regions: Regions,
    concentrations: Floats,
    covariance: Floats,
    off: Floats | None,
    check: ResidualCheck | None,
    merge: Mapping[str, Sequence[str]] | None,
    method: RegionMethod,
) -> tuple[RegionReading, ...]:
    """The regions one by one, then those that are merged, weighted by area.

    Args:
        regions: of the slice.
        concentrations, covariance: (regions,) mmol/L, and (regions, regions).
        off: (boundaries, regions) changes by boundaries that lie off, mmol/L; None where nobody looked.
        check: of what the method left; None where nobody looked.
        merge: names of regions that are read as one, by its name; None: the muscles of MuscleMap.
        method: that found the concentrations.
    """
    areas = regions.areas
    combined: dict[str, tuple[str, ...]] = {}
    for name, parts in (merge if merge is not None else _muscles(regions)).items():
        there = tuple(part for part in parts if part in regions.names)
        if there:
            combined[name] = there
    rows = [(name, [i]) for i, name in enumerate(regions.names)]
    rows += [(name, [regions.names.index(part) for part in parts]) for name, parts in combined.items()]
    values = []
    for name, members in rows:
        share = np.zeros(len(areas))
        share[members] = areas[members] / areas[members].sum()
        worst = max(members, key=lambda i: 0.0 if check is None else float(check.of_regions[i] / check.limits[i]))
        labels = [number for i in members for number in regions.numbers[i]]
        values.append(
            RegionReading(
                label=labels[0] if len(labels) == 1 else 0,
                atsc=float(share @ concentrations),
                method=method,
                standard_error=float(np.sqrt(share @ covariance @ share)),
                name=name,
                area=float(areas[members].sum()),
                residual=float("nan") if check is None else float(check.of_regions[worst]),
                residual_limit=float("nan") if check is None else float(check.limits[worst]),
                label_error=float(np.sqrt(np.sum((off @ share) ** 2))) if off is not None else float("nan"),
            )
        )
    return tuple(values)


def _muscles(regions: Regions) -> dict[str, tuple[str, ...]]:
    """MuscleMap's muscles as one, where there are several."""
    found = tuple(name for name in regions.names if name in MUSCLES)
    return {"muscle": found} if len(found) > 1 and "muscle" not in regions.names else {}
