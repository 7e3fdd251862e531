"""The non-uniform Fourier transform between an image and samples on a trajectory.

    forward   s(k) = sum_r image(r) exp(-2 pi i k.r)
    adjoint   image(r) = sum_k s(k) exp(+2 pi i k.r)

with r in pixels from pixel N//2, the centre of the field of view, and k in cycles/pixel. Plans are made once for a
trajectory and executed many times (Barnett, Magland and af Klinteberg, SIAM J Sci Comput 41:C479, 2019).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.device import Device, DeviceArray, choose_device


class Nufft:
    """NUFFT of one trajectory, single precision, on the CPU (finufft) or a GPU (cufinufft).

    Args:
        trajectory: (..., 2) in cycles/pixel, columns (read, phase); flattened to `samples` points.
        matrix: (rows, columns) of the image.
        device: "auto", "cpu", "cuda" or "cuda:N".
        eps: relative accuracy of the transform.
    """

    def __init__(
        self,
        trajectory: NDArray[np.floating],
        matrix: tuple[int, int],
        device: str | Device = "cpu",
        eps: float = 1e-5,
    ) -> None:
        self.matrix = matrix
        self.device = device if isinstance(device, Device) else choose_device(device)
        self.samples = int(np.prod(trajectory.shape[:-1]))
        points = 2 * np.pi * np.asarray(trajectory, dtype=np.float64).reshape(-1, 2)
        # finufft does not copy the points: they must live as long as the plans.
        self._y = self.device.put(points[:, 1], np.float32)
        self._x = self.device.put(points[:, 0], np.float32)
        self._eps = eps
        self._adjoint = self._plan(1, +1)

    def forward(self, image: DeviceArray) -> DeviceArray:
        """Samples of images: (..., rows, columns) to (..., samples), complex64, on the device."""
        return self._execute(self._forward, image, self.matrix, (self.samples,))

    def adjoint(self, samples: DeviceArray) -> DeviceArray:
        """Images from samples: (..., samples) to (..., rows, columns), complex64, on the device."""
        return self._execute(self._adjoint, samples, (self.samples,), self.matrix)

    @cached_property
    def _forward(self) -> Any:
        return self._plan(2, -1)

    def _execute(self, plan: Any, data: DeviceArray, given: tuple[int, ...], made: tuple[int, ...]) -> DeviceArray:
        data = self.device.put(data, np.complex64)
        leading = data.shape[: data.ndim - len(given)]
        if data.shape[len(leading) :] != given:
            raise ValueError(f"the last axes of the array are {data.shape[len(leading) :]}, expected {given}")
        # One transform a plan: batches gain nothing on the CPU, and a GPU is busy with one image of this size.
        out = self.device.empty((*leading, *made), np.complex64)
        with self.device.selected():  # cufinufft allocates on the current GPU
            for index in np.ndindex(*leading):
                out[index] = plan.execute(data[index])
        return out

    def _plan(self, kind: int, sign: int) -> Any:
        if self.device.is_gpu:
            import cufinufft

            plan = cufinufft.Plan(
                kind, self.matrix, eps=self._eps, isign=sign, dtype="complex64", gpu_device_id=self.device.index
            )
        else:
            import finufft

            # One thread: OpenMP threads that spin beside other work turn 0.5 ms into 24 ms.
            plan = finufft.Plan(kind, self.matrix, eps=self._eps, isign=sign, dtype="complex64", nthreads=1)
        plan.setpts(self._y, self._x)
        return plan
