"""From averaged k-space to one complex image, by the method of choice.

A `Reconstruction` is made once for a trajectory: its weights, plans and kernels serve every image.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from nadenoise_core.device import Device, DeviceArray, to_host
from nadenoise_core.recon.coils import SMOOTHING, combine, sensitivities
from nadenoise_core.recon.least_squares import finer_matrix, least_squares
from nadenoise_core.recon.model import SignalModel, image_noise_std
from nadenoise_core.recon.settings import Method, Settings
from nadenoise_core.recon.total_variation import TotalVariation, edge_weights, total_variation
from nadenoise_core.sampling.density import sample_weights
from nadenoise_core.sampling.off_resonance import time_segments

_PENALTY = 2.0  # of total variation, for a weight of one noise level: fastest from 10 to 150 averages
_REWEIGHTED = 0.1  # of that penalty, where edges have smaller weights: fastest at 30 averages
_PILOT_WEIGHT = 1.2  # of the total variation that shows where edges are: of the least error without refinements
_LEAST_EIGENVALUE = 1e-3
_NOISE_SEED = 23


@dataclass(frozen=True, eq=False)
class Reconstructed:
    """An image, and what is known of it.

    Attributes:
        image: (rows, columns) complex64; an object of uniform value c comes out as c.
        noise_std: standard deviation of the real part of a pixel; NaN if it is unknown or, after total variation,
            not the same everywhere.
        method: by which it was made; gridding where total variation could not be.
        remarks: what its readers should know.
        on_device: the same image where it was made, if that is a GPU.
        solution: of total variation, for the next image to start from.
        wide: (rows + 2 width, columns + 2 width) complex64, the image with what lies around it; None where only the
            image was made.
    """

    image: NDArray[np.complex64]
    noise_std: float
    method: Method
    remarks: tuple[str, ...] = ()
    on_device: DeviceArray | None = None
    solution: TotalVariation | None = field(default=None, repr=False)
    wide: NDArray[np.complex64] | None = field(default=None, repr=False)


class Reconstruction:
    """Reconstruct scans of one trajectory.

    Args:
        trajectory: (interleaves, samples, 2) in cycles/pixel.
        matrix: (rows, columns).
        settings: how.
        device: where.
        field_map: (rows, columns) off-resonance in Hz, see `time_segments`; None: on resonance.
        times: (samples,) s, from the echo; a field map needs them.
        surroundings: pixels around the image, on every side, to grid too; of one coil on resonance alone.
        repeats: (interleaves,) see `sample_weights`.

    Raises:
        ValueError: a field map without times.
        BadInputError, TrajectoryError: see `sample_weights`.
    """

    def __init__(
        self,
        trajectory: NDArray[np.floating],
        matrix: tuple[int, int],
        settings: Settings,
        device: Device,
        field_map: NDArray[np.floating] | None = None,
        times: NDArray[np.floating] | None = None,
        surroundings: int = 0,
        repeats: NDArray[np.floating] | None = None,
    ) -> None:
        self.trajectory, self.repeats = trajectory, repeats
        self._matrix, self._settings, self._device = matrix, settings, device
        self._weights = sample_weights(trajectory, matrix, settings.density, repeats)
        finer = finer_matrix(matrix) if settings.method is Method.LEAST_SQUARES else matrix
        self._finer = np.divide(finer, matrix)
        # In smaller pixels there are fewer cycles, each sample stands for less k-space, and holds more pixels' signal.
        self._gain = np.float32(self._finer.prod())
        trajectory = trajectory / self._finer[::-1].astype(np.float32)
        segments = None
        if field_map is not None:
            if times is None:
                raise ValueError("a field map needs the times of the samples")
            segments = time_segments(_resample(field_map, finer), times)
        self._model = SignalModel(trajectory, self._weights / self._gain, finer, device, segments)
        self._wide: SignalModel | None = None
        if surroundings and settings.method is Method.GRIDDING and segments is None:
            wide = (matrix[0] + 2 * surroundings, matrix[1] + 2 * surroundings)
            self._wide = SignalModel(trajectory, self._weights, wide, device)

    def __call__(
        self,
        kspace: NDArray[np.complexfloating],
        noise_std: NDArray[np.floating],
        start: TotalVariation | None = None,
    ) -> Reconstructed:
        """Reconstruct averaged k-space.

        Args:
            kspace: (coils, interleaves, samples); several coils are taken as whitened.
            noise_std: (interleaves,) of the real part of a sample; NaN if unknown.
            start: of total variation, the solution for fewer averages.

        Where total variation does not know the noise level, as after one average, the image is gridded and says so.
        """
        gridding_noise = image_noise_std(noise_std, self._weights)
        with self._device.selected():
            images = self._model.grid(kspace * self._gain)
            maps = None
            if len(kspace) > 1:
                maps = self._device.put(sensitivities(to_host(images), SMOOTHING * float(self._finer.mean())))
            gridded = _combined(images, maps)
            if self._settings.method is Method.GRIDDING:
                return replace(self._finished(gridded, gridding_noise), wide=self._surrounded(kspace))
            if self._settings.method is Method.LEAST_SQUARES:
                return self._least_squares(gridded, maps, noise_std, gridding_noise)
            return self._total_variation(gridded, maps, gridding_noise, start)

    def _surrounded(self, kspace: NDArray[np.complexfloating]) -> NDArray[np.complex64] | None:
        if self._wide is None or len(kspace) > 1:
            return None
        return np.asarray(to_host(self._wide.grid(kspace)[0]), dtype=np.complex64)

    def _least_squares(
        self, gridded: DeviceArray, maps: DeviceArray | None, noise_std: NDArray[np.floating], gridding_noise: float
    ) -> Reconstructed:
        level = float(np.mean(noise_std))
        known = np.isfinite(level) and level > 0
        strength = noise_std / level if known else np.ones_like(noise_std)
        replica = self._noise(1 if maps is None else len(maps), strength)
        noise = _combined(self._model.grid(replica * self._gain), maps)
        columns, rows = np.abs(self.trajectory).max(axis=(0, 1)).tolist()
        result = least_squares(
            self._device.array_module.stack([gridded, noise]),
            self._model,
            self._matrix,
            (rows, columns),
            level if known else 0.0,
            maps,
        )
        remarks = ("there is signal beyond the disc of the field of view",) if result.beyond else ()
        return replace(self._finished(result.image, gridding_noise * result.noise_gain), remarks=remarks)

    def _total_variation(
        self, gridded: DeviceArray, maps: DeviceArray | None, gridding_noise: float, start: TotalVariation | None
    ) -> Reconstructed:
        if not (np.isfinite(gridding_noise) and gridding_noise > 0):
            why = "total variation needs the noise level, which the averages do not tell: this image is gridded"
            return replace(self._finished(gridded, gridding_noise), method=Method.GRIDDING, remarks=(why,))
        settings = self._settings
        solve = partial(
            total_variation,
            gridded,
            lambda image: self._model.normal(image, maps),
            self._device.array_module.maximum(self._model.circulant, _LEAST_EIGENVALUE),
            device=self._device,
            isotropic=settings.isotropic,
        )
        pilot, relative, penalty = None, None, settings.weight * _PENALTY
        if settings.edge:
            penalty *= _REWEIGHTED
            earlier = None if start is None else start.pilot
            pilot = solve(_PILOT_WEIGHT * gridding_noise, _PILOT_WEIGHT * _PENALTY, refinements=0, start=earlier)
            relative = edge_weights(pilot.image, settings.edge * gridding_noise, self._device)
        solution = solve(
            settings.weight * gridding_noise,
            penalty,
            refinements=settings.refinements,
            start=start,
            relative=relative,
        )
        return replace(self._finished(solution.image, float("nan")), solution=replace(solution, pilot=pilot))

    def _finished(self, image: DeviceArray, noise_std: float) -> Reconstructed:
        on_host = np.asarray(to_host(image), dtype=np.complex64)
        return Reconstructed(
            on_host, noise_std, self._settings.method, on_device=image if self._device.is_gpu else None
        )

    def _noise(self, coils: int, strength: NDArray[np.floating]) -> NDArray[np.complex64]:
        """Noise of a k-space, always the same; `strength` is (interleaves,)."""
        rng = np.random.default_rng(_NOISE_SEED)
        parts = rng.standard_normal((coils, *self.trajectory.shape[:-1], 2), dtype=np.float32)
        return (parts.view(np.complex64)[..., 0] * strength[:, None]).astype(np.complex64)


def _combined(images: DeviceArray, maps: DeviceArray | None) -> DeviceArray:
    """One image of the coils'."""
    return images[0] if maps is None else combine(images, maps)


def _resample(values: NDArray[np.floating], matrix: tuple[int, int]) -> NDArray[np.float64]:
    """A smooth map of the same field of view on another grid, by linear interpolation."""
    axes = [
        (np.arange(size) - size // 2) * (given / size) + given // 2
        for size, given in zip(matrix, values.shape, strict=True)
    ]
    return np.asarray(map_coordinates(values, np.meshgrid(*axes, indexing="ij"), order=1, mode="nearest"))
