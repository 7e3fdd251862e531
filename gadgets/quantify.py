"""Turn signal into apparent tissue sodium concentration (aTSC)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from typing_extensions import Self

from nadenoise_core.chain.gadget import Gadget, GadgetParameters, Item, ItemType
from nadenoise_core.configuration.fields import CONSOLE, PATH, Unit
from nadenoise_core.errors import CalibrationError, RawDataError
from nadenoise_core.mrd.facts import AtscFacts, Corrections, ImageFacts, Kind, known
from nadenoise_core.mrd.image import (
    comment,
    facts_of,
    image_beside,
    known_facts,
    pixel_size,
    pixels_of,
    replicas_of,
    without_replicas,
)
from nadenoise_core.quantify.calibration import Intercept
from nadenoise_core.quantify.nifti import read_label_map, read_map
from nadenoise_core.quantify.readings import RegionMethod, RegionReading, Tube
from nadenoise_core.quantify.relaxation import saturation_factor, t2_star_factor
from nadenoise_core.quantify.rois import measure
from nadenoise_core.quantify.sensitivity import SignalCorrection, with_maps
from nadenoise_core.quantify.uncertainty import jackknife_error
from nadenoise_core.recon.settings import Method

if TYPE_CHECKING:
    import ismrmrd

    from nadenoise_core.mrd.scan import Scan
    from nadenoise_core.quantify.atsc import ConcentrationMap, TubeSetup

_WORTH_SAYING = 0.1  # of the object, that a map says nothing of; its rim alone is less

Concentration = Annotated[float, Field(ge=0, le=10000)]
Position = Annotated[float, Field(ge=-1000, le=1000)]
RelaxationTime = Annotated[float, Field(gt=0, le=10000)]


class Quantify(Gadget):
    """Put an aTSC map in mmol/L beside an image, calibrated by the reference tubes in the same image.

    Where the tubes are not found or give no line, the image goes on alone, with the reason in its comments.
    """

    class Parameters(GadgetParameters):
        concentrations: Annotated[tuple[Concentration, ...], Unit("mmol/L"), CONSOLE] = Field(
            (10, 25, 50, 75, 100), min_length=3, max_length=32, description="concentrations of the reference tubes"
        )
        tube_diameter: Annotated[float, Unit("mm"), CONSOLE] = Field(
            0, ge=0, le=80, description="inner diameter of the tubes; 0 finds it out"
        )
        tube_positions: Annotated[tuple[Position, ...], Unit("mm")] = Field(
            (),
            max_length=64,
            description="x1, y1, x2, y2, ... of the tubes' centres in the order of concentrations, from the centre of "
            "the FOV along read and phase; empty finds them",
        )
        label_map: Annotated[str, PATH] = Field(
            "", description="NIfTI label map with label n on the tube of the n-th concentration; empty finds them"
        )
        intercept: Annotated[Intercept, CONSOLE] = Field(
            Intercept.ZERO,
            description="calibration line: zero goes through the 0 of air, which complex images have; fitted is the "
            "paper's line, and what a magnitude always gets",
        )
        maps: Annotated[Literal["best", "all"], CONSOLE] = Field(
            "best", description="best: of the denoised image, or of the plain one where there is none; all: of both"
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
            "against that of the tubes, by one factor for the whole map; not for the decay during the readout. "
            "Empty: off",
        )
        tissue_short_fraction: float = Field(
            0.6, ge=0, le=1, description="share of tissue's signal that has the short T2*"
        )
        tube_t2_star: Annotated[float, Unit("ms")] = Field(
            0, ge=0, le=10000, description="T2* of the tubes' solution; goes with tissue_t2_star"
        )
        b1_map: Annotated[str, PATH] = Field(
            "",
            description="NIfTI map on the image's matrix of the flip angle relative to the nominal one (1 = nominal): "
            "the image is divided by the signal that it leaves, with the T1s in the steady state, without them in the "
            "sine. Where it is NaN, not above 0, or below 10 % of its median the image stays as it is. Empty: off",
        )
        roi_map: Annotated[str, PATH] = Field(
            "",
            description="NIfTI label map of regions to read, such as muscle and skin, on the image's matrix: mean aTSC "
            "of every label, with its standard error where 'accumulate' has jackknife_groups. Empty: the tubes alone",
        )
        receive_map: Annotated[str, PATH] = Field(
            "",
            description="NIfTI map on the image's matrix of the receive sensitivity, in any unit: the image is divided "
            "by it (over its median), with the same exception. Empty: off",
        )

        @model_validator(mode="after")
        def _fits(self) -> Self:
            if len(set(self.concentrations)) < 3:
                raise ValueError("concentrations must be at least three different numbers")
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
            if len(self.tissue_t2_star) == 1:
                raise ValueError("tissue_t2_star must be two numbers: the short and the long T2*")
            return self

    parameters: Parameters
    takes = ItemType.IMAGE
    gives = ItemType.IMAGE

    def __init__(self, parameters: GadgetParameters, scan: Scan) -> None:
        from nadenoise_core.quantify.atsc import TubeSetup

        super().__init__(parameters, scan)
        given = self.parameters
        positions = np.reshape(given.tube_positions, (-1, 2)).tolist()
        self._setup = TubeSetup(
            concentrations=given.concentrations,
            diameter=given.tube_diameter or None,
            centres=tuple((x, y) for x, y in positions) or None,
            labels=read_label_map(Path(given.label_map), scan.encoding.matrix) if given.label_map else None,
        )

        self._rois = read_label_map(Path(given.roi_map), scan.encoding.matrix) if given.roi_map else None
        self._plain: ismrmrd.Image | None = None
        self._factors = self._relaxation_factors()
        self._correction = self._signal_correction()

    def process(self, items: Iterable[Item]) -> Iterator[Item]:
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
            try:
                atsc = self._quantify(item, facts)
            except CalibrationError as error:
                self.log.warning("no aTSC map: %s", error)
                comment(item, f"no aTSC map: {error}")
                yield without_replicas(item)
            else:
                yield without_replicas(item)
                yield atsc

    def _is_wanted(self, facts: ImageFacts) -> bool:
        has_better = facts.denoised_beside and facts.kind is Kind.PLAIN
        return facts.kind is not Kind.ATSC and (self.parameters.maps == "all" or not has_better)

    def _relaxation_factors(self) -> dict[str, float]:
        """What aTSC is multiplied by, for every cause that is corrected."""
        given, factors = self.parameters, {}
        if given.tissue_t1:
            flip_angle, repetition_time = (
                self._sequence("flipAngle_deg", "tissue_t1"),
                self._sequence("TR", "tissue_t1"),
            )
            factors["saturation_factor"] = saturation_factor(
                flip_angle, repetition_time, given.tissue_t1, given.tube_t1
            )
        if given.tissue_t2_star:
            short, long = given.tissue_t2_star
            factors["t2_star_factor"] = t2_star_factor(
                self._sequence("TE", "tissue_t2_star"), (short, long), given.tissue_short_fraction, given.tube_t2_star
            )
        return factors

    def _signal_correction(self) -> SignalCorrection:
        given, matrix = self.parameters, self.scan.encoding.matrix
        factor = float(np.prod(list(self._factors.values())))
        return with_maps(
            factor,
            read_map(Path(given.b1_map), matrix) if given.b1_map else None,
            read_map(Path(given.receive_map), matrix) if given.receive_map else None,
            self._sequence("flipAngle_deg", "b1_map") if given.b1_map else 90.0,
            self._sequence("TR", "tissue_t1") if given.tissue_t1 else np.inf,
            (given.tissue_t1, given.tube_t1),
        )

    def _sequence(self, name: str, needed_by: str) -> float:
        """The one value above 0 that the header has of a sequence parameter."""
        sequence = self.scan.sequence
        given = {"TR": sequence.repetition_times, "TE": sequence.echo_times, "flipAngle_deg": sequence.flip_angles}
        values = set(given[name])
        if len(values) != 1:
            raise RawDataError(
                f"the header's sequenceParameters have {len(values) or 'no'} {name} above 0, and {needed_by} needs "
                f"one; convert the raw data with it, or leave {needed_by} out of the chain"
            )
        return float(values.pop())

    def _quantify(self, image: ismrmrd.Image, facts: ImageFacts) -> ismrmrd.Image:
        from nadenoise_core.quantify.atsc import concentration_map

        result = concentration_map(
            pixels_of(image),
            pixel_size(image),
            self._setup_for(image),
            known(facts.k_max),
            known(facts.noise_std) if facts.kind is Kind.PLAIN else None,
            through_zero=self.parameters.intercept == "zero",
            correction=self._correction,
        )
        errors = self._errors(image, facts, result)
        maps = tuple(name for name in ("b1_map", "receive_map") if getattr(self.parameters, name))
        atsc = AtscFacts(
            source=facts.kind,
            line=result.calibration.line,
            standard_error=result.typical_error,
            tubes=self._tubes(result, errors),
            regions=self._regions(facts, result, errors),
            replicas=len(errors.left) if errors is not None else 0,
            corrections=Corrections(**self._factors, maps=maps, uncovered=result.uncovered),
        )
        paths = {"label_map", "roi_map", "b1_map", "receive_map"}
        of_map = replace(facts, kind=Kind.ATSC, atsc=atsc, replicas=())
        of_map = of_map.commented(*self._comments(of_map, result))
        of_map = of_map.after(self.name(), self.parameters.model_dump(exclude=paths))
        return image_beside(image, result.values, of_map)

    def _setup_for(self, image: ismrmrd.Image) -> TubeSetup:
        """The tubes; those of a magnitude are looked for in the complex image beside which it stands."""
        from nadenoise_core.quantify.atsc import found_in

        plain = self._plain
        if plain is None or image is plain or np.iscomplexobj(image.data) or not np.iscomplexobj(plain.data):
            return self._setup
        return found_in(pixels_of(plain), pixel_size(plain), self._setup, known(known_facts(plain).k_max))

    def _errors(self, image: ismrmrd.Image, facts: ImageFacts, result: ConcentrationMap) -> _Errors | None:
        """Standard errors by the image's replicas; None where it has none."""
        from nadenoise_core.quantify.atsc import concentrations_again

        if not facts.replicas:
            return None
        try:
            maps, tubes = concentrations_again(
                replicas_of(image),
                pixel_size(image),
                result,
                known(facts.k_max),
                self.parameters.intercept == "zero",
                self._correction,
            )
        except CalibrationError as error:
            self.log.warning("no standard errors: without some of the averages, %s", error)
            return None
        return _Errors(maps, tubes, facts.averages, [replica.averages for replica in facts.replicas])

    def _tubes(self, result: ConcentrationMap, errors: _Errors | None) -> tuple[Tube, ...]:
        """The tubes, with the errors of what they read."""
        if errors is None:
            return result.tubes
        measured = result.calibration.concentration(np.array([tube.signal for tube in result.tubes]))
        found = errors.of(measured, errors.tubes).tolist()
        return tuple(replace(tube, standard_error=error) for tube, error in zip(result.tubes, found, strict=True))

    def _regions(
        self, facts: ImageFacts, result: ConcentrationMap, errors: _Errors | None
    ) -> tuple[RegionReading, ...]:
        """What the regions of the label map read."""
        if self._rois is None:
            return ()
        method = RegionMethod.DENOISED_MEAN if facts.kind is Kind.DENOISED else RegionMethod.MEAN
        found = []
        for number in (int(number) for number in np.unique(self._rois) if number > 0):
            region = measure(result.values, self._rois == number)
            error = float("nan")
            if errors is not None:
                means = errors.maps[:, self._rois == number].mean(axis=1)
                error = float(errors.of(np.array(region.mean), means))
            found.append(RegionReading(number, region.mean, method, region.std, region.pixels, error))
        return tuple(found)

    def _comments(self, facts: ImageFacts, result: ConcentrationMap) -> Iterator[str]:
        """What people should know of a map; warnings are logged, too."""
        line = result.calibration
        lost = sorted(set(self.parameters.concentrations) - {tube.concentration for tube in result.tubes})
        if lost:
            yield self._warned(
                f"the tubes of {', '.join(f'{c:g}' for c in lost)} mmol/L are hidden by noise and left out"
            )
        if facts.method is Method.TOTAL_VARIATION and self.parameters.intercept == "fitted":
            yield self._warned(
                "total variation bends the calibration line: a fitted intercept makes muscle read low; use zero"
            )
        yield f"signal = {line.slope:.4g} * c + {line.intercept:.4g}, R2 {line.r2:.4f}"
        if self._factors:
            factor = self._correction.factor
            named = ", ".join(f"{name} {value:.4g}" for name, value in self._factors.items())
            yield (
                f"aTSC of tissue: all is multiplied by {factor:.4g} ({named}), so the tubes read {factor:.4g} times "
                "their concentration"
            )
        maps = [name for name in ("b1_map", "receive_map") if getattr(self.parameters, name)]
        if not maps:
            return
        named = " and ".join(maps)
        yield f"corrected by {named}"
        tubes = ", ".join(f"{c:g}" for c in result.uncovered_tubes)
        if result.uncovered >= _WORTH_SAYING or tubes:
            words = f"{named}: nothing is known of {100 * result.uncovered:.0f} % of the object"
            words += f" and the tubes of {tubes} mmol/L" if tubes else ""
            yield self._warned(words + "; there the signal is not corrected")

    def _warned(self, words: str) -> str:
        """Words that go into the log as well."""
        self.log.warning(words)
        return words


@dataclass(frozen=True)
class _Errors:
    """What the averages tell without some of them, mmol/L.

    Attributes:
        maps: (replicas, rows, columns) aTSC.
        tubes: (replicas, tubes) readings of the tubes.
        averages: of the image itself.
        left: (replicas,) averages in each.
    """

    maps: NDArray[np.float64]
    tubes: NDArray[np.float64]
    averages: int
    left: list[int]

    def of(self, whole: NDArray[np.float64], replicas: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standard error of values that the replicas (replicas, values) give too."""
        return jackknife_error(whole, replicas, self.averages, self.left)
