"""Acquisitions averaged in k-space as they come, each image of the scan on its own."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence

import ismrmrd
from gadgetron.types.recon_data import ReconData

from nadenoise_core.errors import RawDataError
from nadenoise_core.mrd.acquisitions import image_of
from nadenoise_core.mrd.buffer import pack
from nadenoise_core.mrd.checks import (
    check_half_pulses,
    warn_of_average_phase,
    warn_of_half_pulse_phase,
    warn_of_missing,
)
from nadenoise_core.mrd.collector import ReadoutCollector
from nadenoise_core.mrd.counters import Counter
from nadenoise_core.mrd.scan import Scan
from nadenoise_core.mrd.settings import ARRIVAL, AveragingSettings
from nadenoise_core.mrd.sorting import Sorted
from nadenoise_core.mrd.trajectory import Positions, open_positions
from nadenoise_core.recon.averaged import AveragedKspace
from nadenoise_core.recon.averaging import KspaceAverager

_FAR = 0.8  # of the averages that the header announces: a scan that ends before was broken off
_log = logging.getLogger("nadenoise.accumulate")


class ScanAverager:
    """The running averages of all images of a scan: of every slice, contrast and repetition.

    Args:
        settings: of the averaging.
        scan: of the header.

    Raises:
        BadInputError: see `open_positions`.
    """

    def __init__(self, settings: AveragingSettings, scan: Scan) -> None:
        self._settings = settings
        self._held = 0
        self._made = 0
        self._scan = scan
        self._positions = open_positions(settings, scan)
        self._images: dict[tuple[int, ...], ImageAverager] = {}
        self._partition: int | None = None
        self._image_counters = settings.image_counters
        self._is_one_slice = Counter.KSPACE_ENCODE_STEP_2 not in settings.used_counters

    def add(self, acquisition: ismrmrd.Acquisition, number: int) -> Iterator[ReconData]:
        """Take a readout of an image; give the data of each image that is complete with it.

        Args:
            acquisition: image data, see `is_image_data`.
            number: of the acquisition on the stream, for messages.

        Raises:
            RawDataError: see `ReadoutReader.read`.
        """
        if self._is_one_slice:
            self._check_partition(acquisition, number)
        place = image_of(acquisition, self._image_counters)
        image = self._images.get(place)
        if image is None:
            image = self._images[place] = ImageAverager(self._settings, self._scan, self._positions)
        before = image.held
        given = image.add(acquisition, number)
        yield from self._counted(given)
        self._held += image.held - before
        self._scan.budget.check_sums(self._held)

    def finish(self) -> Iterator[ReconData]:
        """What is left of every image; one that cannot be made does not take the others with it.

        Raises:
            RawDataError: nothing came, or no image can be made.
        """
        if not self._images:
            space = self._scan.encoding_space
            which = f"of encoding {space}, the header's first that may be a spiral, " if space else ""
            raise RawDataError(f"no acquisition {which}came; the scan is empty")
        self._hint_at(Counter.REPETITION)
        self._hint_at(Counter.PHASE)
        failures = []
        for place, image in self._images.items():
            try:
                yield from self._counted(image.finish())
            except RawDataError as error:
                named = zip(self._settings.image_counters, place, strict=True)
                name = ", ".join(f"{counter} {value}" for counter, value in named)
                failures.append(error if len(self._images) == 1 else RawDataError(f"{name}: {error}"))
        if len(failures) == len(self._images):
            raise failures[0]
        for failure in failures:
            _log.warning("%s", failure)

    def _counted(self, given: Iterable[ReconData]) -> Iterator[ReconData]:
        """The same data of images, whose number the budget limits."""
        for data in given:
            self._made += sum(bit.data.data.shape[4] for bit in data)
            self._scan.budget.check_images(self._scan.encoding, self._made)
            yield data

    def _check_partition(self, acquisition: ismrmrd.Acquisition, number: int) -> None:
        partition = acquisition.idx.kspace_encode_step_2
        if self._partition is None:
            self._partition = partition
        if partition != self._partition:
            raise RawDataError(
                f"acquisition {number}: kspace_encode_step_2 is {partition} after {self._partition}: these are "
                "partitions of a stack of spirals, and nadenoise reconstructs slices; export the scan as 2D"
            )

    def _hint_at(self, counter: Counter) -> None:
        """Say that images of one average each are often averages that another counter counts."""
        counters = self._settings.image_counters
        if counter not in counters:
            return
        values = {place[counters.index(counter)] for place in self._images}
        if len(values) > 1 and all(image.averages == 1 for image in self._images.values()):
            _log.warning(
                "the scan has %d values of %s with one average, each an image of its own; if they are averages, set "
                "average_counter to %s",
                len(values), counter, counter,
            )  # fmt: skip


class ImageAverager:
    """The running average of one slice, contrast and repetition; arguments as of `ScanAverager`."""

    def __init__(self, settings: AveragingSettings, scan: Scan, positions: Positions) -> None:
        self._settings = settings
        self._encoding = scan.encoding
        self._collector = ReadoutCollector(settings, scan, positions)
        # A limit of one average is what converters write that do not know it.
        counted = settings.average_counter != ARRIVAL
        self._announced = (scan.count(settings.average_counter) if counted else None) or 1
        self._levels = list(settings.emit_at or ([self._announced] if self._announced > 1 else []))
        self._averager: KspaceAverager | None = None
        self._emitted = 0  # averages in the last image

    @property
    def held(self) -> int:
        """Bytes of the sums."""
        return 0 if self._averager is None else self._averager.held

    @property
    def averages(self) -> int:
        """How many averages have come."""
        return 0 if self._averager is None else self._averager.averages

    def add(self, acquisition: ismrmrd.Acquisition, number: int) -> Iterator[ReconData]:
        """Take a readout; give an image's data when a number of averages to emit at is complete."""
        sorted_readouts = self._collector.add(acquisition, number)
        if self._emitted and self._collector.beyond:
            raise RawDataError(
                f"acquisition {number} is beyond what the header announces, and an image of fewer was made already; "
                "set interleaves in 'accumulate' to their number"
            )
        self._sum(sorted_readouts)
        averager, readouts = self._averager, self._collector.expected.readouts()
        if averager is None or readouts is None:
            return  # how many there must be is known only when all have come
        while self._levels and averager.is_complete(self._levels[0], readouts):
            self._emitted = self._levels.pop(0)
            self._sum(self._collector.settle())
            yield self._emit(averager, self._emitted, *self._collector.expected.so_far())

    def finish(self) -> Iterator[ReconData]:
        """What is left at the end of the stream: incomplete averages, or a scan that was shorter than announced."""
        self._sum(self._collector.finish())
        if self._averager is None:
            return
        came = self._averager.averages
        wanted = [level for level in self._levels if level <= came]
        short = any(level > came for level in self._levels)
        unused = not self._settings.emit_at and came > max(self._averager.levels, default=0)
        self._tell_of_few(came)
        far = came < _FAR * self._announced
        # The last image is there already, but for the mark that the scan was broken off.
        last_is_given = came == self._emitted and not far
        if (short or unused) and came not in wanted and not last_is_given:
            wanted.append(came)
        if wanted:
            interleaves, half_pulses = self._collector.expected.at_end()
            for level in wanted:
                announced = self._announced if far and level == came else 0
                yield self._emit(self._averager, level, interleaves, half_pulses, announced=announced)

    def _tell_of_few(self, came: int) -> None:
        """Warn of averages that the header announces; levels beyond them are what a chain asks of longer scans."""
        if came < self._announced:
            expected = self._announced
        elif came == 1 and self._levels:  # none is announced, and several are asked for
            expected = self._levels[-1]
        else:
            return
        hint = "; if another counter counts them, set average_counter" if came == 1 else ""
        _log.warning("the scan has %d averages, %d were expected%s", came, expected, hint)

    def _sum(self, items: Iterable[Sorted]) -> None:
        for item in items:
            readout = item.readout
            if self._averager is None:
                outer = slice(readout.samples.shape[1] // 2, None)
                groups = max(self._settings.jackknife_groups, 1)
                self._averager = KspaceAverager(tuple(self._levels), noise_samples=outer, groups=groups)
            key = readout.average, readout.interleaf, readout.half
            if item.instead_of is not None:
                self._averager.replace(*key, item.instead_of, readout.samples)
            else:
                self._averager.add(*key, readout.samples, item.is_copy)

    def _emit(
        self,
        averager: KspaceAverager,
        level: int,
        interleaves: Sequence[int],
        half_pulses: Sequence[int],
        announced: int = 0,
    ) -> ReconData:
        """The data of the image of the first `level` averages, with warnings for what is missing in it.

        `announced`: averages, where the scan ended far before them.
        """
        turned = self._settings.correct_half_pulse_phase
        averaged = averager.average(level, interleaves, half_pulses, turned).whitened()
        check_half_pulses(averaged)
        warn_of_missing(averager.missing(level, interleaves, half_pulses), level)
        if not turned:
            warn_of_half_pulse_phase(averaged)
        if not self._settings.correct_average_phase:
            warn_of_average_phase(averaged)
        replicas = self._replicas(averager, level, interleaves, half_pulses)
        reader = self._collector.reader
        trajectory = reader.trajectories.stacked(interleaves, reader.samples)
        headers = [reader.trajectories.headers[interleaf] for interleaf in interleaves]
        return pack(averaged, trajectory, headers, self._encoding, replicas, announced)

    def _replicas(
        self, averager: KspaceAverager, level: int, interleaves: Sequence[int], half_pulses: Sequence[int]
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
