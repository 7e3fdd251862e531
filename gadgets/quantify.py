"""Turn signal into apparent tissue sodium concentration (aTSC)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import ismrmrd
import numpy as np
from pydantic import Field, model_validator
from typing_extensions import Self

from nadenoise_core.errors import CalibrationError
from nadenoise_core.quantify.atsc import ConcentrationMap, TubeSetup, concentration_map, tubes_as_facts
from nadenoise_core.quantify.rois import read_label_map
from nadenoise_core.stream.gadget import Gadget, GadgetParameters, Item
from nadenoise_core.stream.image import (
    add_to_history,
    comment,
    image_beside,
    label,
    pixel_size,
    pixels_of,
    say,
    told,
    told_number,
    window,
)
from nadenoise_core.stream.scan import Scan


class Quantify(Gadget):
    """Put an aTSC map in mmol/L beside an image, calibrated by the reference tubes in the same image.

    Where the tubes are not found or give no line, the image goes on alone, with the reason in its comments.
    """

    class Parameters(GadgetParameters):
        concentrations: tuple[float, ...] = Field(
            (10, 25, 50, 75, 100), min_length=3, description="concentrations of the reference tubes, mmol/L"
        )
        tube_diameter: float = Field(0, ge=0, le=80, description="inner diameter of the tubes, mm; 0 finds it out")
        tube_positions: tuple[float, ...] = Field(
            (),
            description="x1, y1, x2, y2, ... of the tubes' centres in the order of concentrations, mm from the "
            "centre of the FOV along read and phase; empty finds them",
        )
        label_map: str = Field(
            "", description="NIfTI label map with label n on the tube of the n-th concentration; empty finds them"
        )
        intercept: Literal["zero", "fitted"] = Field(
            "zero",
            description="calibration line: zero goes through the 0 of air, which complex images have; fitted is the "
            "paper's line, and what a magnitude always gets",
        )
        maps: Literal["best", "all"] = Field(
            "best", description="best: of the denoised image, or of the plain one where there is none; all: of both"
        )

        @model_validator(mode="after")
        def _fits(self) -> Self:
            if min(self.concentrations) < 0 or len(set(self.concentrations)) < 3:
                raise ValueError("concentrations must be at least three different numbers, none below 0")
            if self.tube_positions and len(self.tube_positions) != 2 * len(self.concentrations):
                raise ValueError(
                    f"tube_positions has {len(self.tube_positions)} numbers; {len(self.concentrations)} tubes need "
                    f"{2 * len(self.concentrations)}"
                )
            if self.tube_positions and not self.tube_diameter:
                raise ValueError("tube_positions is given without tube_diameter; give both")
            return self

    parameters: Parameters
    takes = ismrmrd.Image
    gives = ismrmrd.Image

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

    def process(self, items: Iterable[Item]) -> Iterator[Item]:
        for item in items:
            if not isinstance(item, ismrmrd.Image) or not self._is_wanted(item):
                yield item
                continue
            try:
                atsc = self._quantify(item)
            except CalibrationError as error:
                self.log.warning("no aTSC map: %s", error)
                comment(item, f"no aTSC map: {error}")
                yield item
            else:
                yield item
                yield atsc

    def _is_wanted(self, image: ismrmrd.Image) -> bool:
        kind = told(image, "kind")
        has_better = told(image, "denoised") == "beside" and kind == "nufft"
        return kind in ("nufft", "denoised") and (self.parameters.maps == "all" or not has_better)

    def _quantify(self, image: ismrmrd.Image) -> ismrmrd.Image:
        kind = told(image, "kind")
        k_max, noise_std = told_number(image, "k_max"), told_number(image, "noise_std")
        known = kind == "nufft" and np.isfinite(noise_std)
        result = concentration_map(
            pixels_of(image),
            pixel_size(image),
            self._setup,
            k_max if np.isfinite(k_max) else None,
            noise_std if known else None,
            through_zero=self.parameters.intercept == "zero",
        )
        atsc = image_beside(image, result.values)
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
        comment(atsc, f"signal = {line.slope:.4g} * c + {line.intercept:.4g}, R2 {line.r2:.4f}")
        add_to_history(atsc, self.name(), self.parameters.model_dump(exclude={"label_map"}))
        return atsc


def _typical_error(result: ConcentrationMap) -> float:
    """Median standard error of a pixel, mmol/L, where there is at least the signal of the weakest tube."""
    bright = result.values >= min(tube.concentration for tube in result.tubes)
    return float(np.median(result.standard_error[bright])) if bright.any() else float("nan")
