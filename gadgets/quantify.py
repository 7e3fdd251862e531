"""Turn signal into apparent tissue sodium concentration (aTSC)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from nadenoise_core.chain.gadget import Gadget, GadgetParameters, Item, ItemType
from nadenoise_core.configuration.fields import CONSOLE, PATH, Unit
from nadenoise_core.errors import BadInputError, CalibrationError
from nadenoise_core.mrd.facts import Corrections, ImageFacts, Kind
from nadenoise_core.mrd.image import comment, facts_of, without_replicas
from nadenoise_core.quantify.calibration import Intercept, Slope
from nadenoise_core.quantify.label_names import merged_names, read_label_names
from nadenoise_core.quantify.pose import PoseKind
from nadenoise_core.quantify.precision import precision_targets
from nadenoise_core.quantify.readings import LABEL_UNCERTAINTY, RegionMethod
from nadenoise_core.quantify.relaxation import check_times, saturation_factor, t2_star_factor
from nadenoise_core.quantify.volume import read_volume

if TYPE_CHECKING:
    import ismrmrd

    from nadenoise_core.mrd.placement import Placement
    from nadenoise_core.mrd.region_readings import RegionsOfImages
    from nadenoise_core.mrd.scan import Scan

Concentration = Annotated[float, Field(ge=0, le=10000)]
Position = Annotated[float, Field(ge=-1000, le=1000)]
RelaxationTime = Annotated[float, Field(gt=0, le=10000)]

_LEAST_CONCENTRATION = 1.0  # mmol/L, of the strongest tube; what is below is in mol/L


class Quantify(Gadget):
    """Put an aTSC map in mmol/L beside an image, calibrated by the reference tubes in the same image.

    Where the tubes are not found or give no line, the image goes on alone, with the reason in its comments.
    """

    class Parameters(GadgetParameters):
        concentrations: Annotated[tuple[Concentration, ...], Unit("mmol/L"), CONSOLE] = Field(
            (10, 25, 50, 75, 100), min_length=3, max_length=32, description="concentrations of the reference tubes"
        )
        tube_diameter: Annotated[float, Unit("mm"), CONSOLE] = Field(
            0, ge=0, le=80, description="inner diameter of the tubes; 0: it is found"
        )
        tube_positions: Annotated[tuple[Position, ...], Unit("mm")] = Field(
            (),
            max_length=64,
            description="x1, y1, x2, y2, ... of the tubes' centres in the order of concentrations, from the centre of "
            "the FOV along read and phase; empty finds them",
        )
        label_map: Annotated[str, PATH] = Field(
            "",
            description="label map with label n on the tube of the n-th concentration, NIfTI or NRRD, of any "
            "resolution and orientation; empty finds them",
        )
        intercept: Annotated[Intercept, CONSOLE] = Field(
            Intercept.ZERO,
            description="calibration line: zero goes through the 0 of air, which complex images have; fitted is the "
            "paper's line, and what a magnitude always gets",
        )
        maps: Annotated[Literal["best", "all"], CONSOLE] = Field(
            "best", description="best: of the denoised image, or of the plain one where there is none; all: of both"
        )
        error_map: bool = Field(
            False,
            description="give the standard error of every pixel, too, as an image of its own: by noise and "
            "calibration; of a denoised image by the jackknife, for which accumulate needs jackknife_groups",
        )
        tissue_t1: Annotated[float, Unit("ms"), CONSOLE] = Field(
            0,
            ge=0,
            le=10000,
            description="T1 of tissue: corrects aTSC for its saturation against the tubes, with TR and flip angle of "
            "the header (spoiled steady state). The whole map is multiplied by one factor, which is right for tissue "
            "and not for the tubes in it. 0: off",
        )
        tube_t1: Annotated[float, Unit("ms"), CONSOLE] = Field(
            0, ge=0, le=10000, description="T1 of the tubes' solution; goes with tissue_t1"
        )
        tissue_t2_star: Annotated[tuple[RelaxationTime, ...], Unit("ms")] = Field(
            (),
            max_length=2,
            description="short and long T2* of tissue, e.g. 3, 15: corrects aTSC for its decay at the header's TE "
            "against that of the tubes, by one factor for the whole map; the fit of regions corrects the decay during "
            "the readout, too. Empty: off",
        )
        tissue_short_fraction: float = Field(0.6, ge=0, le=1, description="share of the signal that has the short T2*")
        tube_t2_star: Annotated[tuple[RelaxationTime, ...], Unit("ms")] = Field(
            (),
            max_length=2,
            description="T2* of the tubes' solution, or short and long T2* of gel in them; goes with tissue_t2_star",
        )
        b1_map: Annotated[str, PATH] = Field(
            "",
            description="map of the flip angle relative to the nominal one (1 = nominal), NIfTI or NRRD, that covers "
            "the image: the image is divided by the signal that it leaves, with the T1s in the steady state, without "
            "them in the sine. Where it is NaN, not above 0, or below 10 % of its median the image stays as it is. "
            "Empty: off",
        )
        roi_map: Annotated[str, PATH] = Field(
            "",
            description="label map of regions to read, such as muscle and skin, NIfTI or NRRD, of any resolution and "
            "orientation; best drawn on a 1H image. Empty: the tubes alone",
        )
        roi_names: Annotated[str, PATH] = Field(
            "",
            description="names of the labels of roi_map: ITK-SNAP's label file, 3D Slicer's colour table, or a number "
            "and a name a line; empty: those of the label map itself, and MuscleMap's",
        )
        regions: tuple[RegionMethod, ...] = Field(
            (RegionMethod.FIT,),
            min_length=1,
            max_length=4,
            description="how regions are read: fit, of their amplitudes to the averaged k-space, free of partial "
            "volume; GTM, the same on the image; mean, of the pixels of the plain map; denoised mean, of the denoised "
            "map. Where k-space is not in this process, fit is GTM",
        )
        pose: PoseKind = Field(
            PoseKind.OFF, description="what of the pose of roi_map against the scan is fitted with its regions"
        )
        label_uncertainty: Annotated[float, Unit("mm")] = Field(
            LABEL_UNCERTAINTY,
            ge=0,
            le=5,
            description="by which the outlines of roi_map may lie off; it goes into the label error of the regions",
        )
        slope: tuple[Annotated[float, Field(gt=0, le=1e12)], ...] = Field(
            (),
            max_length=2,
            description="slope of the calibration line that other scans with this coil, receiver and sequence gave, "
            "and its standard error (signal per mmol/L, as `nadenoise measure` tells them): the fit weighs it with "
            "that of its own tubes, and leaves it out where these contradict it. Empty: the tubes of this scan alone",
        )
        merge: tuple[str, ...] = Field(
            (),
            max_length=16,
            description="regions that are read together, weighted by area, too, e.g. muscle=soleus+gastrocnemius; "
            "empty: the muscles of MuscleMap",
        )
        precision: tuple[str, ...] = Field(
            (),
            max_length=16,
            description="regions and mmol/L that half of their 95 % interval is to be, e.g. muscle 1.0, skin 2.0: the "
            "map says how many averages that takes",
        )
        receive_map: Annotated[str, PATH] = Field(
            "",
            description="map of the receive sensitivity, in any unit, NIfTI or NRRD, that covers the image: the image "
            "is divided by it (over its median), with the same exception. Empty: off",
        )

        def open_inputs(self) -> None:
            for path in (self.label_map, self.roi_map, self.b1_map, self.receive_map):
                if path:
                    read_volume(Path(path))
            if self.roi_names:
                read_label_names(Path(self.roi_names))

        @model_validator(mode="after")
        def _fits(self) -> Self:
            if len(set(self.concentrations)) < 3:
                raise ValueError("concentrations must be at least three different numbers")
            if max(self.concentrations) < _LEAST_CONCENTRATION:
                raise ValueError(f"concentrations are in mmol/L, the highest is {max(self.concentrations):g}")
            if self.tube_positions and len(self.tube_positions) != 2 * len(self.concentrations):
                raise ValueError(
                    f"tube_positions has {len(self.tube_positions)} numbers; {len(self.concentrations)} tubes need "
                    f"{2 * len(self.concentrations)}"
                )
            if self.tube_positions and not self.tube_diameter:
                raise ValueError("tube_positions is given without tube_diameter; give both")
            if bool(self.tissue_t1) != bool(self.tube_t1):
                raise ValueError("tissue_t1 and tube_t1 correct one for the other; give both or none")
            if bool(self.tissue_t2_star) != bool(self.tube_t2_star):
                raise ValueError("tissue_t2_star and tube_t2_star correct one for the other; give both or none")
            if len(self.slope) == 1:
                raise ValueError("slope must be two numbers: the slope, and its standard error")
            if len(self.tissue_t2_star) == 1:
                raise ValueError("tissue_t2_star must be two numbers: the short and the long T2*")
            try:
                check_times((self.tissue_t1,), (self.tube_t1,), self.tissue_t2_star, self.tube_t2_star)
                merged_names(self.merge)
                precision_targets(self.precision)
            except BadInputError as error:
                raise ValueError(str(error)) from None
            return self

    parameters: Parameters
    takes = ItemType.IMAGE
    gives = ItemType.IMAGE

    def __init__(self, parameters: GadgetParameters, scan: Scan) -> None:
        from nadenoise_core.mrd.quantification import Quantification

        super().__init__(parameters, scan)
        given, corrections = self.parameters, self._corrections()
        self._plain: ismrmrd.Image | None = None
        self._quantification = Quantification(
            placement=self._placement(corrections.factor),
            through_zero=given.intercept == Intercept.ZERO,
            corrections=corrections,
            regions=self._regions() if given.roi_map else None,
            targets=precision_targets(given.precision),
            with_errors=given.error_map,
            nucleus_doubt=self.scan.nucleus_doubt,
        )

    def process(self, items: Iterable[Item]) -> Iterator[Item]:
        paths = {"label_map", "roi_map", "roi_names", "b1_map", "receive_map"}  # which may name a patient
        stage = self.name(), self.parameters.model_dump(exclude=paths)
        for item in items:
            facts = facts_of(item)
            if facts is None:
                yield item
                continue
            if facts.kind is Kind.PLAIN:
                self._plain = item
            if not self._is_wanted(facts):
                yield without_replicas(item)
                continue
            # The regions of the fit stand with the best map, or with that of the plain image.
            with_fit = facts.kind is Kind.PLAIN or self.parameters.maps == "best"
            try:
                maps = self._quantification(item, self._plain, stage, with_fit)
            except CalibrationError as error:
                self.log.warning("no aTSC map: %s", error)
                comment(item, f"no aTSC map: {error}")
                yield without_replicas(item)
            else:
                yield without_replicas(item)
                yield from maps

    def _is_wanted(self, facts: ImageFacts) -> bool:
        has_better = facts.denoised_beside and facts.kind is Kind.PLAIN
        return not facts.kind.is_concentration and (self.parameters.maps == "all" or not has_better)

    def _corrections(self) -> Corrections:
        """What aTSC is corrected for."""
        given, sequence = self.parameters, self.scan.sequence
        saturation = t2_star = None
        if given.tissue_t1:
            flip_angle, repetition_time = (sequence.the_only(name, "tissue_t1") for name in ("flipAngle_deg", "TR"))
            saturation = saturation_factor(flip_angle, repetition_time, given.tissue_t1, given.tube_t1)
        if given.tissue_t2_star:
            echo_time = sequence.the_only("TE", "tissue_t2_star")
            t2_star = t2_star_factor(echo_time, given.tissue_t2_star, given.tube_t2_star, given.tissue_short_fraction)
        maps = tuple(name for name in ("b1_map", "receive_map") if getattr(given, name))
        return Corrections(saturation, t2_star, maps)

    def _placement(self, factor: float) -> Placement:
        """Where tubes and maps are."""
        from nadenoise_core.mrd.placement import Excitation, Placement
        from nadenoise_core.quantify.atsc import TubeSetup

        given, sequence = self.parameters, self.scan.sequence
        x, y = given.tube_positions[::2], given.tube_positions[1::2]
        return Placement(
            TubeSetup(given.concentrations, given.tube_diameter or None, tuple(zip(x, y, strict=True)) or None),
            read_volume(Path(given.label_map)) if given.label_map else None,
            {name: read_volume(Path(path)) for name in ("b1_map", "receive_map") if (path := getattr(given, name))},
            factor,
            Excitation(
                sequence.the_only("flipAngle_deg", "b1_map") if given.b1_map else 90.0,
                sequence.the_only("TR", "tissue_t1") if given.tissue_t1 else inf,
                (given.tissue_t1, given.tube_t1),
            ),
        )

    def _regions(self) -> RegionsOfImages:
        from nadenoise_core.mrd.region_readings import ReadoutDecay, RegionsOfImages
        from nadenoise_core.quantify.region_fit import FitSettings
        from nadenoise_core.quantify.region_reader import RegionReader

        given, decay = self.parameters, None
        if given.tissue_t2_star:
            echo_time = self.scan.sequence.the_only("TE", "tissue_t2_star")
            decay = ReadoutDecay(echo_time, given.tissue_t2_star, given.tube_t2_star, given.tissue_short_fraction)
        settings = FitSettings(
            pose=given.pose,
            label_uncertainty=given.label_uncertainty,
            merge=merged_names(given.merge) if given.merge else None,
            diameter_is_known=bool(given.tube_diameter),
            slope=Slope(*given.slope) if given.slope else None,
        )
        names = read_label_names(Path(given.roi_names)) if given.roi_names else {}
        return RegionsOfImages(RegionReader(read_volume(Path(given.roi_map)), names), given.regions, settings, decay)
