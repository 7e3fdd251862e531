"""Acquisitions averaged in k-space as they come, each image of the scan on its own."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from itertools import pairwise
from math import dist, inf
from operator import attrgetter

import ismrmrd

from nadenoise_core.errors import RawDataError
from nadenoise_core.mrd.acquisitions import IMAGE_COUNTERS
from nadenoise_core.mrd.counters import Counter
from nadenoise_core.mrd.image_averaging import ImageAverager
from nadenoise_core.mrd.recon_data import ReconData
from nadenoise_core.mrd.scan import Scan
from nadenoise_core.mrd.settings import AveragingSettings
from nadenoise_core.mrd.trajectory import open_positions

_log = logging.getLogger("nadenoise.accumulate")
_METRES = 0.01  # of the slice thickness: slices that are nearer to one another


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
        self._others: dict[int, int] = {}  # acquisitions that are no image data, by their encoding
        self._image_counters = settings.image_counters
        # Which image a readout belongs to, as `image_of` tells it, but quicker.
        self._image_of = attrgetter(*(str(counter) for counter in settings.image_counters))
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
        place = self._image_of(acquisition.idx)
        image = self._images.get(place)
        if image is None:
            image = self._images[place] = ImageAverager(self._settings, self._scan, self._positions)
        before = image.held
        given = image.add(acquisition, number)
        yield from self._counted(given)
        self._held += image.held - before
        self._scan.budget.check_sums(self._held)

    def pass_over(self, acquisition: ismrmrd.Acquisition) -> None:
        """Take note of an acquisition that is no image data."""
        space = acquisition.encoding_space_ref
        self._others[space] = self._others.get(space, 0) + 1

    def finish(self) -> Iterator[ReconData]:
        """What is left of every image; one that cannot be made does not take the others with it.

        Raises:
            RawDataError: nothing came, or no image can be made.
        """
        if not self._images:
            raise self._nothing_came()
        self._hint_at(Counter.REPETITION)
        self._hint_at(Counter.PHASE)
        self._warn_of_places()
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

    def _nothing_came(self) -> RawDataError:
        space = self._scan.encoding_space
        flagged, all_others = self._others.get(space, 0), sum(self._others.values())
        if not all_others:
            return RawDataError("no acquisition came; the scan is empty")
        return RawDataError(
            f"no acquisition is image data; the scan is empty: {flagged} have flags of noise, dummies, navigators or "
            f"calibration, and {all_others - flagged} are of another encoding than the spiral's, {space} (from 0); "
            "convert the raw data anew"
        )

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
                "partitions of a stack of spirals, and nadenoise reconstructs slices; export the scan as 2D, or set "
                "interleaf_counter where they are its interleaves"
            )

    def _warn_of_places(self) -> None:
        """Say that slices lie at one place, as where only their counter tells them apart, or nearly, as in metres."""
        number = IMAGE_COUNTERS.index(Counter.SLICE)
        if Counter.SLICE not in self._image_counters:
            return
        planes = {image.plane: place[number] for place, image in self._images.items() if image.plane}
        if len({place[number] for place in self._images}) > len(set(planes.values())):
            _log.warning("slices have the same position, so it is not known where they lie")
        along = [(one, other) for one, other in pairwise(sorted(planes)) if planes[one] != planes[other]]
        apart = min((dist(here, there) for (way, here), (same, there) in along if way == same), default=inf)
        if apart < _METRES * self._scan.slice_thickness:
            _log.warning(
                "slices of %.3g mm lie %.2g mm apart, as if their positions were in metres; convert the raw data anew",
                self._scan.slice_thickness, apart,
            )  # fmt: skip

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
