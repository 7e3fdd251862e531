"""Where arrays live: the CPU, or a GPU through cupy. Neither cupy nor cufinufft is needed to import this package."""

from __future__ import annotations

import importlib.util
import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nadenoise_core.errors import BadInputError

NAMES = r"^(auto|cpu|cuda(:[0-9]{1,3})?)$"
"""What a device may be called; "auto" is a GPU if there is one."""

DeviceArray: TypeAlias = NDArray[Any]
"""An array on a device: numpy's, or cupy's, which has the same methods; `Device.put` and `to_host` lead to and fro."""


@dataclass(frozen=True)
class Device:
    """A compute device; `index` is None on the CPU."""

    index: int | None = None

    @property
    def is_gpu(self) -> bool:
        return self.index is not None

    @property
    def array_module(self) -> Any:
        """numpy or cupy."""
        if not self.is_gpu:
            return np
        import cupy

        return cupy

    @property
    def fft(self) -> Any:
        """scipy.fft, or the same of cupy."""
        if not self.is_gpu:
            import scipy.fft

            return scipy.fft
        import cupyx.scipy.fft

        return cupyx.scipy.fft

    def selected(self) -> AbstractContextManager[Any]:
        """Within it arrays are made on this device: cupy makes them on the current GPU, which is cuda:0 at first."""
        return self.array_module.cuda.Device(self.index) if self.is_gpu else nullcontext()

    def put(self, array: DeviceArray, dtype: DTypeLike | None = None) -> DeviceArray:
        """The array on this device, contiguous; not copied if it is there already."""
        if not self.is_gpu:
            array = to_host(array)
        with self.selected():  # cupy's ascontiguousarray refuses arrays of numpy, its asarray takes both
            placed: DeviceArray = self.array_module.asarray(array, dtype=dtype, order="C")
        return placed

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> DeviceArray:
        """An uninitialised array on this device."""
        with self.selected():
            made: DeviceArray = self.array_module.empty(shape, dtype)
        return made

    def __str__(self) -> str:
        return f"cuda:{self.index}" if self.is_gpu else "cpu"


def choose_device(name: str = "auto") -> Device:
    """The device called `name`: "cpu", "cuda", "cuda:1", or "auto" for a GPU where one is usable.

    Raises:
        BadInputError: an unknown name, or a GPU was asked for where cupy, cufinufft or the GPU is missing.
    """
    if not re.fullmatch(NAMES, name):
        raise BadInputError(f"unknown device '{name}'; use auto, cpu, cuda or cuda:N")
    if name == "cpu":
        return Device()
    index = gpu_index(name)
    missing = _missing_for_gpu(index)
    if missing is None:
        return Device(index)
    if name == "auto":
        return Device()
    raise BadInputError(f"device '{name}' cannot be used: {missing}; use auto or cpu")


def gpu_index(name: str) -> int:
    """The index of the GPU that a name asks for, 0 where it names none."""
    return int(name.partition(":")[2] or 0)


def to_host(array: DeviceArray) -> NDArray[Any]:
    """The array as numpy, copied from the GPU if need be."""
    return array.get() if hasattr(array, "get") and not isinstance(array, np.ndarray) else array


def missing_gpu_package() -> str | None:
    """A package that a GPU needs and that is not installed. CUDA is left alone: a process that has it cannot fork."""
    packages = ("cupy", "cufinufft")
    return next((package for package in packages if importlib.util.find_spec(package) is None), None)


def _missing_for_gpu(index: int) -> str | None:
    package = missing_gpu_package()
    if package is not None:
        return f"the package {package} is not installed"
    try:
        import cufinufft  # noqa: F401
        import cupy

        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # cupy and cufinufft raise types of their own when the CUDA runtime is missing
        return f"CUDA does not start ({error})"
    return None if index < count else f"there are {count} GPUs"
