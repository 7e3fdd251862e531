"""Solvers of `minimise 1/2 |A x - s|^2_W + weight * noise * R(x)`, each for a gridded image.

Total variation is nadenoise's own, plain, refined and reweighted. Total generalised variation (Bredies et al., SIAM J
Imaging Sci 3:492, 2010) and undecimated wavelets, which are those with cycle spinning, are here for comparison alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pywt
from numpy.typing import NDArray

from nadenoise_core.device import Device
from nadenoise_core.recon.model import SignalModel
from nadenoise_core.recon.total_variation import edge_weights, total_variation

Image = NDArray[np.complex64]
Solve = Callable[[Image, float, float], Image]  # of the gridded image, its noise and the weight

LARGEST = 2.1  # eigenvalue of `A^H W A`
PENALTY = 2.0  # of ADMM, over the weight
PILOT = 1.2  # weight of the first solution of reweighting
LEVELS = 3  # of wavelets
RATIO = 2.0  # of the second-order weight of TGV over the first


@dataclass(frozen=True)
class Regularisers:
    """Methods by name, for one scan's geometry."""

    model: SignalModel
    device: Device

    def methods(self) -> dict[str, tuple[Solve, tuple[float, ...]]]:
        """Name to method and its weights, in noise standard deviations."""
        edge = 0.15
        wavelets = (0.5, 0.75, 1.0, 1.25, 1.6, 2.0)
        return {
            "NUFFT": (lambda gridded, noise, weight: gridded, (0.0,)),
            "TV": (self._tv(0), (0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 0.95, 1.2, 1.7)),
            "TV, one refinement": (self._tv(1), (0.8, 1.1, 1.3, 1.5, 1.7, 1.9, 2.2, 3.0)),
            "TGV": (self._tgv, (0.3, 0.45, 0.6, 0.75, 0.95, 1.2)),
            "Haar": (self._wavelets("haar"), wavelets),
            "Daubechies 2": (self._wavelets("db2"), wavelets),
            "Symlet 4": (self._wavelets("sym4"), wavelets),
            "reweighted TV": (self._reweighted(edge), (0.35, 0.5, 0.75, 1.0, 1.5, 2.2)),
        }

    def _tv(self, refinements: int, relative: NDArray[np.float32] | None = None, penalty: float = PENALTY) -> Solve:
        circulant = np.maximum(np.asarray(self.model.circulant), 1e-3)

        def solve(gridded: Image, noise: float, weight: float) -> Image:
            found = total_variation(
                gridded,
                self._normal,
                circulant,
                weight * noise,
                weight * penalty,
                self.device,
                refinements=refinements,
                relative=relative,
            )
            return np.asarray(found.image)

        return solve

    def _reweighted(self, edge: float) -> Solve:
        def solve(gridded: Image, noise: float, weight: float) -> Image:
            pilot = self._tv(0)(gridded, noise, PILOT)
            relative = np.asarray(edge_weights(pilot, edge * noise, self.device))
            return self._tv(0, relative)(gridded, noise, weight)

        return solve

    def _tgv(self, gridded: Image, noise: float, weight: float, iterations: int = 250) -> Image:
        """By the method of Condat and Vu."""
        first, second = weight * noise, RATIO * weight * noise
        image, slopes = gridded.copy(), np.zeros((2, *gridded.shape), np.complex64)
        dual, dual_slopes = np.zeros_like(slopes), np.zeros((3, *gridded.shape), np.complex64)
        sigma = 0.25
        tau = 1 / (LARGEST / 2 + 12 * sigma)
        for _ in range(iterations):
            step = (image - tau * (self._normal(image) - gridded + _divergence(dual))).astype(np.complex64)
            slopes_step = (slopes - tau * (_divergence_of_tensors(dual_slopes) - dual)).astype(np.complex64)
            over, slopes_over = 2 * step - image, 2 * slopes_step - slopes
            dual = dual + sigma * (_gradient(over) - slopes_over)
            dual /= np.maximum(1, np.sqrt((np.abs(dual) ** 2).sum(0)) / first)
            dual_slopes = dual_slopes + sigma * _symmetric_gradient(slopes_over)
            length = np.sqrt((np.abs(dual_slopes) ** 2 * np.array([1, 1, 2])[:, None, None]).sum(0))
            dual_slopes /= np.maximum(1, length / second)
            image, slopes = step, slopes_step
        return image

    def _wavelets(self, name: str, iterations: int = 60) -> Solve:
        """By accelerated proximal gradients; every band is shrunk by its own noise."""
        rows, columns = self.model.matrix
        white = np.random.default_rng(0).standard_normal((rows, columns))
        bands = pywt.swt2(white, name, LEVELS, norm=True, trim_approx=True)[1:]
        scales = [float(np.std(band[0])) for band in bands]

        def shrunk(band: Image, threshold: float) -> Image:
            return band * np.maximum(0, 1 - threshold / np.maximum(np.abs(band), 1e-12))

        def solve(gridded: Image, noise: float, weight: float) -> Image:
            image = other = gridded
            momentum = 1.0
            for _ in range(iterations):
                moved = other - (self._normal(other) - gridded) / LARGEST
                coarse, *details = pywt.swt2(moved, name, LEVELS, norm=True, trim_approx=True)
                thresholds = [weight * noise / LARGEST * scale for scale in scales]
                kept = [
                    tuple(shrunk(band, threshold) for band in level)
                    for level, threshold in zip(details, thresholds, strict=True)
                ]
                step = pywt.iswt2([coarse, *kept], name, norm=True).astype(np.complex64)
                following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
                other = step + (momentum - 1) / following * (step - image)
                image, momentum = step, following
            return image

        return solve

    def _normal(self, image: Image) -> Image:
        return np.asarray(self.model.normal(image.astype(np.complex64), None))


def _gradient(image: Image) -> Image:
    return np.stack([np.roll(image, -1, axis) - image for axis in (0, 1)])


def _divergence(slopes: Image) -> Image:
    """The adjoint of the gradient."""
    return sum(np.roll(slopes[axis], 1, axis) - slopes[axis] for axis in (0, 1))


def _symmetric_gradient(slopes: Image) -> Image:
    rows, columns = _gradient(slopes[0]), _gradient(slopes[1])
    return np.stack([rows[0], columns[1], (columns[0] + rows[1]) / 2])


def _divergence_of_tensors(tensors: Image) -> Image:
    """The adjoint of the symmetric gradient, whose third part counts twice in the scalar product."""
    return np.stack([_divergence(tensors[[0, 2]]), _divergence(tensors[[2, 1]])])
