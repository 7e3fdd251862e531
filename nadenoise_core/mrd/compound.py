"""Acquisitions in HDF5 files, whose compound types writers lay out as they like: read by the names of their fields."""

from __future__ import annotations

from typing import Any

import numpy as np
from ismrmrd.hdf5 import acquisition_dtype
from numpy.typing import NDArray

from nadenoise_core.mrd.counters import Counter

NEEDED = frozenset(
    (
        *("head", "traj", "data", "head.flags", "head.idx"),
        *(f"head.idx.{counter}" for counter in Counter if counter is not Counter.SEGMENT),
        *("head.number_of_samples", "head.active_channels", "head.trajectory_dimensions"),
    )
)
"""Fields without which readouts could become another image than theirs."""


def missing_fields(kind: np.dtype[Any]) -> frozenset[str]:
    """The fields of ISMRMRD's acquisitions that a compound type has not, such as "head.idx.set"."""
    return frozenset(_names(acquisition_dtype) - _names(kind))


def by_name(records: NDArray[Any], kind: np.dtype[Any]) -> NDArray[Any]:
    """Records as another compound type, each field from that of its name, whatever its place, size and byte order.

    What is not there is 0.
    """
    if records.dtype == kind:
        return records
    if kind.names is None:
        return records.astype(kind)
    made = np.zeros(records.shape, kind)
    for name in set(kind.names) & set(records.dtype.names or ()):
        made[name] = by_name(records[name], made[name].dtype)
    return made


def numbers(values: NDArray[Any], kind: np.dtype[Any]) -> NDArray[Any]:
    """Values of a variable length as numbers of the kind that the file has; complex ones as pairs."""
    typed = values.view(kind)
    return typed if kind.names is None else typed.view(kind[0])


def _names(kind: np.dtype[Any], above: str = "") -> set[str]:
    """The names of all fields of a compound type, with those they are in."""
    found = set()
    for name in kind.names or ():
        found |= {f"{above}{name}"} | _names(kind[name], f"{above}{name}.")
    return found
