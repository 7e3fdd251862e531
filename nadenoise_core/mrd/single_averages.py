"""The single averages of a raw file: what the stream sums as it comes, kept apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import RawDataError
from nadenoise_core.mrd.acquisitions import image_of, is_image_data
from nadenoise_core.mrd.checks import check_half_pulses
from nadenoise_core.mrd.collector import ReadoutCollector
from nadenoise_core.mrd.rawfile import RawFile, named_in_errors
from nadenoise_core.mrd.scan import Scan, read_scan
from nadenoise_core.mrd.settings import AveragingSettings
from nadenoise_core.mrd.sorting import Sorted
from nadenoise_core.mrd.trajectory import open_positions
from nadenoise_core.recon.averaged import AveragedKspace
from nadenoise_core.recon.averaging import KspaceAverager
from nadenoise_core.sampling.arms import outer_half

_Key = tuple[int, int, int]  # average, interleaf, half-pulse


@dataclass(frozen=True)
class SingleAverages:
    """The complete averages of one image.

    Attributes:
        kspace: (averages, coils, interleaves, samples) complex64; half-pulses summed.
        mean: of all of them, with the noise that they tell.
        trajectory: (interleaves, samples, 2) float32 in cycles/pixel.
        matrix: (rows, columns) of the image.
    """

    kspace: NDArray[np.complex64]
    mean: AveragedKspace
    trajectory: NDArray[np.float32]
    matrix: tuple[int, int]


def read_averages(path: Path, settings: AveragingSettings | None = None, group: str | None = None) -> SingleAverages:
    """Read every complete average of the only image of a raw file.

    Args:
        path: of the ISMRMRD file.
        settings: as a chain's `accumulate` has them; `emit_at` and `jackknife_groups` do not matter here.
        group: of the measurement in the file, if it holds several.

    Raises:
        RawDataError: no readable raw file, several slices, contrasts or repetitions, readouts that do not belong
            together, or no complete average.
        BadInputError: see `open_positions`.
    """
    settings = settings or AveragingSettings()
    places: set[tuple[int, ...]] = set()
    came: dict[_Key, NDArray[np.complex64]] = {}
    copies: dict[_Key, NDArray[np.complex64]] = {}
    with RawFile(path, group) as file, named_in_errors(path):
        scan = read_scan(file.header_xml)
        collector = ReadoutCollector(settings, scan, open_positions(settings, scan))
        for number, acquisition in enumerate(file.acquisitions()):
            if not is_image_data(acquisition, scan):
                continue
            places.add(image_of(acquisition, settings.image_counters))
            if len(places) > 1:
                raise RawDataError("holds several slices, contrasts or repetitions; give files of one image")
            _keep(came, copies, collector.add(acquisition, number))
        _keep(came, copies, collector.finish())
        if len({average for average, _, _ in came}) == 1:
            came |= copies  # of a scan without noise
        if not came:
            raise RawDataError("holds no complete average of a spiral scan")
        interleaves, halves = collector.expected.at_end()
        readouts = _complete(came, interleaves, halves)
        trajectory = collector.reader.trajectories.stacked([(i, 0) for i in interleaves], readouts.shape[-1])
        return _averages(readouts, trajectory, scan, settings)


def _keep(
    came: dict[_Key, NDArray[np.complex64]], copies: dict[_Key, NDArray[np.complex64]], items: Iterable[Sorted]
) -> None:
    for item in items:
        readout = item.readout
        if readout.place:
            raise RawDataError(f"{readout.name}: averages were taken at places of their own, and cannot be stacked")
        place = copies if item.is_copy else came
        place[readout.average, readout.interleaf, readout.half] = readout.samples


def _complete(
    came: dict[_Key, NDArray[np.complex64]], interleaves: Sequence[int], halves: Sequence[int]
) -> NDArray[np.complex64]:
    """The complete averages, (averages, interleaves, half-pulses, coils, samples)."""
    places = [(interleaf, half) for interleaf in interleaves for half in halves]
    averages = [a for a in sorted({key[0] for key in came}) if all((a, *place) in came for place in places)]
    if not averages:
        raise RawDataError("holds no complete average of a spiral scan")
    stacked = np.array([[came[(average, *place)] for place in places] for average in averages], np.complex64)
    return stacked.reshape(len(averages), len(interleaves), len(halves), *stacked.shape[2:])


def _averages(
    readouts: NDArray[np.complex64], trajectory: NDArray[np.float32], scan: Scan, settings: AveragingSettings
) -> SingleAverages:
    averages, interleaves, halves = readouts.shape[:3]
    averager = KspaceAverager((), outer_half(trajectory[0]))
    for average, interleaf, half in np.ndindex(averages, interleaves, halves):
        averager.add(average, interleaf, half, readouts[average, interleaf, half])
    mean = averager.average(averages, range(interleaves), range(halves), settings.correct_half_pulse_phase)
    check_half_pulses(mean)
    if settings.correct_half_pulse_phase:
        readouts[:, :, 1:] *= np.exp(-1j * np.radians(mean.half_pulse_phase)).astype(np.complex64)
    kspace = np.ascontiguousarray(readouts.sum(axis=2).swapaxes(1, 2))
    return SingleAverages(kspace, mean, trajectory, scan.encoding.matrix)
