"""Acquisitions averaged in k-space as they come, each image of the scan on its own."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import ismrmrd
from gadgetron.types.recon_data import ReconData

from nadenoise_core.errors import RawDataError
from nadenoise_core.mrd.acquisitions import image_of
from nadenoise_core.mrd.buffer import pack
from nadenoise_core.mrd.readouts import ReadoutReader
from nadenoise_core.mrd.scan import Scan
from nadenoise_core.mrd.settings import AveragingSettings
from nadenoise_core.mrd.trajectory import gradient_correction
from nadenoise_core.recon.averaging import AveragedKspace, KspaceAverager
from nadenoise_core.sampling.gradients import GradientCorrection

_log = logging.getLogger("nadenoise.accumulate")
_LARGE_HALF_PULSE_PHASE = 10.0  # degrees; costs 0.4 % of the signal
_CERTAIN = 4.0  # standard errors
_NAMED = 6  # missing readouts in a warning


class ScanAverager:
    """The running averages of all images of a scan: of every slice, contrast and repetition.

    Args:
        settings: of the averaging.
        scan: of the header.

    Raises:
        BadInputError: see `gradient_correction`.
    """

    def __init__(self, settings: AveragingSettings, scan: Scan) -> None:
        self._settings = settings
        self._scan = scan
        self._gradients = gradient_correction(settings, scan)
        self._images: dict[tuple[int, ...], ImageAverager] = {}

    def add(self, acquisition: ismrmrd.Acquisition, number: int) -> Iterator[ReconData]:
        """Take a readout of an image; give the data of each image that is complete with it.

        Args:
            acquisition: image data, see `is_image_data`.
            number: of the acquisition on the stream, for messages.

        Raises:
            RawDataError: see `ReadoutReader.read`.
        """
        place = image_of(acquisition, self._settings.image_counters)
        image = self._images.get(place)
        if image is None:
            image = self._images[place] = ImageAverager(self._settings, self._scan, self._gradients)
        yield from image.add(acquisition, number)

    def finish(self) -> Iterator[ReconData]:
        """What is left of every image; one that cannot be made does not take the others with it.

        Raises:
            RawDataError: nothing came, or no image can be made.
        """
        if not self._images:
            raise RawDataError("no acquisition came; the scan is empty")
        failures = []
        for place, image in self._images.items():
            try:
                yield from image.finish()
            except RawDataError as error:
                named = zip(self._settings.image_counters, place, strict=True)
                name = ", ".join(f"{counter} {value}" for counter, value in named)
                failures.append(error if len(self._images) == 1 else RawDataError(f"{name}: {error}"))
        if len(failures) == len(self._images):
            raise failures[0]
        for failure in failures:
            _log.warning("%s", failure)


class ImageAverager:
    """The running average of one slice, contrast and repetition; arguments as of `ScanAverager`."""

    def __init__(self, settings: AveragingSettings, scan: Scan, gradients: GradientCorrection) -> None:
        self._settings = settings
        self._encoding = scan.encoding
        self._reader = ReadoutReader(settings, scan, gradients)
        # A limit of one average is what converters write that do not know it.
        announced = scan.count(settings.average_counter) or 1
        self._levels = list(settings.emit_at or ([announced] if announced > 1 else []))
        self._averager: KspaceAverager | None = None
        self._repeated = 0

    def add(self, acquisition: ismrmrd.Acquisition, number: int) -> Iterator[ReconData]:
        """Take a readout; give an image's data when a number of averages to emit at is complete."""
        readout = self._reader.read(acquisition, number)
        if self._averager is None:
            outer = slice(readout.samples.shape[1] // 2, None)
            groups = max(self._settings.jackknife_groups, 1)
            self._averager = KspaceAverager(tuple(self._levels), noise_samples=outer, groups=groups)
        if not self._averager.add(readout.average, readout.interleaf, readout.half, readout.samples):
            self._repeated += 1
            return
        if self._reader.interleaves is None or self._reader.half_pulses is None:
            return  # how many there must be is known only when all have come
        readouts = self._reader.interleaves * self._reader.half_pulses
        while self._levels and self._averager.is_complete(self._levels[0], readouts):
            yield self._emit(self._averager, self._levels.pop(0))

    def finish(self) -> Iterator[ReconData]:
        """What is left at the end of the stream: incomplete averages, or a scan that was shorter than announced."""
        if self._averager is None:
            return
        if self._repeated:
            _log.warning("%d acquisitions came twice and were left out", self._repeated)
        came = self._averager.averages
        wanted = [level for level in self._levels if level <= came]
        short = [level for level in self._levels if level > came]
        unused = not self._settings.emit_at and came > max(self._averager.levels, default=0)
        for level in wanted:
            yield self._emit(self._averager, level)
        if short or unused:
            if short:
                hint = "; if another counter counts them, set average_counter" if came == 1 else ""
                _log.warning("the scan has %d averages, %d were expected%s", came, short[-1], hint)
            if came not in wanted:
                yield self._emit(self._averager, came)

    def _emit(self, averager: KspaceAverager, level: int) -> ReconData:
        """The data of the image of the first `level` averages, with warnings for what is missing in it."""
        interleaves = self._reader.interleaves or averager.interleaves
        half_pulses = self._reader.half_pulses or averager.half_pulses
        turned = self._settings.correct_half_pulse_phase
        averaged = averager.average(level, interleaves, half_pulses, turned).whitened()
        _warn_of_missing(averager.missing(level, interleaves, half_pulses), level)
        if not turned:
            _warn_of_half_pulse_phase(averaged)
        replicas = self._replicas(averager, level, interleaves, half_pulses)
        trajectory = self._reader.trajectories.stacked(interleaves, self._reader.samples)
        headers = [self._reader.trajectories.headers[interleaf] for interleaf in range(interleaves)]
        return pack(averaged, trajectory, headers, self._encoding, replicas)

    def _replicas(
        self, averager: KspaceAverager, level: int, interleaves: int, half_pulses: int
    ) -> list[AveragedKspace]:
        """The means without each group of averages in turn; none where there are too few averages."""
        groups = min(self._settings.jackknife_groups, level, averager.averages)
        if groups < 2:
            return []
        turned = self._settings.correct_half_pulse_phase
        try:
            return [
                averager.average(level, interleaves, half_pulses, turned, without=group).whitened()
                for group in range(groups)
            ]
        except RawDataError:
            _log.warning("no standard errors of %d averages: an interleaf has come in one group of them alone", level)
            return []


def _warn_of_missing(missing: dict[tuple[int, int], int], level: int) -> None:
    """Say which readouts are missing; see `KspaceAverager.missing`."""
    if missing:
        named = [f"interleaf {i}, half-pulse {h}: {count}" for (i, h), count in missing.items()]
        more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
        _log.warning("%s of %d averages are missing", "; ".join(named[:_NAMED]) + more, level)


def _warn_of_half_pulse_phase(averaged: AveragedKspace) -> None:
    """Say that the half-pulses differ in phase, where it is certain and costs signal."""
    certain = abs(averaged.half_pulse_phase) > _CERTAIN * averaged.half_pulse_phase_error
    if certain and abs(averaged.half_pulse_phase) > _LARGE_HALF_PULSE_PHASE:
        _log.warning(
            "the half-pulses differ by %.0f degrees, which costs signal; set correct_half_pulse_phase",
            averaged.half_pulse_phase,
        )
