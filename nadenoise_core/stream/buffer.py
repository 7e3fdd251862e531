"""Averaged interleaves as Gadgetron's buffer (ReconData, message 1023), and back.

Axes follow Gadgetron: data (samples, interleaves, 1, coils, 1, 1, 1), trajectory (2, samples, interleaves, 1, 1, 1,
1) in cycles/pixel, one acquisition header per interleaf. Two fields of the user space of each header carry what the
averaging found: `user_int[0]` the averages of the interleaf, `user_float[0]` the noise standard deviation of the real
part of its samples (NaN if unknown).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import ismrmrd
import numpy as np
from gadgetron.types.recon_data import ReconBit, ReconBuffer, ReconData, SamplingDescription, SamplingLimit
from numpy.typing import NDArray

from nadenoise_core.errors import RawDataError
from nadenoise_core.sampling.trajectory import Encoding


@dataclass(frozen=True)
class AveragedReadouts:
    """Averaged interleaves with what is needed to reconstruct them.

    Attributes:
        kspace: (coils, interleaves, samples) complex64.
        trajectory: (interleaves, samples, 2) float32, cycles/pixel.
        averages: (interleaves,) averages in each interleaf.
        noise_std: (interleaves,) standard deviation of the real part of a sample.
        header: ismrmrd.AcquisitionHeader of the first interleaf: geometry, counters, times.
    """

    kspace: NDArray[np.complex64]
    trajectory: NDArray[np.float32]
    averages: NDArray[np.int64]
    noise_std: NDArray[np.float64]
    header: ismrmrd.AcquisitionHeader


def pack(
    kspace: NDArray[np.complex64],
    trajectory: NDArray[np.float32],
    averages: Sequence[int] | NDArray[np.int64],
    noise_std: Sequence[float] | NDArray[np.float64],
    headers: Sequence[ismrmrd.AcquisitionHeader],
    encoding: Encoding,
) -> ReconData:
    """ReconData of averaged interleaves; shapes as in `AveragedReadouts`, `headers` one an interleaf."""
    coils, interleaves, samples = kspace.shape
    described = np.empty((interleaves, 1, 1, 1, 1), dtype=object)
    for index, header in enumerate(headers):
        copy = ismrmrd.AcquisitionHeader.from_buffer_copy(header)
        copy.number_of_samples, copy.active_channels, copy.trajectory_dimensions = samples, coils, 2
        copy.discard_pre = copy.discard_post = 0
        copy.user_int[0] = int(averages[index])
        copy.user_float[0] = float(noise_std[index])
        described[index, 0, 0, 0, 0] = copy
    buffer = ReconBuffer(
        data=kspace.transpose(2, 1, 0)[:, :, None, :, None, None, None],
        trajectory=trajectory.transpose(2, 1, 0)[..., None, None, None, None],
        density=None,
        headers=described,
        sampling_description=_describe(encoding, samples, interleaves),
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
    if data.ndim != 7 or data.shape[2] != 1 or data.shape[4:] != (1, 1, 1):
        raise RawDataError(
            f"the buffer has shape {data.shape}; expected (samples, interleaves, 1, coils, 1, 1, 1): "
            "put 'accumulate' before 'reconstruct'"
        )
    headers = np.asarray(buffer.headers).ravel(order="F")
    return AveragedReadouts(
        kspace=np.ascontiguousarray(data[:, :, 0, :, 0, 0, 0].transpose(2, 1, 0)),
        trajectory=np.ascontiguousarray(np.asarray(buffer.trajectory)[:2, :, :, 0, 0, 0, 0].transpose(2, 1, 0)),
        # A buffer that Gadgetron made holds one average, of which the noise is not known.
        averages=np.array([max(header.user_int[0], 1) for header in headers]),
        noise_std=np.array([header.user_float[0] if header.user_int[0] else np.nan for header in headers]),
        header=headers[0],
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
