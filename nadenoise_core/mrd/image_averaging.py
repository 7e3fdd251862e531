"""The running average of one image, from its acquisitions to the data that it is made of."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence

import ismrmrd
import numpy as np

from nadenoise_core.errors import RawDataError
from nadenoise_core.mrd.buffer import pack, typical_averages
from nadenoise_core.mrd.checks import (
    check_centre,
    check_coverage,
    check_half_pulses,
    check_order,
    check_repeats,
    check_zeros,
    warn_of_average_phase,
    warn_of_half_pulse_phase,
    warn_of_missing,
    warn_of_offset,
    warn_of_timing,
)
from nadenoise_core.mrd.collector import ReadoutCollector
from nadenoise_core.mrd.limit_watch import check_limit
from nadenoise_core.mrd.recon_data import ReconData
from nadenoise_core.mrd.scan import Scan
from nadenoise_core.mrd.settings import ARRIVAL, AveragingSettings
from nadenoise_core.mrd.sorting import Sorted
from nadenoise_core.mrd.trajectory import Positions
from nadenoise_core.recon.averaged import AveragedKspace
from nadenoise_core.recon.averaging import KspaceAverager
from nadenoise_core.sampling.coverage import coverage_of

_FAR = 0.8  # of the averages that the header announces: a scan that ends before was broken off
_log = logging.getLogger("nadenoise.accumulate")


class ImageAverager:
    """The running average of one slice, contrast and repetition.

    Args:
        settings: of the averaging.
        scan: of the header.
        positions: see `open_positions`.
    """

    def __init__(self, settings: AveragingSettings, scan: Scan, positions: Positions) -> None:
        self._settings = settings
        self._scan = scan
        self._encoding = scan.encoding
        self._collector = ReadoutCollector(settings, scan, positions)
        # A limit of one average is what converters write that do not know it.
        counted = settings.average_counter != ARRIVAL
        self._announced = (scan.count(settings.average_counter) if counted else None) or 1
        self._levels = list(settings.emit_at or ([self._announced] if self._announced > 1 else []))
        self._averager: KspaceAverager | None = None
        self._emitted = 0  # averages in the last image
        self._checked = False

    @property
    def held(self) -> int:
        """Bytes of the sums."""
        return 0 if self._averager is None else self._averager.held

    @property
    def averages(self) -> int:
        """How many averages have come."""
        return 0 if self._averager is None else self._averager.averages

    @property
    def plane(self) -> tuple[tuple[float, ...], ...]:
        """Normal and position (mm) of the slice; none before its first readout."""
        header = next(iter(self._collector.reader.trajectories.headers.values()), None)
        return () if header is None else (tuple(header.slice_dir), tuple(header.position))

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
        last = self._averager.averages
        came = last - self._averager.first_average
        wanted = [level for level in self._levels if level < came or level == last]
        short = any(level > came for level in self._levels)
        unused = not self._settings.emit_at and last > max(self._averager.levels, default=0)
        self._warn_of_few(came)
        far = came < _FAR * self._announced
        # The last image is there already, but for the mark that the scan was broken off.
        last_is_given = came == self._emitted and not far
        if (short or unused or came in self._levels) and last not in wanted and not last_is_given:
            wanted.append(last)
        if wanted:
            with self._collector.reader.left_out_named():
                interleaves, half_pulses = self._collector.expected.at_end()
            for level in wanted:
                announced = self._announced if far and level == last else 0
                try:
                    with self._collector.reader.left_out_named():
                        made = self._emit(self._averager, level, interleaves, half_pulses, announced=announced)
                    yield made
                except RawDataError as error:
                    if level == wanted[-1]:
                        raise
                    _log.warning("no image of the first %d averages: %s", level, error)

    def _warn_of_few(self, came: int) -> None:
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
                outer = self._collector.reader.trajectories.outer_samples(readout.samples.shape[1])
                groups = max(self._settings.jackknife_groups, 1)
                self._averager = KspaceAverager(tuple(self._levels), noise_samples=outer, groups=groups)
            key = readout.average, readout.interleaf, readout.half
            if item.instead_of is not None:
                old = item.instead_of
                self._averager.replace(*key, (old.samples, readout.samples), (old.place, readout.place))
            else:
                self._averager.add(*key, readout.samples, item.is_copy, readout.place)

    def _emit(
        self,
        averager: KspaceAverager,
        level: int,
        interleaves: Sequence[int],
        half_pulses: Sequence[int],
        announced: int = 0,
    ) -> ReconData:
        """The data of the image of the first `level` averages, with warnings for what is missing in it.

        Args:
            averager: of the sums.
            level, interleaves, half_pulses: see `KspaceAverager.average`.
            announced: averages that the header announces, where the scan ended far before them; 0: it did not.
        """
        turned = self._settings.correct_half_pulse_phase
        averaged = averager.average(level, interleaves, half_pulses, turned).whitened()
        check_half_pulses(averaged)
        if not self._checked:
            check_limit(averager.samples_at_limit(averaged))
        first = averager.first_average
        warn_of_missing(averager.missing(level, interleaves, half_pulses, first), level - first)
        if not turned:
            warn_of_half_pulse_phase(averaged)
        if not averager.is_scattered:
            check_repeats(averaged)
        if not self._settings.correct_average_phase:
            warn_of_average_phase(averaged)
        replicas = [] if averager.is_scattered else self._replicas(averaged, averager, level, interleaves, half_pulses)
        if averager.is_scattered and self._settings.jackknife_groups:
            _log.warning("no standard errors: averages were taken at places of their own")
        reader = self._collector.reader
        trajectory = reader.trajectories.stacked(averaged.arms, reader.samples)
        if not self._checked:
            check_coverage(coverage_of(trajectory, self._encoding), reader.trajectories.unit_is_given)
            check_order(averaged.kspace, trajectory)
            check_centre(averaged, trajectory * np.array(self._encoding.matrix[::-1], np.float32))
            check_zeros(averaged.kspace)
            warn_of_offset(averaged.kspace, trajectory)
            warn_of_timing(reader.trajectories.dwell_time, reader.samples, self._scan.sequence.repetition_times)
            self._checked = True
        headers = [reader.trajectories.headers[interleaf] for interleaf, _ in averaged.arms]
        return pack(averaged, trajectory, headers, self._encoding, replicas, announced)

    def _replicas(
        self,
        averaged: AveragedKspace,
        averager: KspaceAverager,
        level: int,
        interleaves: Sequence[int],
        half_pulses: Sequence[int],
    ) -> list[AveragedKspace]:
        """The means without each group of averages in turn; none where there are too few averages.

        A group that hardly came, as an average that broke off, is not left out: it would leave as many as there are.
        """
        groups = min(self._settings.jackknife_groups, level, averager.averages)
        if groups < 2:
            return []
        turned = self._settings.correct_half_pulse_phase
        try:
            made = [
                averager.average(level, interleaves, half_pulses, turned, without=group).whitened()
                for group in range(groups)
            ]
            fewer = [replica for replica in made if typical_averages(replica) < typical_averages(averaged)]
            return fewer if len(fewer) > 1 else []
        except RawDataError:
            _log.warning("no standard errors of %d averages: an interleaf has come in one group of them alone", level)
            return []
