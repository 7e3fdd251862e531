"""Where there is no GPU: a stand-in for cupy on numpy, as strict as cupy about which arrays may meet.

cupy refuses arrays of numpy in arithmetic, never turns into one of itself, makes arrays on the current GPU, and
works on arrays of that GPU alone; cufinufft wants contiguous arrays of its own precision. What passes here can still
fail on a GPU, but not by mixing arrays up.
"""

from __future__ import annotations

import operator
import sys
from types import ModuleType, SimpleNamespace

import finufft
import numpy as np
import pytest
import scipy.fft

from nadenoise_core.device import Device, to_host
from nadenoise_core.phantom import FieldMap
from nadenoise_core.recon.reconstruction import Reconstruction
from nadenoise_core.recon.settings import Method, Settings
from nadenoise_core.sampling import PAPER_SPIRAL

current = [0]  # GPUs within `with cupy.cuda.Device(...)`, the innermost last


class GpuArray:
    """An array that numpy may not touch."""

    __array_ufunc__ = None

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.gpu = values, current[-1]

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed")

    def get(self) -> np.ndarray:
        return self.values.copy()

    def __getattr__(self, name):
        if name in ("shape", "ndim", "dtype", "flags", "size"):
            return getattr(self.values, name)
        if name in ("real", "imag"):
            return GpuArray(getattr(values_of(self), name))
        if name in ("conj", "sum", "reshape", "max", "astype"):
            return lambda *given, **named: GpuArray(np.asarray(getattr(values_of(self), name)(*given, **named)))
        raise AttributeError(name)

    def __getitem__(self, index):
        return GpuArray(values_of(self)[index])

    def __setitem__(self, index, value):
        values_of(self)[index] = values_of(value)

    def __len__(self):
        return len(self.values)

    def __float__(self):
        return float(values_of(self))


def values_of(given):
    """What numpy may work on: a scalar, or the values of an array of the current GPU."""
    if isinstance(given, GpuArray):
        assert given.gpu == current[-1], f"an array of GPU {given.gpu} was used on GPU {current[-1]}"
        return given.values
    assert isinstance(given, int | float | complex | np.generic), f"Unsupported type {type(given)}"
    return given


def on_gpu(function):
    """A function of numpy or scipy, for arrays of the GPU alone; lists of them too."""

    def call(*given, out=None, **named):
        taken = [[values_of(x) for x in one] if isinstance(one, list) else values_of(one) for one in given]
        if out is not None:
            function(*taken, out=values_of(out), **named)
            return out
        return GpuArray(np.asarray(function(*taken, **named)))

    return call


for name in ("add", "sub", "mul", "truediv", "pow"):
    made = on_gpu(getattr(operator, name))
    setattr(GpuArray, f"__{name}__", made)
    setattr(GpuArray, f"__r{name}__", lambda self, other, made=made: made(other, self))
    setattr(GpuArray, f"__i{name}__", made)
for name in ("neg", "abs"):
    setattr(GpuArray, f"__{name}__", on_gpu(getattr(operator, name)))


class CurrentDevice:
    def __init__(self, index: int) -> None:
        self.index = index

    def __enter__(self):
        current.append(self.index)

    def __exit__(self, *_):
        current.pop()


class Plan:
    """cufinufft's, over finufft's."""

    def __init__(self, kind, matrix, eps, isign, dtype, gpu_device_id):
        assert gpu_device_id == 1
        self._plan = finufft.Plan(kind, matrix, eps=eps, isign=isign, dtype=dtype, nthreads=1)

    def setpts(self, x, y):
        assert {x.dtype, y.dtype} == {np.dtype(np.float32)}
        self._points = [points.values.copy() for points in (x, y)]  # it selects its own GPU
        self._plan.setpts(*self._points)

    def execute(self, data):
        assert data.dtype == np.complex64 and data.flags.c_contiguous
        return GpuArray(self._plan.execute(values_of(data)))


def asarray(given, dtype=None, order=None):
    values = values_of(given) if isinstance(given, GpuArray) else np.asarray(given)
    return GpuArray(np.asarray(values, dtype=dtype, order=order))


@pytest.fixture
def second_gpu(monkeypatch) -> Device:
    """The stand-in for cuda:1; cuda:0 is the current one."""
    cupy, cupyx, cufinufft = (ModuleType(name) for name in ("cupy", "cupyx", "cufinufft"))
    for name in ("maximum", "sqrt", "vdot", "zeros_like", "subtract"):
        setattr(cupy, name, on_gpu(getattr(np, name)))
    cupy.stack = on_gpu(np.stack)
    cupy.linalg = SimpleNamespace(norm=on_gpu(np.linalg.norm))
    cupy.empty = lambda shape, dtype: GpuArray(np.empty(shape, dtype))
    cupy.asarray = asarray
    cupy.cuda = SimpleNamespace(Device=CurrentDevice)
    fft = ModuleType("cupyx.scipy.fft")
    for name in ("fft", "ifft", "fft2", "ifft2", "fftshift", "ifftshift"):
        setattr(fft, name, on_gpu(getattr(scipy.fft, name)))
    cupyx.scipy = ModuleType("cupyx.scipy")
    cupyx.scipy.fft = fft
    cufinufft.Plan = Plan
    modules = {"cupy": cupy, "cupyx": cupyx, "cupyx.scipy": cupyx.scipy, "cupyx.scipy.fft": fft, "cufinufft": cufinufft}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return Device(1)


@pytest.mark.parametrize("coils", [1, 3])
@pytest.mark.parametrize("off_resonance", [False, True])
@pytest.mark.parametrize("method", sorted(method.value for method in Method))
def test_no_array_of_the_host_meets_one_of_the_gpu(method, off_resonance, coils, second_gpu, calf_scan) -> None:
    kspace, std = calf_scan(1, coils=coils).noisy(30)
    k = (PAPER_SPIRAL.trajectory() * 2.25).astype(np.float32)
    pixels = 2.25 * np.stack(np.meshgrid(np.arange(80) - 40, np.arange(80) - 40), axis=-1)
    frequency = FieldMap(5.0, 20.0).at(pixels) if off_resonance else None
    on_cpu, on_device = (
        Reconstruction(k, (80, 80), Settings(method), device, frequency, 14.8e-6 * np.arange(510))
        for device in (Device(), second_gpu)
    )
    expected, result = on_cpu(kspace, std), on_device(kspace, std)
    np.testing.assert_allclose(result.image, expected.image, rtol=0, atol=1e-3)
    assert isinstance(result.on_device, GpuArray) and result.on_device.gpu == 1
    assert result.on_device.dtype == result.image.dtype == np.complex64
    np.testing.assert_array_equal(result.on_device.get(), result.image)
    np.testing.assert_allclose(result.noise_std, expected.noise_std, rtol=1e-5)
    if result.solution is not None:
        again = on_device(kspace, std, result.solution)
        assert again.solution.iterations < result.solution.iterations


def test_what_is_put_on_a_gpu_comes_back(second_gpu) -> None:
    values = np.arange(6.0).reshape(2, 3)[:, ::-1]
    there = second_gpu.put(values, np.float32)
    assert there.gpu == 1 and there.dtype == np.float32 and there.flags.c_contiguous
    np.testing.assert_array_equal(to_host(there), values)
    with second_gpu.selected():
        assert second_gpu.put(there).values is there.values
