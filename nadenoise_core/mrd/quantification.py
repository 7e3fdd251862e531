"""From an image to its aTSC map, with all that is known of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import CalibrationError
from nadenoise_core.mrd.attachments import attach
from nadenoise_core.mrd.facts import AtscFacts, Corrections, ImageFacts, Kind, known
from nadenoise_core.mrd.geometry import plane_of
from nadenoise_core.mrd.image import (
    image_beside,
    known_facts,
    pixel_size,
    pixels_of,
    replicas_of,
)
from nadenoise_core.mrd.placement import Placement
from nadenoise_core.mrd.region_readings import ReadRegions, RegionsOfImages
from nadenoise_core.quantify.atsc import ConcentrationMap, TubeSetup, concentration_map, concentrations_again, found_in
from nadenoise_core.quantify.precision import progress
from nadenoise_core.quantify.remarks import Remark, on_corrections, on_line, on_precision, on_tubes
from nadenoise_core.quantify.uncertainty import Jackknife
from nadenoise_core.recon.settings import Method

if TYPE_CHECKING:
    import ismrmrd

_log = logging.getLogger("nadenoise.quantify")


@dataclass(frozen=True, eq=False)
class Quantification:
    """Makes the aTSC maps of a scan.

    Attributes:
        placement: of tubes and maps.
        through_zero: whether the calibration line of a complex image has no intercept.
        corrections: that are made, as the facts of a map tell them.
        regions: that are read; None: none.
        targets: of precision, half of a 95 % interval in mmol/L by region.
        with_errors: whether a map of standard errors is wanted, too.
        nucleus_doubt: why the scan may have no concentrations at all; empty: no reason.
    """

    placement: Placement
    through_zero: bool = True
    corrections: Corrections = Corrections()
    regions: RegionsOfImages | None = None
    targets: Mapping[str, float] = field(default_factory=dict)
    with_errors: bool = False
    nucleus_doubt: str = ""

    def __call__(
        self, image: ismrmrd.Image, plain: ismrmrd.Image | None, stage: tuple[str, Mapping[str, object]], with_fit: bool
    ) -> tuple[ismrmrd.Image, ...]:
        """The map of an image, and that of its standard error if wanted and known; what warns is logged, too.

        Args:
            image: plain or denoised.
            plain: the plain image of the same data; None where it never came.
            stage: name and parameters, for the history.
            with_fit: whether this map tells the regions of the fit.

        Raises:
            CalibrationError: the tubes are not found or give no calibration line.
        """
        facts = known_facts(image)
        result = self._map(image, facts, plain)
        jackknife = self._jackknife(image, facts, result)
        read = self._read_regions(image if plain is None else plain, facts, result, jackknife, with_fit)
        atsc = AtscFacts(
            source=facts.kind,
            line=result.calibration.line,
            standard_error=result.typical_error,
            tubes=jackknife.with_errors(result.tubes, result.calibration) if jackknife is not None else result.tubes,
            regions=read.readings,
            pose=read.pose,
            fit_slope=read.slope,
            progress=progress(read.readings, facts.averages, self.targets),
            replicas=len(jackknife.left) if jackknife is not None else 0,
            corrections=replace(self.corrections, uncovered=result.uncovered),
        )
        of_map = replace(facts, kind=Kind.ATSC, atsc=atsc, replicas=())
        errors = self._errors(facts, result, jackknife)
        on_regions = (*read.remarks, *on_precision(atsc.progress, facts.averages))
        for remark in (*self._remarks(facts, result), *on_regions, *_on_errors(self.with_errors, errors)):
            of_map = of_map.commented(remark.text)
            if remark.warns:
                _log.warning(remark.text)
        made = image_beside(image, result.values, of_map.after(*stage))
        if self.regions is not None:
            plane, outlined = plane_of(image), self.regions.outlined(image, read.pose)
            drawn = self.regions.outlined(image, None).labels_on_pixels(plane) if read.pose is not None else None
            attach(made, labels=outlined.labels_on_pixels(plane), drawn_labels=drawn, regions=outlined)
        if errors is None:
            return (made,)
        of_errors = replace(facts, kind=Kind.ERROR, replicas=(), comments=()).after(*stage)
        return made, image_beside(image, errors, of_errors)

    def _errors(
        self, facts: ImageFacts, result: ConcentrationMap, jackknife: Jackknife | None
    ) -> NDArray[np.float32] | None:
        """(rows, columns) standard error of every pixel, mmol/L: of a denoised image the replicas alone tell it."""
        if not self.with_errors:
            return None
        if facts.kind is Kind.PLAIN:
            return result.standard_error if known(facts.noise_std) is not None else None
        return None if jackknife is None else jackknife.error_of_map(result.values)

    def _map(self, image: ismrmrd.Image, facts: ImageFacts, plain: ismrmrd.Image | None) -> ConcentrationMap:
        setup, correction = self.placement.at(image)
        return concentration_map(
            pixels_of(image),
            pixel_size(image),
            _setup(setup, image, plain),
            known(facts.k_max),
            known(facts.noise_std) if facts.kind is Kind.PLAIN else None,
            through_zero=self.through_zero,
            correction=correction,
        )

    def _read_regions(
        self,
        plain: ismrmrd.Image,
        facts: ImageFacts,
        result: ConcentrationMap,
        jackknife: Jackknife | None,
        with_fit: bool,
    ) -> ReadRegions:
        if self.regions is None:
            return ReadRegions()
        return self.regions.read(
            plain,
            result,
            facts.kind,
            jackknife,
            self.placement.at(plain)[1],
            lambda: self._map(plain, known_facts(plain), plain),
            with_fit=with_fit,
        )

    def _jackknife(self, image: ismrmrd.Image, facts: ImageFacts, result: ConcentrationMap) -> Jackknife | None:
        """What the image's replicas tell; None where it has none."""
        if not facts.replicas:
            return None
        correction = self.placement.at(image)[1]
        try:
            maps, tubes = concentrations_again(
                replicas_of(image), pixel_size(image), result, known(facts.k_max), self.through_zero, correction
            )
        except CalibrationError as error:
            _log.warning("no standard errors: without some of the averages, %s", error)
            return None
        return Jackknife(maps, tubes, facts.averages, tuple(replica.averages for replica in facts.replicas))

    def _remarks(self, facts: ImageFacts, result: ConcentrationMap) -> Iterator[Remark]:
        if self.nucleus_doubt:
            yield Remark(self.nucleus_doubt)  # the scan has warned of it
        yield from on_tubes(result, self.placement.tubes.concentrations)
        if facts.method is Method.TOTAL_VARIATION and not self.through_zero:
            yield Remark(
                "total variation bends the calibration line: a fitted intercept makes muscle read low; use zero", True
            )
        yield on_line(result.calibration)
        yield from on_corrections(result, self.corrections.factors, self.corrections.maps)


def _on_errors(wanted: bool, errors: NDArray[np.float32] | None) -> Iterator[Remark]:
    if wanted and errors is None:
        yield Remark(
            "no map of standard errors: the noise of this image is not known; set jackknife_groups of accumulate",
            warns=True,
        )


def _setup(setup: TubeSetup, image: ismrmrd.Image, plain: ismrmrd.Image | None) -> TubeSetup:
    """The tubes; those of a magnitude are looked for in the complex image beside which it stands."""
    if plain is None or image is plain or np.iscomplexobj(image.data) or not np.iscomplexobj(plain.data):
        return setup
    return found_in(pixels_of(plain), pixel_size(plain), setup, known(known_facts(plain).k_max))
