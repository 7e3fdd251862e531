"""What is known of an image, with types.

Within a process the facts ride on their image (`image.facts_of`); over the wire and in files they are its meta
(`meta.to_meta`, `meta.from_meta`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from math import isnan, nan, prod

from nadenoise_core import __version__
from nadenoise_core.denoise.guard import Residual
from nadenoise_core.errors import BadInputError
from nadenoise_core.quantify.calibration import Line, Slope
from nadenoise_core.quantify.pose import Pose
from nadenoise_core.quantify.precision import Progress
from nadenoise_core.quantify.readings import RegionMethod, RegionReading, Tube
from nadenoise_core.recon.settings import Method


class Kind(Enum):
    """What an image shows."""

    PLAIN = "plain"  # signal, as reconstructed
    DENOISED = "denoised"  # signal, after a network
    ATSC = "atsc"  # concentration
    ERROR = "error"  # standard error of the concentration

    @property
    def is_concentration(self) -> bool:
        """Whether pixels are in mmol/L."""
        return self in (Kind.ATSC, Kind.ERROR)


@dataclass(frozen=True)
class Network:
    """The network that denoised an image.

    Raises:
        BadInputError: `name` or `sha256` is empty.
    """

    name: str
    version: str
    sha256: str

    def __post_init__(self) -> None:
        if not self.name or not self.sha256:
            raise BadInputError("a network needs a name and the sha256 of its file")


@dataclass(frozen=True)
class Replica:
    """The image without some of its averages, which travels with it as a further channel.

    Attributes:
        averages: that are left in it.
        noise_std: as that of its image.
    """

    averages: int
    noise_std: float


@dataclass(frozen=True)
class Corrections:
    """What an aTSC map was corrected for.

    Attributes:
        saturation_factor, t2_star_factor: by which the whole map is multiplied; None: not corrected.
        maps: names of the properties whose maps the image was divided by.
        uncovered: share of the object that those maps say nothing of.
    """

    saturation_factor: float | None = None
    t2_star_factor: float | None = None
    maps: tuple[str, ...] = ()
    uncovered: float = nan

    @property
    def factors(self) -> dict[str, float]:
        """The factors that there are, by name."""
        factors = {"saturation_factor": self.saturation_factor, "t2_star_factor": self.t2_star_factor}
        return {name: factor for name, factor in factors.items() if factor is not None}

    @property
    def factor(self) -> float:
        """Their product."""
        return prod(self.factors.values(), start=1.0)


@dataclass(frozen=True)
class AtscFacts:
    """What is known of an aTSC map.

    Attributes:
        source: kind of the image that was calibrated.
        line: signal of that image against concentration.
        standard_error: median over the tissue's pixels, of one pixel, mmol/L.
        tubes: that the line was fitted to.
        regions: what the regions of a label map read; one may be there by several methods.
        pose: of the labels against the scan; None where it was not fitted.
        fit_slope: signal per mmol/L that the fit of the regions calibrated them by; None where nothing was fitted.
        progress: of the regions that have a target of precision.
        replicas: how many the standard errors of tubes and regions come from; 0: they come from elsewhere.
        corrections: that were made.
    """

    source: Kind
    line: Line
    standard_error: float
    tubes: tuple[Tube, ...]
    regions: tuple[RegionReading, ...] = ()
    pose: Pose | None = None
    fit_slope: Slope | None = None
    progress: tuple[Progress, ...] = ()
    replicas: int = 0
    corrections: Corrections = Corrections()

    @property
    def mean_of(self) -> RegionMethod:
        """The method of a region whose pixels are averaged."""
        return RegionMethod.DENOISED_MEAN if self.source is Kind.DENOISED else RegionMethod.MEAN

    def measured(self, tube: Tube) -> float:
        """What the map reads in a tube, mmol/L."""
        return (tube.signal - self.line.intercept) / self.line.slope


@dataclass(frozen=True)
class ImageFacts:
    """What is known of an image.

    Attributes:
        kind: what it shows.
        averages: in the image.
        method: of reconstruction.
        noise_std: standard deviation of the real part of a pixel of the plain image; NaN if it is not known.
        k_max: radius of the sampled k-space, cycles/mm; NaN if it is not known.
        version: of nadenoise that reconstructed it.
        network: that denoised it, or the image that it was calculated of.
        residual: what that network took away.
        denoised_beside: whether a denoised image of the same data follows.
        replicas: that travel with it.
        surroundings: pixels around the field of view, on every side, that travel with it and each replica.
        rescale: (slope, intercept) from whole numbers to the image's unit; None: the pixels are in it.
        announced: averages, where the scan ended far before them; 0: it did not.
        comments: for people, on the console and in DICOM.
        history: stages that made it, with their parameters, in order.
        atsc: of a map of concentration.
    """

    kind: Kind
    averages: int
    method: Method = Method.GRIDDING
    noise_std: float = nan
    k_max: float = nan
    version: str = __version__
    network: Network | None = None
    residual: Residual | None = None
    denoised_beside: bool = False
    replicas: tuple[Replica, ...] = ()
    surroundings: int = 0
    rescale: tuple[float, float] | None = None
    announced: int = 0
    comments: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    atsc: AtscFacts | None = None

    @property
    def description(self) -> str:
        """Of the series, for people: "23Na NUFFT 30 avg"."""
        if self.kind is Kind.ERROR:
            return f"23Na aTSC error [mmol/L] {self.signal} {self.averages} avg"
        if self.kind is Kind.DENOISED:
            return f"23Na CNN {self.averages} avg (AI denoised)"
        if self.atsc is None:
            return f"23Na {self.method.label} {self.averages} avg"
        return f"23Na aTSC [mmol/L] {self.signal} {self.averages} avg"

    @property
    def signal(self) -> str:
        """What made the signal, for people: the method, or the network after it."""
        return self.method.label if self.network is None else "CNN"

    @property
    def file_stem(self) -> str:
        """What the image is, in the name of a file: "nufft_030avg", "atsc_denoised_030avg"."""
        signal = self.method.label.lower() if self.network is None else "denoised"
        kind = f"{self.kind.value}_{signal}" if self.kind.is_concentration else signal
        return f"{kind}_{self.averages:03d}avg"

    def commented(self, *texts: str) -> ImageFacts:
        """The same with further comments."""
        return replace(self, comments=(*self.comments, *texts))

    def after(self, stage: str, parameters: Mapping[str, object]) -> ImageFacts:
        """The same with a further stage, and the parameters it ran with, in the history."""
        settings = ", ".join(f"{name}={as_text(value)}" for name, value in parameters.items())
        return replace(self, history=(*self.history, f"{stage}({settings})"))


def known(number: float) -> float | None:
    """None for NaN."""
    return None if isnan(number) else number


def as_text(value: object) -> str:
    """A value of the history or the meta; a number comes back from it exactly."""
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, tuple | list):
        return "[" + " ".join(as_text(part) for part in value) + "]"
    return str(value)
