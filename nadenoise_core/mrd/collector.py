"""From acquisitions to the readouts of one image: read, counted, sorted, and turned back in phase."""

from __future__ import annotations

from collections.abc import Iterable

import ismrmrd

from nadenoise_core.mrd.expected import Expected
from nadenoise_core.mrd.phasing import AveragePhaser
from nadenoise_core.mrd.readouts import ReadoutReader
from nadenoise_core.mrd.scan import Scan
from nadenoise_core.mrd.settings import ARRIVAL, AveragingSettings
from nadenoise_core.mrd.sorting import Sorted, Sorter
from nadenoise_core.mrd.trajectory import Positions


class ReadoutCollector:
    """Takes the acquisitions of one image, and gives its readouts with the averages that they are of.

    Args:
        settings: of the averaging.
        scan: of the header.
        positions: see `open_positions`.

    Attributes:
        expected: which readouts there must be.
        reader: of the acquisitions.
        beyond: whether the last acquisition was none of those that were expected before it.
    """

    def __init__(self, settings: AveragingSettings, scan: Scan, positions: Positions) -> None:
        self.reader = ReadoutReader(settings, scan, positions)
        self.expected = Expected(settings, scan, self.reader.trajectories)
        self.beyond = False
        self._sorter = Sorter(self.expected.readouts, settings.average_counter == ARRIVAL)
        self._phaser = AveragePhaser(self.expected.readouts) if settings.correct_average_phase else None

    def add(self, acquisition: ismrmrd.Acquisition, number: int) -> list[Sorted]:
        """Take an acquisition; give the readouts whose average is known with it.

        Raises:
            RawDataError: see `ReadoutReader.read`, `Sorter.add` and `AveragePhaser.add`.
        """
        self.beyond = False
        readout = self.reader.read(acquisition, number)
        if readout is None:
            return []
        self.beyond = self.expected.see(readout)
        return self._turned(self._sorter.add(readout))

    def settle(self) -> list[Sorted]:
        """The readouts of which it was open what they are, before an image is made."""
        return self._turned(self._sorter.settle())

    def finish(self) -> list[Sorted]:
        """The readouts that are left at the end."""
        self.reader.finish()
        left = self._turned(self._sorter.finish())
        return left if self._phaser is None else [*left, *self._phaser.finish()]

    def _turned(self, items: Iterable[Sorted]) -> list[Sorted]:
        if self._phaser is None:
            return list(items)
        return [turned for item in items for turned in self._phaser.add(item)]
