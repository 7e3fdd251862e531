"""Regions read in the images of a scan: by the fit to k-space where this process has it, else on the image."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import CalibrationError, RegionError
from nadenoise_core.mrd.attachments import attachments_of
from nadenoise_core.mrd.facts import Kind, known
from nadenoise_core.mrd.geometry import plane_of
from nadenoise_core.mrd.image import known_facts, pixel_size, pixels_of
from nadenoise_core.quantify.atsc import ConcentrationMap
from nadenoise_core.quantify.calibration import Slope
from nadenoise_core.quantify.image_readouts import readouts_of_image
from nadenoise_core.quantify.pose import Pose, PoseKind
from nadenoise_core.quantify.readings import BY_FIT, RegionMethod, RegionReading
from nadenoise_core.quantify.readouts import Readouts, readouts
from nadenoise_core.quantify.region_fit import FitSettings
from nadenoise_core.quantify.region_means import region_means
from nadenoise_core.quantify.region_reader import RegionReader
from nadenoise_core.quantify.region_values import RegionResult
from nadenoise_core.quantify.regions import Regions
from nadenoise_core.quantify.relaxation import readout_decay, shares_of
from nadenoise_core.quantify.remarks import Remark
from nadenoise_core.quantify.sensitivity import SignalCorrection
from nadenoise_core.quantify.uncertainty import Jackknife

if TYPE_CHECKING:
    import ismrmrd

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ReadoutDecay:
    """How signal decays during the readout.

    Attributes:
        echo_time: ms.
        tissue, tube: T2* of the components, ms.
        short_share: share of the first of two components.
    """

    echo_time: float
    tissue: tuple[float, ...]
    tube: tuple[float, ...]
    short_share: float

    def left(self, components: tuple[float, ...], times: Floats) -> Floats:
        """(samples,) signal that is left at times from the echo, s; 1 at the echo."""
        return readout_decay(1e3 * times, self.echo_time, components, shares_of(components, self.short_share))


@dataclass(frozen=True)
class ReadRegions:
    """What was read in an image.

    Attributes:
        readings: of the regions.
        pose: of the labels; None where it was not fitted.
        slope: signal per mmol/L by the fit; None where nothing was fitted.
        remarks: for people.
    """

    readings: tuple[RegionReading, ...] = ()
    pose: Pose | None = None
    slope: Slope | None = None
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True, eq=False)
class RegionsOfImages:
    """Reads the regions of one label map in image after image.

    Attributes:
        reader: of the label map.
        methods: of reading them.
        settings: of the fit.
        decay: during the readout; None: it is not known.
    """

    reader: RegionReader
    methods: tuple[RegionMethod, ...]
    settings: FitSettings
    decay: ReadoutDecay | None = None

    def outlined(self, image: ismrmrd.Image, pose: Pose | None) -> Regions:
        """The regions in the slice of an image, where their pose puts them."""
        regions = self.reader.regions(plane_of(image))
        return regions if pose is None else regions.moved(pose)

    def read(
        self,
        plain: ismrmrd.Image,
        result: ConcentrationMap,
        source: Kind,
        jackknife: Jackknife | None,
        correction: SignalCorrection,
        plain_map: Callable[[], ConcentrationMap],
        with_fit: bool = True,
    ) -> ReadRegions:
        """The regions of an image and its map.

        Args:
            plain: the image as reconstructed.
            result: its map, or that of the image denoised.
            source: which of them.
            jackknife: the map without some of its averages; None: there are none.
            correction: that was made.
            plain_map: makes the map of the plain image.
            with_fit: whether the fit is told with this map.
        """
        wanted = [method for method in self.methods if method in BY_FIT and with_fit]
        found = ReadRegions()
        for method in wanted:
            found = _together(found, self._fitted(plain, result, method, correction))
        unread = bool(wanted) and not found.readings
        mean = RegionMethod.DENOISED_MEAN if source is Kind.DENOISED else RegionMethod.MEAN
        plane, regions = plane_of(plain), self.outlined(plain, found.pose)
        if mean in self.methods:
            found = _together(found, ReadRegions(region_means(result.values, regions, plane, mean, jackknife)))
        elif unread:
            # Never of a denoised image that nobody asked for.
            values = (result if source is Kind.PLAIN else plain_map()).values
            found = _together(found, ReadRegions(region_means(values, regions, plane, RegionMethod.MEAN)))
        return found

    def _fitted(
        self, plain: ismrmrd.Image, result: ConcentrationMap, method: RegionMethod, correction: SignalCorrection
    ) -> ReadRegions:
        scan, settings, remarks = self._readouts(plain, method, correction)
        tubes = result.tubes
        at = [_nearest_pixel(plain, tube.centre) for tube in tubes]
        gains = np.broadcast_to(correction.tubes / correction.tissue, scan.matrix)
        settings = replace(settings, factor=correction.factor, tube_gain=np.array([gains[place] for place in at]))
        try:
            fitted = self.reader.fit(scan, plane_of(plain), tubes, settings)
        except (RegionError, CalibrationError) as error:
            return ReadRegions(
                remarks=(*remarks, Remark(f"regions are not fitted, but are means: {error}", warns=True))
            )
        return ReadRegions(
            fitted.values,
            fitted.pose if settings.pose is not PoseKind.OFF else None,
            fitted.slope,
            (*remarks, *_remarks(fitted, settings)),
        )

    def _readouts(
        self, plain: ismrmrd.Image, method: RegionMethod, correction: SignalCorrection
    ) -> tuple[Readouts, FitSettings, tuple[Remark, ...]]:
        """What is fitted to: k-space, or the image where there is none here."""
        facts, pixel = known_facts(plain), pixel_size(plain)
        attached = attachments_of(plain)
        averaged = attached.readouts if method is RegionMethod.FIT else None
        gain = None if correction.tissue.size == 1 else correction.tissue
        if averaged is None:
            scan = readouts_of_image(pixels_of(plain), pixel, known(facts.k_max), facts.noise_std, gain)
            why = (
                "the averaged k-space is not in this node: regions are fitted to the image (GTM); their errors take "
                "its noise as white"
            )
            return scan, self.settings, (Remark(why),) if method is RegionMethod.FIT else ()
        rows, columns = pixels_of(plain).shape
        times = averaged.sample_times
        scan = readouts(
            averaged.kspace,
            averaged.trajectory,
            averaged.noise_std,
            (rows, columns),
            pixel,
            gain,
            attached.off_resonance,
            times,
        )
        if self.decay is None or not times.any():
            return scan, self.settings, ()
        tissue, tube = (self.decay.left(components, times) for components in (self.decay.tissue, self.decay.tube))
        return scan, replace(self.settings, tissue_decay=tissue, tube_decay=tube), ()


def _together(first: ReadRegions, second: ReadRegions) -> ReadRegions:
    return ReadRegions(
        (*first.readings, *second.readings),
        first.pose or second.pose,
        first.slope or second.slope,
        (*first.remarks, *second.remarks),
    )


def _remarks(fitted: RegionResult, settings: FitSettings) -> Iterator[Remark]:
    if settings.pose is not PoseKind.OFF:
        pose, errors = fitted.pose, fitted.pose.standard_error
        yield Remark(
            f"labels moved by ({pose.shift[0]:.2f} +- {errors[0]:.2f}, {pose.shift[1]:.2f} +- {errors[1]:.2f}) mm, "
            f"turned by {pose.angle:.2f} +- {errors[2]:.2f} degrees, scaled by {pose.scale:.4f} +- {errors[3]:.4f}; "
            f"chi-squared fell by {fitted.pose_gain:.0f}"
        )
    yield from (Remark(text, warns=True) for text in fitted.remarks)


def _nearest_pixel(image: ismrmrd.Image, place: Sequence[float]) -> tuple[int, int]:
    rows, columns = pixels_of(image).shape
    height, width = pixel_size(image)
    row, column = round(place[1] / height) + rows // 2, round(place[0] / width) + columns // 2
    return min(max(row, 0), rows - 1), min(max(column, 0), columns - 1)
