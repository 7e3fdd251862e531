"""The configuration of a network: what it is made from and how, from one YAML file.

The classes below are the whole vocabulary: every key, its type, range, default and meaning. Lengths are
millimetres or pixels as said; a range is [lowest, highest]. The module is long because all keys are read side by side.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, model_validator

from nadenoise_core.configuration import Document, Section, checked, find_shipped, parse_document, read_document
from nadenoise_core.configuration.fields import Unit
from nadenoise_core.device import NAMES as DEVICE_NAMES
from nadenoise_core.paper import NOISE
from nadenoise_core.sampling import SpiralDesign

Number = TypeVar("Number", int, float)


def _increasing(values: tuple[Number, Number]) -> tuple[Number, Number]:
    if not values[0] <= values[1]:
        raise ValueError("the first number must not be above the second")
    return values


def _expression(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"it is no regular expression ({error})") from None
    return text


Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Range = Annotated[tuple[Positive, Positive], AfterValidator(_increasing)]
Count = Annotated[int, Field(ge=1, le=65535)]
Counts = Annotated[tuple[Count, Count], AfterValidator(_increasing)]
Expression = Annotated[str, AfterValidator(_expression)]
SLICES = "Slices of each series, evenly spread; 1: the middle one, 0: all."


class SyntheticSettings(Section):
    """Random limbs; no data needed."""

    kind: Literal["synthetic"]
    count: int = Field(1893, ge=3, le=1_000_000, description="Limbs, one slice each; each is a subject.")
    seed: int = Field(1001, ge=0, description="The same seed draws the same limbs.")
    render_size: int = Field(192, ge=32, le=4096, description="Pixels a side that limbs are drawn at.")


class DicomSettings(Section):
    """A folder of DICOM series, in any tree of folders."""

    kind: Literal["dicom"]
    folder: Path = Field(description="Where the files are.")
    description: Expression = Field("AX", description="Regular expression to find in the series description.")
    slices: int = Field(1, ge=0, le=65535, description=SLICES)
    subject: Literal["patient", "study", "series"] = Field("study", description="What the split keeps together.")


class NiftiSettings(Section):
    """NIfTI files."""

    kind: Literal["nifti"]
    folder: Path = Field(description="Where the files are.")
    pattern: str = Field("**/*.nii*", min_length=1, description="Which files.")
    axis: int = Field(2, ge=0, le=2, description="Array axis along which the slices lie.")
    slices: int = Field(1, ge=0, le=65535, description=SLICES)
    subject: Expression | None = Field(
        None, description="Regular expression in the path whose first group is the subject, e.g. (sub-[0-9]+)."
    )


class Hdf5Settings(Section):
    """HDF5 files, such as fastMRI's."""

    kind: Literal["hdf5"]
    folder: Path = Field(description="Where the files are.")
    pattern: str = Field("**/*.h5", min_length=1, description="Which files.")
    dataset: str = Field("reconstruction_rss", min_length=1, description="Name of the images in each file.")
    axis: int = Field(0, ge=0, le=2, description="Array axis along which the slices lie.")
    slices: int = Field(1, ge=0, le=65535, description=SLICES)
    acquisition: Expression | None = Field(
        None, description="Regular expression to find in the file's attribute 'acquisition'."
    )


SourceSettings = Annotated[
    SyntheticSettings | DicomSettings | NiftiSettings | Hdf5Settings, Field(discriminator="kind")
]


class ObjectSettings(Section):
    """What scenes are composed of, beside the images of the source."""

    calves: Count = Field(1300, description="Virtual calves, none of which any evaluation uses.")
    leaves: Count = Field(300, description="Bodies without anatomy.")
    shapes: Count = Field(1500, description="Small structures.")
    field_of_view: float = Field(180.0, gt=0, description="mm, in which calves are drawn.")
    seed: int = Field(31, ge=0, description="The same seed draws the same.")


class SplitSettings(Section):
    """Shares of the subjects."""

    train: float = Field(0.55, gt=0, lt=1, description="Share that the network is fitted to.")
    validation: float = Field(0.20, gt=0, lt=1, description="Share that the best epoch is chosen by.")
    test: float = Field(0.25, gt=0, lt=1, description="Share for the figures of the finished network.")

    @model_validator(mode="after")
    def _whole(self) -> SplitSettings:
        if abs(self.train + self.validation + self.test - 1) > 1e-6:
            raise ValueError(f"{self.train:g} + {self.validation:g} + {self.test:g} must be 1")
        return self


class DataSettings(Section):
    """Where images come from."""

    source: SourceSettings = Field(description="The images.")
    cache: Path = Field(description="HDF5 file that `nadenoise-train prepare` writes.")
    matrix: int = Field(80, ge=16, le=1024, description="Pixels a side of the images that the network is made for.")
    split: SplitSettings = SplitSettings()
    seed: int = Field(1, ge=0, description="Which subjects fall into which part of the split.")
    objects: ObjectSettings | None = Field(None, description="For pairs of scenes; null: none.")

    @property
    def fingerprint(self) -> str:
        """Checksum of all that decides the content of the cache, but for the images themselves."""
        # Where there are none, objects do not count: adding the section leaves other caches valid.
        decisive = self.model_dump(mode="json", exclude={"cache"} if self.objects else {"cache", "objects"})
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


class SpiralSettings(Section):
    """The sodium scan whose noise is learnt; the defaults are the paper's spiral (section 2.4)."""

    field_of_view: Annotated[float, Unit("mm")] = Field(180.0, gt=0, le=1000, description="Of the image.")
    interleaves: int = Field(20, ge=1, le=65535, description="Spiral arms.")
    max_gradient: Annotated[float, Unit("mT/m")] = Field(24.0, ge=0.1, le=500, description="Gradient limit.")
    rise_time: Annotated[float, Unit("us per mT/m")] = Field(
        8.125, ge=0.1, le=1000, description="Inverse of the slew rate."
    )
    dwell_time: Annotated[float, Unit("us")] = Field(14.8, ge=0.1, le=1000, description="Between samples.")
    oversampling: float = Field(2.0, ge=1, le=16, description="Samples per Nyquist interval along the readout.")
    delay: Annotated[float, Unit("us")] = Field(
        -4.0, ge=-100, le=100, description="By which the gradients lag behind the receiver."
    )


class PaperPairSettings(Section):
    """The paper's pairs (section 2.1): magnitude, one disc, shift and scale of the noisy image."""

    kind: Literal["paper"]
    averages: int = Field(30, ge=1, le=10_000, description="Averages of the noisy image.")
    noise_share: float = Field(0.038, gt=0, description="Noise of one average over the largest k-space value.")
    disc_level: float = Field(7.5, gt=0, description="Disc over the mean image intensity.")
    disc_diameter: float = Field(12.0, gt=0, description="Pixels.")
    disc_blur: float = Field(0.6, ge=0, description="Pixels, Gaussian sigma.")
    disc_inset: Counts = Field((9, 15), description="Pixels of the disc's centre from two edges.")
    cap: float | None = Field(1.3, gt=0, description="Anatomy is pressed to this part of the disc; null: not.")
    spiral: SpiralSettings = SpiralSettings()


class QuantitativePairSettings(Section):
    """Complex pairs in units of the noise, with random tubes, levels and phase."""

    kind: Literal["quantitative"]
    averages: Counts = Field((5, 150), description="Averages that the bundle is offered for.")
    peak_snr: Range = Field((2.5, 80.0), description="Largest signal over the noise of the real part.")
    frequent_snr: Range = Field((3.5, 25.0), description="The part of that range that is drawn more often.")
    frequent_share: Share = Field(0.7, description="How often it is.")
    tubes: Counts = Field((1, 6), description="Number of reference tubes.")
    diameter: Range = Field((12.0, 30.0), description="Of the tubes, mm.")
    level: Range = Field((0.05, 1.0), description="Of the tubes, in parts of the brightest one.")
    muscle: float = Field(0.25, gt=0, description="Median level of the anatomy in parts of the brightest tube.")
    muscle_spread: float = Field(0.5, ge=0, description="Standard deviation of the logarithm of that level.")
    cap: float = Field(1.3, gt=0, description="Anatomy is pressed to this part of the brightest tube.")
    spiral: SpiralSettings = SpiralSettings()


class ScenePairSettings(Section):
    """Complex scans in units of the noise: bodies, tubes and laid-in structures, two noise draws of each."""

    kind: Literal["scenes"]
    averages: Counts = Field((5, 150), description="Averages that the bundle is offered for.")
    drawn: Range = Field((4.0, 200.0), description="Averages that are drawn, log-uniform.")
    peak_snr: Range = Field((2.5, 80.0), description="Largest signal over noise that the bundle is offered for.")
    context: int = Field(12, ge=0, le=64, description="Pixels around the image that the network sees, on every side.")
    noise: float = Field(NOISE, gt=0, description="Of one average, mmol/L, of the real part.")
    noise_spread: float = Field(0.2, ge=0, description="Standard deviation of its logarithm.")
    kinds: tuple[float, float, float] = Field((0.5, 0.47, 0.03), description="Shares of calves, limbs and leaves.")
    bright: Share = Field(0.05, description="Of limbs that are two to seven times as strong, as cartilage is.")
    tubes: Count = Field(6, description="Reference tubes at most.")
    no_tubes: Share = Field(0.1, description="Of scenes without any.")
    diameter: Range = Field((12.0, 30.0), description="Of the tubes, mm.")
    brightest: Range = Field((50.0, 150.0), description="Level of the brightest tube, mmol/L, log-uniform.")
    weakest: float = Field(8.0, gt=0, description="Least level of any tube, mmol/L.")
    leaning: Share = Field(0.5, description="Of scenes whose tubes lean against the slice.")
    lean: Range = Field((2.0, 30.0), description="By how much, degrees.")
    slab: Range = Field((15.0, 40.0), description="Thickness of the slice that they cross, mm.")
    structures: Count = Field(3, description="Small structures that are laid in, at most.")
    visibility: Range = Field((2.0, 40.0), description="Contrast-to-noise ratios of most of them, log-uniform.")
    level: Range = Field((4.0, 120.0), description="Of the others, mmol/L, log-uniform.")
    blurred: Share = Field(0.6, description="Of scenes off resonance, and of scenes that decay.")
    off_resonance: float = Field(12.0, ge=0, description="Hz, standard deviation.")
    decay: Range = Field((8.0, 40.0), description="T2* of the slow part of the signal, ms, log-uniform.")
    fast_decay: Range = Field((1.0, 5.0), description="Of the fast part, likewise.")
    fast: Share = Field(0.6, description="Share of the fast part.")
    spiral: SpiralSettings = SpiralSettings()


PairSettings = Annotated[PaperPairSettings | QuantitativePairSettings | ScenePairSettings, Field(discriminator="kind")]


class NetworkSettings(Section):
    """The residual CNN (section 2.2)."""

    filters: int = Field(64, ge=1, le=4096, description="Width of every layer.")
    blocks: int = Field(8, ge=0, le=256, description="Residual blocks.")
    tail: Literal["paper", "reference"] = Field("paper", description="As written, or as the authors run it.")
    zero_init: bool = Field(False, description="Start as the identity: the last convolution is zero.")
    momentum: float = Field(0.01, gt=0, le=1, description="Of batch normalisation, in torch's sense.")
    keep: float = Field(0.0, ge=0, description="Pixels; structure wider than this is left as measured. 0: none.")
    levels: tuple[Count, ...] | None = Field(
        None, min_length=2, max_length=6, description="A U-shaped network instead: filters of each resolution."
    )
    depths: tuple[Count, ...] = Field((1, 1, 1, 2), description="Its residual blocks of each resolution.")

    @model_validator(mode="after")
    def _alike(self) -> NetworkSettings:
        if self.levels is not None and len(self.levels) != len(self.depths):
            raise ValueError(f"{len(self.levels)} levels need as many depths, not {len(self.depths)}")
        return self


class CrossSettings(Section):
    """Weights of the parts of the cross loss beside the mean square error of 1."""

    air: float = Field(6.0, ge=0, description="Of the square error where there is no signal.")
    fine: float = Field(0.1, ge=0, description="Of fine structure.")
    structure: float = Field(1.0, ge=0, description="Of the relative change of laid-in structures.")
    seen: Range = Field((3.2, 6.0), description="Contrast-to-noise ratios where they begin to count, and do in full.")
    full: float = Field(
        30.0, gt=0, description="Averages from which fine structure and structures count in full; below, by the square."
    )
    tube: float = Field(1.0, ge=0, description="Of the change of tubes in noise standard deviations.")
    squares: float = Field(0.03, ge=0, description="Of means over squares.")
    regions: float = Field(0.008, ge=0, description="Of means over parts of the body, such as shells below the skin.")
    edges: float = Field(0.001, ge=0, description="Of fine structure within windows, as far as it can be seen.")
    start: Share = Field(0.2, description="Part of the run before which only the square error and squares count.")


class LossSettings(Section):
    """What is minimised."""

    name: Literal["paper", "mse", "multiscale", "cross"] = Field("paper", description="See `training.fitting.loss`.")
    distance: Literal["image", "batch"] = Field(
        "image", description="The paper's Jensen-Shannon distance: of each image, or of each micro-batch."
    )
    weight: float = Field(0.3, ge=0, description="Of that distance beside 1 - SSIM.")
    cross: CrossSettings | None = Field(None, description="Of the cross loss; null: its defaults.")


class FitSettings(Section):
    """How the network is fitted; the defaults are the paper's (section 2.3)."""

    epochs: int = Field(100, ge=1, le=1_000_000, description="Passes over the training images.")
    minutes: float | None = Field(None, gt=0, description="End after so long, if that is sooner.")
    patience: int | None = Field(None, ge=1, description="End after so many epochs without a better validation loss.")
    batch: int = Field(16, ge=1, le=65536, description="Images a step, of all processes.")
    micro_batch: int | None = Field(
        None,
        ge=1,
        le=65536,
        description="Images that share batch statistics; processes share out micro-batches. null: all.",
    )
    learning_rate: float = Field(1e-4, gt=0, description="Of Adam.")
    schedule: Literal["constant", "cosine"] = Field("constant", description="Of the learning rate.")
    last_learning_rate: float = Field(1e-5, gt=0, description="Where the cosine ends.")
    warm_up: int = Field(0, ge=0, le=100_000_000, description="Steps over which the learning rate rises.")
    clip: float | None = Field(None, gt=0, description="Largest norm of the gradient; null: any.")
    averaging: float | None = Field(
        None, gt=0, lt=1, description="Decay of the EMA of the weights, which is what is kept; null: none."
    )
    freeze_statistics: float | None = Field(
        None, ge=0, lt=1, description="Part of the run after which batch statistics are fixed; null: never."
    )
    validation_images: int | None = Field(None, ge=1, description="How many to validate on; null: all.")
    precision: Literal["float32", "bfloat16"] = Field("float32", description="Of the network; the loss is float32.")
    device: Annotated[str, Field(pattern=DEVICE_NAMES)] = Field("auto", description="auto, cpu, cuda or cuda:N.")
    threads: int = Field(0, ge=0, le=4096, description="Of torch on the CPU; 0: torch's choice.")
    workers: int = Field(0, ge=0, le=4096, description="Processes that draw pairs; any number draws alike. Scenes: 0.")
    seed: int = Field(7, ge=0, lt=2**63, description="Of initial weights, order, noise and everything random.")

    @model_validator(mode="after")
    def _divisible(self) -> FitSettings:
        if self.micro_batch is not None and self.batch % self.micro_batch:
            raise ValueError(f"batch {self.batch} is no multiple of micro_batch {self.micro_batch}")
        return self


class Config(Section):
    """Everything that decides a network."""

    data: DataSettings
    pairs: PairSettings
    network: NetworkSettings = NetworkSettings()
    loss: LossSettings = LossSettings()
    fit: FitSettings = FitSettings()

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        needed = {"paper": "paper", "multiscale": "quantitative", "cross": "scenes"}.get(
            self.loss.name, self.pairs.kind
        )
        if needed != self.pairs.kind:
            raise ValueError(f"loss.name {self.loss.name} needs pairs.kind {needed}, not {self.pairs.kind}")
        if self.pairs.kind == "scenes":
            if self.loss.name != "cross":
                raise ValueError(f"pairs.kind scenes needs loss.name cross, not {self.loss.name}")
            if self.data.objects is None:
                raise ValueError("pairs.kind scenes needs data.objects")
            if (self.fit.micro_batch or self.fit.batch) % 2:
                raise ValueError("pairs.kind scenes has two images of an object: batch and micro_batch must be even")
        return self

    @property
    def design(self) -> SpiralDesign:
        """The spiral whose noise is learnt."""
        return SpiralDesign(matrix=self.data.matrix, **self.pairs.spiral.model_dump())

    @property
    def channels(self) -> int:
        """Of the network: 1 for magnitude, 2 for real and imaginary part."""
        return 1 if self.pairs.kind == "paper" else 2

    @property
    def input_format(self) -> dict[str, Any]:
        """What the network takes, as bundles name it."""
        if self.pairs.kind == "paper":
            return {"channels": "magnitude", "normalisation": "range"}
        context = {"context": self.pairs.context} if self.pairs.kind == "scenes" else {}
        return {"channels": "complex", "normalisation": "noise", **context}

    def plain(self) -> dict[str, Any]:
        """All of it as plain values, for JSON."""
        return self.model_dump(mode="json")

    def differences(self, other: Config, ignored: Sequence[str] = ()) -> list[str]:
        """What is not the same in another configuration, e.g. "fit.seed is 7 here, 8 there"."""
        mine, theirs = (_flat(config.plain()) for config in (self, other))
        return [
            f"{name} is {_word(mine, name)} here, {_word(theirs, name)} there"
            for name in sorted(mine.keys() | theirs.keys())
            if name not in ignored and mine.get(name) != theirs.get(name)
        ]


def shipped_configs() -> dict[str, Path]:
    """The configurations that come with nadenoise, by name."""
    folder = Path(str(resources.files("training"))) / "configs"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_config(name: str) -> Path:
    """The file of a configuration, by the name of a shipped one or by path.

    Raises:
        ConfigError: neither.
    """
    return find_shipped(name, shipped_configs())


def load_config(path: Path, assignments: Sequence[str] = ()) -> Config:
    """Read and check a configuration.

    Args:
        path: of the YAML file.
        assignments: values to set on top of it, such as "fit.seed=3".

    Raises:
        ConfigError: not YAML, or a wrong key or value; names file, line, key, value and what is allowed.
    """
    document = read_document(path)
    for assignment in assignments:
        document = document.with_value(assignment)
    return check_document(document)


def parse_config(text: str, source: str = "configuration") -> Config:
    """As `load_config`, from the text of a file."""
    return check_document(parse_document(text, source))


def check_document(document: Document) -> Config:
    """The configuration that a document holds.

    Raises:
        ConfigError: as `load_config`.
    """
    return checked(document, Config)


def config_from_plain(plain: dict[str, Any], source: str) -> Config:
    """The configuration that `Config.plain` gave; `source` is the file that kept it.

    Raises:
        ConfigError: it does not fit this version of nadenoise.
    """
    return check_document(Document(source, plain, {}))


def _flat(values: dict[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{above}{name}.") if isinstance(value, dict) else {above + name: value}
    return flat


def _word(values: dict[str, Any], name: str) -> str:
    return json.dumps(values[name]) if name in values else "absent"
