"""Where k-space is sampled, and how much of it each sample stands for."""

from nadenoise_core.sampling.density import DensityCompensation, jacobian_weights, pipe_menon_weights, sample_weights
from nadenoise_core.sampling.gradients import GradientCorrection, GradientResponse, delayed, filtered, read_response
from nadenoise_core.sampling.spiral import PAPER_SPIRAL, SpiralDesign
from nadenoise_core.sampling.trajectory import TRAJECTORY_UNITS, Encoding, TrajectoryUnit, normalise_trajectory

__all__ = [
    "PAPER_SPIRAL",
    "TRAJECTORY_UNITS",
    "DensityCompensation",
    "Encoding",
    "GradientCorrection",
    "GradientResponse",
    "SpiralDesign",
    "TrajectoryUnit",
    "delayed",
    "filtered",
    "jacobian_weights",
    "normalise_trajectory",
    "pipe_menon_weights",
    "read_response",
    "sample_weights",
]
