"""Averaged interleaves as Gadgetron's buffer (ReconData, message 1023), and back.

Axes follow Gadgetron: data (samples, interleaves, 1, coils, 1, 1, 1), trajectory (2, samples, interleaves, 1, 1, 1,
1) in cycles/pixel, one acquisition header per interleaf. Two fields of the user space of each header carry what the
averaging found: `user_int[0]` the averages of the interleaf, `user_float[0]` the noise standard deviation of the real
part of its samples (NaN if unknown).

Replicas, which are means without some of the averages, follow their image along the fifth axis, that Gadgetron calls
N; `user_int[1]` is their number. `user_int[2]` is the number of averages that the header announces, where the scan
ended far before them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import ismrmrd
import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import RawDataError
from nadenoise_core.mrd.acquisitions import image_of
from nadenoise_core.mrd.recon_data import ReconBit, ReconBuffer, ReconData, SamplingDescription, SamplingLimit
from nadenoise_core.sampling.arms import echo
from nadenoise_core.sampling.trajectory import Encoding

_MUCH_THE_SAME = 2.0  # of repeats: an interleaf that has lost an average stands for as much of k-space as the others


@dataclass(frozen=True)
class AveragedReadouts:
    """Averaged interleaves with what is needed to reconstruct them.

    Attributes:
        kspace: (coils, interleaves, samples) complex64.
        trajectory: (interleaves, samples, 2) float32, cycles/pixel.
        averages: (interleaves,) averages in each interleaf.
        noise_std: (interleaves,) standard deviation of the real part of a sample.
        header: ismrmrd.AcquisitionHeader of the first interleaf: geometry, counters, times.
        replicas: the same readouts without some of the averages each.
        announced: averages, where the scan ended far before them; 0: it did not.
    """

    kspace: NDArray[np.complex64]
    trajectory: NDArray[np.float32]
    averages: NDArray[np.int64]
    noise_std: NDArray[np.float64]
    header: ismrmrd.AcquisitionHeader
    replicas: tuple[AveragedReadouts, ...] = ()
    announced: int = 0

    @property
    def place(self) -> tuple[int, ...]:
        """Which image of the scan this is, whatever its number of averages."""
        return image_of(self.header)

    @property
    def typical_averages(self) -> int:
        """Median of the averages over the interleaves."""
        return typical_averages(self)

    @property
    def repeats(self) -> NDArray[np.float64] | None:
        """(interleaves,) how often each was taken, relatively, as its noise tells; None where it is much the same."""
        if not (np.isfinite(self.noise_std).all() and (self.noise_std > 0).all()):
            return None
        repeats = np.asarray(self.noise_std, np.float64) ** -2
        return repeats / repeats.mean() if repeats.max() > _MUCH_THE_SAME * repeats.min() else None

    @property
    def sample_times(self) -> NDArray[np.float64]:
        """(samples,) in s from the echo; all 0 where the raw data do not say how fast they were taken.

        The echo is the sample nearest to the centre of k-space, whose phase is that of the image.
        """
        samples = np.arange(self.kspace.shape[-1])
        return np.asarray(1e-6 * self.header.sample_time_us * (samples - echo(self.trajectory)))

    def k_max(self, pixel: tuple[float, float]) -> float:
        """Radius of the sampled k-space, cycles/mm; `pixel` is (row, column) spacing in mm."""
        reach = np.linalg.norm(self.trajectory / np.asarray(pixel[::-1], np.float32), axis=-1)
        return float(reach.max())


class Averaged(Protocol):
    """Averaged readouts as averaging gives them; shapes as in `AveragedReadouts`."""

    @property
    def kspace(self) -> NDArray[np.complex64]: ...

    @property
    def averages(self) -> NDArray[np.int64]: ...

    @property
    def noise_std(self) -> NDArray[np.float64]: ...


def typical_averages(averaged: Averaged) -> int:
    """Median of the averages over the interleaves."""
    return int(np.median(averaged.averages))


def pack(
    averaged: Averaged,
    trajectory: NDArray[np.float32],
    headers: Sequence[ismrmrd.AcquisitionHeader],
    encoding: Encoding,
    replicas: Sequence[Averaged] = (),
    announced: int = 0,
) -> ReconData:
    """ReconData of averaged interleaves; shapes as in `AveragedReadouts`, `headers` one an interleaf."""
    coils, interleaves, samples = averaged.kspace.shape
    means = (averaged, *replicas)
    described = np.empty((interleaves, 1, len(means), 1, 1), dtype=object)
    for number, mean in enumerate(means):
        for index, header in enumerate(headers):
            copy = ismrmrd.AcquisitionHeader.from_buffer_copy(header)
            copy.number_of_samples, copy.active_channels, copy.trajectory_dimensions = samples, coils, 2
            copy.discard_pre = copy.discard_post = 0
            copy.user_int[0], copy.user_int[1], copy.user_int[2] = int(mean.averages[index]), len(replicas), announced
            copy.user_float[0] = float(mean.noise_std[index])
            described[index, 0, number, 0, 0] = copy
    kspace = np.stack([mean.kspace.transpose(2, 1, 0) for mean in means], axis=-1)
    places = np.repeat(trajectory.transpose(2, 1, 0)[..., None], len(means), axis=-1)
    buffer = ReconBuffer(
        data=kspace[:, :, None, ..., None, None],
        trajectory=places[:, :, :, None, :, None, None],
        density=None,
        headers=described,
        sampling=_describe(encoding, samples, interleaves),
    )
    return ReconData([ReconBit(buffer)])


def unpack(buffer: ReconBuffer) -> AveragedReadouts:
    """Averaged interleaves of a buffer, ours or Gadgetron's own.

    Raises:
        RawDataError: a buffer without trajectory, or with more than one set, average or partition in it.
    """
    data = np.asarray(buffer.data)
    if buffer.trajectory is None:
        raise RawDataError("the buffer carries no trajectory; put 'accumulate' before 'reconstruct'")
    headers = np.asarray(buffer.headers)
    replicas = data.shape[4] - 1 if data.ndim == 7 and headers.flat[0].user_int[1] == data.shape[4] - 1 else 0
    if data.ndim != 7 or data.shape[2] != 1 or data.shape[4:] != (1 + replicas, 1, 1):
        raise RawDataError(
            f"the buffer has shape {data.shape}; expected (samples, interleaves, 1, coils, 1, 1, 1): "
            "put 'accumulate' before 'reconstruct'"
        )
    trajectory = np.ascontiguousarray(np.asarray(buffer.trajectory)[:2, :, :, 0, 0, 0, 0].transpose(2, 1, 0))

    def mean(number: int) -> AveragedReadouts:
        described = headers[:, 0, number, 0, 0]
        return AveragedReadouts(
            kspace=np.ascontiguousarray(data[:, :, 0, :, number, 0, 0].transpose(2, 1, 0)),
            trajectory=trajectory,
            # A buffer that Gadgetron made holds one average, of which the noise is not known.
            averages=np.array([max(header.user_int[0], 1) for header in described]),
            noise_std=np.array([header.user_float[0] if header.user_int[0] else np.nan for header in described]),
            header=described[0],
        )

    first = headers.flat[0]
    return replace(
        mean(0),
        replicas=tuple(mean(1 + number) for number in range(replicas)),
        announced=first.user_int[2] if first.user_int[0] else 0,
    )


def _describe(encoding: Encoding, samples: int, interleaves: int) -> SamplingDescription:
    described = SamplingDescription()
    described.encoded_FOV[:] = (*encoding.encoded_field_of_view[::-1], 1.0)
    described.recon_FOV[:] = (*encoding.field_of_view[::-1], 1.0)
    described.encoded_matrix[:] = (*encoding.encoded_matrix[::-1], 1)
    described.recon_matrix[:] = (*encoding.matrix[::-1], 1)
    for axis, size in enumerate((samples, interleaves, 1)):
        described.sampling_limits[axis] = SamplingLimit(0, size // 2, size - 1)
    return described
