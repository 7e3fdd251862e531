"""Turn signal into apparent tissue sodium concentration (aTSC)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import ismrmrd
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from typing_extensions import Self

from nadenoise_core.chain.gadget import Gadget, GadgetParameters, Item, ItemType
from nadenoise_core.configuration.fields import CONSOLE, PATH, Unit
from nadenoise_core.errors import CalibrationError, RawDataError
from nadenoise_core.mrd.image import (
    add_to_history,
    comment,
    image_beside,
    label,
    pixel_size,
    pixels_of,
    replicas_of,
    say,
    told,
    told_number,
    told_numbers,
    window,
    without_replicas,
)
from nadenoise_core.mrd.scan import Scan
from nadenoise_core.quantify.atsc import (
    ConcentrationMap,
    TubeSetup,
    concentration_map,
    concentrations_again,
    found_in,
    tubes_as_facts,
)
from nadenoise_core.quantify.calibration import Intercept
from nadenoise_core.quantify.nifti import read_label_map, read_map
from nadenoise_core.quantify.relaxation import saturation_factor, t2_star_factor
from nadenoise_core.quantify.rois import measure
from nadenoise_core.quantify.sensitivity import SignalCorrection, with_maps
from nadenoise_core.quantify.uncertainty import jackknife_error

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
            if not isinstance(item, ismrmrd.Image):
                yield item
                continue
            if told(item, "kind") == "plain":
                self._plain = item
            if not self._is_wanted(item):
                yield without_replicas(item)
                continue
            try:
                atsc = self._quantify(item)
            except CalibrationError as error:
                self.log.warning("no aTSC map: %s", error)
                comment(item, f"no aTSC map: {error}")
                yield without_replicas(item)
            else:
                yield without_replicas(item)
                yield atsc

    def _is_wanted(self, image: ismrmrd.Image) -> bool:
        kind = told(image, "kind")
        has_better = told(image, "denoised") == "beside" and kind == "plain"
        return kind in ("plain", "denoised") and (self.parameters.maps == "all" or not has_better)

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

    def _quantify(self, image: ismrmrd.Image) -> ismrmrd.Image:
        kind = told(image, "kind")
        k_max, noise_std = told_number(image, "k_max"), told_number(image, "noise_std")
        known = kind == "plain" and np.isfinite(noise_std)
        result = concentration_map(
            pixels_of(image),
            pixel_size(image),
            self._setup_for(image),
            k_max if np.isfinite(k_max) else None,
            noise_std if known else None,
            through_zero=self.parameters.intercept == "zero",
            correction=self._correction,
        )
        atsc = image_beside(without_replicas(image), result.values)
        source = "CNN" if kind == "denoised" else told(image, "method") or "NUFFT"
        label(atsc, "atsc", f"23Na aTSC [mmol/L] {source} {told(image, 'averages')} avg")
        window(atsc, 50.0, 100.0)
        line = result.calibration
        lost = sorted(set(self.parameters.concentrations) - {tube.concentration for tube in result.tubes})
        if lost:
            words = f"the tubes of {', '.join(f'{c:g}' for c in lost)} mmol/L are hidden by noise and left out"
            self.log.warning(words)
            comment(atsc, words)
        say(
            atsc,
            unit="mmol/L",
            source=kind or "",
            slope=line.slope,
            intercept=line.intercept,
            r2=line.r2,
            standard_error=_typical_error(result),
            **tubes_as_facts(result.tubes),
        )
        if told(image, "method") == "CS" and self.parameters.intercept == "fitted":
            words = "total variation bends the calibration line: a fitted intercept makes muscle read low; use zero"
            self.log.warning(words)
            comment(atsc, words)
        comment(atsc, f"signal = {line.slope:.4g} * c + {line.intercept:.4g}, R2 {line.r2:.4f}")
        self._say_regions(atsc, result, self._errors(image, result))
        self._say_corrections(atsc, result)
        paths = {"label_map", "roi_map", "b1_map", "receive_map"}
        add_to_history(atsc, self.name(), self.parameters.model_dump(exclude=paths))
        return atsc

    def _setup_for(self, image: ismrmrd.Image) -> TubeSetup:
        """The tubes; those of a magnitude are looked for in the complex image beside which it stands."""
        plain = self._plain
        if plain is None or image is plain or np.iscomplexobj(image.data) or not np.iscomplexobj(plain.data):
            return self._setup
        k_max = told_number(plain, "k_max")
        return found_in(pixels_of(plain), pixel_size(plain), self._setup, k_max if np.isfinite(k_max) else None)

    def _errors(self, image: ismrmrd.Image, result: ConcentrationMap) -> _Errors | None:
        """Standard errors by the image's replicas; None where it has none."""
        replicas = replicas_of(image)
        if not len(replicas):
            return None
        k_max = told_number(image, "k_max")
        try:
            maps, tubes = concentrations_again(
                replicas,
                pixel_size(image),
                result,
                k_max if np.isfinite(k_max) else None,
                self.parameters.intercept == "zero",
                self._correction,
            )
        except CalibrationError as error:
            self.log.warning("no standard errors: without some of the averages, %s", error)
            return None
        left = [int(number) for number in told_numbers(image, "replica_averages")]
        return _Errors(maps, tubes, int(told_number(image, "averages")), left)

    def _say_regions(self, atsc: ismrmrd.Image, result: ConcentrationMap, errors: _Errors | None) -> None:
        """Write what the tubes and the regions of the label map read."""
        if errors is not None:
            measured = result.calibration.concentration(np.array([tube.signal for tube in result.tubes]))
            say(atsc, replicas=len(errors.left), tube_standard_error=errors.of(measured, errors.tubes).tolist())
        if self._rois is None:
            return
        found = [int(number) for number in np.unique(self._rois) if number > 0]
        regions = [measure(result.values, self._rois == number) for number in found]
        say(
            atsc,
            region_label=found,
            region_mean=[region.mean for region in regions],
            region_std=[region.std for region in regions],
            region_pixels=[region.pixels for region in regions],
        )
        if errors is not None:
            means = np.array([errors.maps[:, self._rois == number].mean(axis=1) for number in found]).T
            whole = np.array([region.mean for region in regions])
            say(atsc, region_standard_error=errors.of(whole, means).tolist())

    def _say_corrections(self, atsc: ismrmrd.Image, result: ConcentrationMap) -> None:
        """Write which corrections were made, and where they could not be."""
        if self._factors:
            say(atsc, **self._factors)
            factor = self._correction.factor
            named = ", ".join(f"{name} {value:.4g}" for name, value in self._factors.items())
            comment(
                atsc,
                f"aTSC of tissue: all is multiplied by {factor:.4g} ({named}), so the tubes read {factor:.4g} times "
                "their concentration",
            )
        maps = [name for name in ("b1_map", "receive_map") if getattr(self.parameters, name)]
        if not maps:
            return
        named = " and ".join(maps)
        say(atsc, corrected_by=maps, uncovered=result.uncovered)
        comment(atsc, f"corrected by {named}")
        tubes = ", ".join(f"{c:g}" for c in result.uncovered_tubes)
        if result.uncovered >= _WORTH_SAYING or tubes:
            words = f"{named}: nothing is known of {100 * result.uncovered:.0f} % of the object"
            words += f" and the tubes of {tubes} mmol/L" if tubes else ""
            words += "; there the signal is not corrected"
            self.log.warning(words)
            comment(atsc, words)


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


def _typical_error(result: ConcentrationMap) -> float:
    """Median standard error of a pixel, mmol/L, where there is at least the signal of the weakest tube."""
    bright = result.values >= min(tube.concentration for tube in result.tubes)
    return float(np.median(result.standard_error[bright])) if bright.any() else float("nan")
