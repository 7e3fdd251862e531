"""Acquisitions: which of them are image data, which samples count, and which image a readout belongs to."""

from __future__ import annotations

from collections.abc import Sequence

import ismrmrd
import numpy as np
from numpy.typing import NDArray

from nadenoise_core.mrd.counters import Counter
from nadenoise_core.mrd.scan import Scan

IMAGE_COUNTERS = (
    Counter.SLICE,
    Counter.CONTRAST,
    Counter.PHASE,
    Counter.REPETITION,
    Counter.SET,
)
"""The counters that tell one image from another, where nothing else is counted by them."""

_NO_IMAGE_DATA = (
    ismrmrd.ACQ_IS_NOISE_MEASUREMENT,
    ismrmrd.ACQ_IS_DUMMYSCAN_DATA,
    ismrmrd.ACQ_IS_NAVIGATION_DATA,
    ismrmrd.ACQ_IS_PHASECORR_DATA,
    ismrmrd.ACQ_IS_PARALLEL_CALIBRATION,
    ismrmrd.ACQ_IS_HPFEEDBACK_DATA,
    ismrmrd.ACQ_IS_RTFEEDBACK_DATA,
    ismrmrd.ACQ_IS_SURFACECOILCORRECTIONSCAN_DATA,
    ismrmrd.ACQ_IS_PHASE_STABILIZATION,
    ismrmrd.ACQ_IS_PHASE_STABILIZATION_REFERENCE,
)
_PLANE = 2  # columns of a trajectory
_NO_IMAGE_DATA_BITS = sum(1 << (flag - 1) for flag in _NO_IMAGE_DATA)  # ISMRMRD counts flags from 1


def is_image_data(acquisition: ismrmrd.Acquisition, scan: Scan) -> bool:
    """Whether a readout is part of an image.

    Noise, dummy, navigator, calibration and feedback readouts are not, nor those of another encoding than the image's.
    """
    return acquisition.encoding_space_ref == scan.encoding_space and not acquisition.flags & _NO_IMAGE_DATA_BITS


def is_noise_scan(acquisition: ismrmrd.Acquisition) -> bool:
    """Whether a readout holds the coils' noise alone."""
    return bool(acquisition.is_flag_set(ismrmrd.ACQ_IS_NOISE_MEASUREMENT))


def kept_samples(acquisition: ismrmrd.Acquisition) -> slice:
    """The samples that the receiver does not mark as discarded."""
    samples = acquisition.data.shape[-1]  # as its header says, which makes a copy whenever it is asked
    return slice(acquisition.discard_pre, max(samples - acquisition.discard_post, 0))


def has_trajectory(acquisition: ismrmrd.Acquisition) -> bool:
    """Whether an acquisition carries a trajectory in the plane; zeros are none."""
    k = acquisition.traj
    return bool(k.shape[-1] >= _PLANE and (k[-1:].any() or k.any()))


def image_of(
    head: ismrmrd.Acquisition | ismrmrd.AcquisitionHeader, counters: Sequence[Counter] = IMAGE_COUNTERS
) -> tuple[int, ...]:
    """Which image a readout belongs to: the values of the counters that tell images apart."""
    return tuple(getattr(head.idx, counter) for counter in counters)


def with_samples(acquisition: ismrmrd.Acquisition, samples: NDArray[np.complex64]) -> ismrmrd.Acquisition:
    """The same acquisition with other samples, (coils, samples); header and trajectory are shared."""
    # `getHead` makes a deep copy, which takes as long as whitening.
    return ismrmrd.Acquisition(acquisition._head, data=samples, trajectory=acquisition.traj)
