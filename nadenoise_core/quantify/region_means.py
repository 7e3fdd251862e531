"""Regions read by the mean of their pixels, partial volume and all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.quantify.readings import RegionMethod, RegionReading
from nadenoise_core.quantify.rois import measure
from nadenoise_core.quantify.uncertainty import Jackknife


def region_means(
    values: NDArray[np.floating], labels: NDArray[np.int64], method: RegionMethod, jackknife: Jackknife | None = None
) -> tuple[RegionReading, ...]:
    """Mean aTSC of every label.

    Args:
        values: (rows, columns) aTSC, mmol/L.
        labels: (rows, columns) label map; 0 is no region.
        method: the mean of which image this is.
        jackknife: the map without some of its averages, for standard errors; None: they are not known.
    """
    found = []
    for label in (int(label) for label in np.unique(labels) if label > 0):
        inside = labels == label
        region = measure(values, inside)
        reading = RegionReading(label, region.mean, method, region.std, region.pixels)
        if jackknife is not None:
            reading = replace(reading, standard_error=jackknife.error_of_mean(region.mean, inside))
        found.append(reading)
    return tuple(found)
