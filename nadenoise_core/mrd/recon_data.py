"""Gadgetron's buffer in memory: what message 1023 carries.

The attributes are those of gadgetron-python, whose writer takes these, too. Its package is not imported to hold an
array: it brings FFTW, and dask where that is installed.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


class SamplingLimit(ctypes.Structure):
    """First, central and last index along an axis, as in Gadgetron's C++."""

    _fields_ = (("min", ctypes.c_uint16), ("center", ctypes.c_uint16), ("max", ctypes.c_uint16))


class SamplingDescription(ctypes.Structure):
    """Fields of view (mm), matrices and limits along three axes, as in Gadgetron's C++."""

    _fields_ = (
        ("encoded_FOV", ctypes.c_float * 3),
        ("recon_FOV", ctypes.c_float * 3),
        ("encoded_matrix", ctypes.c_uint16 * 3),
        ("recon_matrix", ctypes.c_uint16 * 3),
        ("sampling_limits", SamplingLimit * 3),
    )


@dataclass(eq=False)
class ReconBuffer:
    """K-space with its trajectory and headers; axes as in `nadenoise_core.mrd.buffer`."""

    data: NDArray[np.complex64]
    trajectory: NDArray[np.float32] | None
    density: NDArray[np.float32] | None
    headers: NDArray[Any]
    sampling: Any


@dataclass(eq=False)
class ReconBit:
    """What an image is made of: its data, and a reference where there is one."""

    data: ReconBuffer
    ref: ReconBuffer | None = None


@dataclass(eq=False)
class ReconData:
    """What images are made of, in turn."""

    bits: list[ReconBit]

    def __getitem__(self, index: int) -> ReconBit:
        return self.bits[index]

    def __iter__(self) -> Iterator[ReconBit]:
        return iter(self.bits)
