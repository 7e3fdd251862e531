"""Regions read by the mean of their pixels, partial volume and all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.quantify.plane import SlicePlane
from nadenoise_core.quantify.readings import RegionMethod, RegionReading
from nadenoise_core.quantify.regions import Regions
from nadenoise_core.quantify.rois import measure
from nadenoise_core.quantify.uncertainty import Jackknife

_LEAST_SHARE = 0.5  # of a pixel that is read, as a drawing on the image itself would have it


def region_means(
    values: NDArray[np.floating],
    regions: Regions,
    plane: SlicePlane,
    method: RegionMethod,
    jackknife: Jackknife | None = None,
) -> tuple[RegionReading, ...]:
    """Mean aTSC of every region that has a label, over the pixels of which it fills half or more.

    A region that fills no pixel by half is read by the shares that it has of its pixels.

    Args:
        values: (rows, columns) aTSC, mmol/L.
        regions: of the label map.
        plane: of the image.
        method: the mean of which image this is.
        jackknife: the map without some of its averages, for standard errors; None: they are not known.
    """
    found = []
    areas = regions.areas
    for index, share in enumerate(regions.on_pixels(plane)):
        labels = regions.numbers[index]
        if not labels:
            continue
        # A share that single precision left a little below a half is one.
        weights = (share >= _LEAST_SHARE - 1e-6).astype(np.float64)
        weights = weights if weights.any() else share
        region = measure(values, weights)
        reading = RegionReading(
            label=labels[0] if len(labels) == 1 else 0,
            atsc=region.mean,
            method=method,
            std=region.std,
            pixels=region.pixels,
            name=regions.names[index],
            area=float(areas[index]),
        )
        if jackknife is not None:
            error = jackknife.error_of_mean(region.mean, weights)
            reading = replace(reading, standard_error=error, freedom=float(len(jackknife.left) - 1))
        found.append(reading)
    return tuple(found)
