"""What the regions of a label map read in a scan, at several numbers of averages.

The stages of a chain run in this process, without `deliver` and without a folder of results; of what they give, the
readings of the maps are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nadenoise_core.chain.chain import Chain, build, check_runs_here
from nadenoise_core.chain.runner import run
from nadenoise_core.errors import BadInputError, CalibrationError, ChainError
from nadenoise_core.measure.tube_quality import TubeQuality, tube_quality
from nadenoise_core.mrd.facts import Kind
from nadenoise_core.mrd.image import facts_of
from nadenoise_core.mrd.rawfile import RawFile, named_in_errors
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.progress import ProgressCallback, counted
from nadenoise_core.quantify.calibration import Slope
from nadenoise_core.quantify.pose import Pose, PoseKind
from nadenoise_core.quantify.readings import BY_FIT, RegionMethod, RegionReading

NEEDED = ("accumulate", "reconstruct", "quantify")
"""Stages without which a chain gives no concentration."""


@dataclass(frozen=True)
class MeasureSettings:
    """What is measured.

    Attributes:
        labels: path of the label map; `{name}` in it stands for the name of the raw file.
        names: text file of label names; None: those of the label map, and MuscleMap's.
        averages: rising numbers of averages to measure at; (): all of them together.
        methods: of reading a region.
        pose: what of the labels' pose is fitted; None: as the chain has it.
    """

    labels: str
    names: Path | None = None
    averages: tuple[int, ...] = ()
    methods: tuple[RegionMethod, ...] = (RegionMethod.FIT,)
    pose: PoseKind | None = None

    def labels_of(self, raw: Path) -> Path:
        """The label map of a raw file.

        Raises:
            BadInputError: there is none.
        """
        path = Path(self.labels.replace("{name}", raw.stem))
        if not path.is_file():
            raise BadInputError(f"{path}: no such label map; give one in NIfTI or NRRD")
        return path


@dataclass(frozen=True)
class Measured:
    """One reading.

    Attributes:
        scan: name of the raw file.
        slice, contrast, repetition: of the image, counted from 0.
        averages: in it.
        reading: of the region.
        pose: of the labels; None where it was not fitted.
        slope: signal per mmol/L of a fit; None of a mean.
    """

    scan: str
    slice: int
    contrast: int
    repetition: int
    averages: int
    reading: RegionReading
    pose: Pose | None
    slope: Slope | None


def measuring_chain(chain: Chain, settings: MeasureSettings) -> Chain:
    """The stages of a chain that a measurement needs.

    Raises:
        ChainError: it needs a Gadgetron server, or has no stage for averaging, reconstruction or quantification.
    """
    check_runs_here(chain)
    names = [stage.name for stage in chain.stages]
    for needed in NEEDED:
        if needed not in names:
            raise ChainError(
                f"{chain.source}: has no stage '{needed}', which a measurement needs; use a chain that has one"
            )
    denoised = RegionMethod.DENOISED_MEAN in settings.methods
    if denoised and "denoise" not in names:
        raise ChainError(
            f"{chain.source}: has no stage 'denoise', and method 'denoised mean' needs one; use a chain that has it"
        )
    left_out = {"deliver"} | (set() if denoised else {"denoise"})
    chain = replace(chain, stages=tuple(stage for stage in chain.stages if stage.name not in left_out))
    chain = chain.with_property("accumulate", "emit_at", ", ".join(map(str, settings.averages)), "--averages")
    chain = chain.with_property("quantify", "maps", "all")
    chain = chain.with_property("quantify", "regions", ", ".join(settings.methods), "--methods")
    if settings.pose is not None:
        chain = chain.with_property("quantify", "pose", settings.pose, "--pose")
    if settings.names is not None:
        chain = chain.with_property("quantify", "roi_names", str(settings.names.resolve()), "--names")
    return chain


def measure(
    raw: Path,
    chain: Chain,
    settings: MeasureSettings,
    *,
    group: str | None = None,
    progress: ProgressCallback | None = None,
) -> list[Measured]:
    """Read the regions of one scan.

    Args:
        raw: ISMRMRD file.
        chain: as `measuring_chain` gives it.
        settings: the same.
        group: of the measurement in the raw file; None takes the only one.
        progress: called with (acquisitions read, acquisitions in all).

    Returns:
        In the order of slices, contrasts and repetitions, then of averages, of regions, and of methods.

    Raises:
        CalibrationError: no image could be calibrated.
        NadenoiseError: the raw file, the label map or the chain cannot be used.
    """
    return measure_with_tubes(raw, chain, settings, group=group, progress=progress)[0]


def measure_with_tubes(
    raw: Path,
    chain: Chain,
    settings: MeasureSettings,
    *,
    group: str | None = None,
    progress: ProgressCallback | None = None,
) -> tuple[list[Measured], TubeQuality]:
    """As `measure`, with what the tubes say in the plain map of the most averages, at the first place of the scan."""
    labels = str(settings.labels_of(raw).resolve())
    chain = chain.with_property("quantify", "roi_map", labels, "--labels")
    found: list[Measured] = []
    reasons: list[str] = []
    tubes: list[TubeQuality] = []
    with RawFile(raw, group) as file, named_in_errors(raw):
        scan = read_scan(file.header_xml)
        date = f"{scan.study.study_date} {scan.study.study_time}".strip()
        gadgets = build(chain, scan)
        for item in run(gadgets, counted(file.acquisitions(), len(file), progress)):
            facts = facts_of(item)
            if facts is None:
                continue
            if facts.atsc is not None:
                head = item.getHead()  # type: ignore[union-attr]
                tubes.append(tube_quality(raw.stem, date, facts.averages, facts.atsc))
                place = (raw.stem, head.slice, head.contrast, head.repetition, facts.averages)
                found += [
                    Measured(
                        *place,
                        reading,
                        facts.atsc.pose,
                        facts.atsc.fit_slope if reading.method in BY_FIT else None,
                    )
                    for reading in facts.atsc.regions
                ]
            elif facts.kind is not Kind.ATSC:
                reasons += [comment for comment in facts.comments if comment.startswith("no aTSC map")]
        if not found:
            raise CalibrationError(reasons[0] if reasons else "the label map gives no region")
    # The plain map of a number of averages comes before that of the denoised image.
    return sorted(found, key=_order(found, settings.methods)), max(tubes, key=lambda one: one.averages)


def _order(found: Sequence[Measured], methods: Sequence[RegionMethod]) -> Callable[[Measured], tuple[int, ...]]:
    """A key that keeps the order of regions as they were first given, and that of the methods."""
    regions = list(dict.fromkeys(row.reading.title for row in found))
    ranks = {method: rank for rank, method in enumerate(methods)}

    def key(row: Measured) -> tuple[int, ...]:
        place = (row.slice, row.contrast, row.repetition, row.averages, regions.index(row.reading.title))
        return (*place, ranks.get(row.reading.method, len(ranks)))

    return key
