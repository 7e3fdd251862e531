"""How to reconstruct: the methods, and their settings."""

from __future__ import annotations

from dataclasses import dataclass

from nadenoise_core.enums import StrEnum
from nadenoise_core.errors import BadInputError
from nadenoise_core.sampling.density import DensityCompensation


class Method(StrEnum):
    """The reconstruction methods."""

    GRIDDING = "gridding"
    LEAST_SQUARES = "least_squares"
    TOTAL_VARIATION = "total_variation"

    @property
    def label(self) -> str:
        """What images made so are called, by people and over the wire."""
        return _LABELS[self]


_LABELS = {Method.GRIDDING: "NUFFT", Method.LEAST_SQUARES: "LS", Method.TOTAL_VARIATION: "CS"}


@dataclass(frozen=True)
class Settings:
    """How to reconstruct.

    Attributes:
        method: which; its word will do.
        density: density compensation, see `sample_weights`.
        weight: of total variation, in standard deviations of the gridded image's noise.
        isotropic: which total variation.
        refinements: how often total variation gives contrast back.
        edge: slope, in standard deviations of the gridded image's noise a pixel, that halves the weight of total
            variation; 0: the weight is the same everywhere.
    """

    method: Method = Method.GRIDDING
    density: DensityCompensation = DensityCompensation.PIPE_MENON
    weight: float = 3.0
    isotropic: bool = True
    refinements: int = 1
    edge: float = 0.0

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "method", Method(self.method))
        except ValueError:
            raise BadInputError(
                f"unknown reconstruction method '{self.method}'; use one of {', '.join(Method)}"
            ) from None
