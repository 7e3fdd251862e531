"""What averaging gives: the mean of repeated readouts, with what the repeats tell of noise and phase."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.recon.coils import independent_coils, is_white, warn_of_dependent, whitening_matrix
from nadenoise_core.recon.repeats import Repeats


@dataclass(frozen=True)
class AveragedKspace:
    """The mean of repeated readouts.

    Attributes:
        kspace: (coils, arms, samples) complex64; half-pulses summed. The arms are the interleaves, each as often as it
            has places.
        averages: (arms,) how many averages went into its interleaf.
        noise_std: (arms,) standard deviation of the real (or imaginary) part of a sample of `kspace`, the
            mean over the coils but silent ones; NaN where nothing was repeated.
        noise_covariance: (coils, coils) of the noise in one sample of one readout, E[n n^H]; NaN where too little was
            repeated to tell.
        half_pulse_phase: bulk phase of the second half-pulse against the first, degrees within +-90; 0 without
            half-pulses.
        half_pulse_phase_error: its standard error by noise, degrees; NaN where nothing was repeated.
        half_pulse_ratio: strength of the second half-pulse against the first, where one is but a multiple of the
            other, as half-pulses are not; NaN where they differ, or cannot be told apart from noise.
        repeats: how the averages compare with one another.
        arms: (interleaf, place) of each.
    """

    kspace: NDArray[np.complex64]
    averages: NDArray[np.int64]
    noise_std: NDArray[np.float64]
    half_pulse_phase: float
    half_pulse_phase_error: float
    noise_covariance: NDArray[np.complex128]
    half_pulse_ratio: float = float("nan")
    repeats: Repeats = Repeats()
    arms: tuple[tuple[int, int], ...] = ()

    def whitened(self) -> AveragedKspace:
        """The same with noise that is uncorrelated and equally strong in all coils, by what the repeats tell.

        The noise keeps its mean power, and so `noise_std`: images of few and of many averages stay on one scale.
        Itself if there is one coil, or if the noise is white: coils that we or Gadgetron whitened before are left as
        they are. Itself too if the noise is not known, or there is none. Coils that are silent, or copies of others,
        become 0.
        """
        heard = np.diagonal(self.noise_covariance).real
        heard = heard[heard > 0]  # of NaN, too
        if not len(heard):
            return self
        live = independent_coils(self.noise_covariance)
        covariance = self.noise_covariance[np.ix_(live, live)]
        if is_white(covariance) and len(covariance) == len(heard):
            return self
        warn_of_dependent(live | (np.diagonal(self.noise_covariance).real == 0))
        power = np.trace(covariance).real / len(covariance)
        kspace = self.kspace.copy()
        kspace[live] = np.einsum("cd,dis->cis", (power / 2) ** 0.5 * whitening_matrix(covariance), kspace[live])
        kspace[~live] = 0
        noise_std = self.noise_std * (power / heard.mean()) ** 0.5
        return replace(self, kspace=kspace, noise_std=noise_std, noise_covariance=power * np.diag(live).astype(complex))
