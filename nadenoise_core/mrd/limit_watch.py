"""Whether the samples of a scan were cut, before the coils are mixed and nothing shows it any more."""

from __future__ import annotations

import ismrmrd
import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import RawDataError
from nadenoise_core.mrd.acquisitions import kept_samples
from nadenoise_core.recon.limit import FEW, samples_at_limit

_CUT = 2  # samples of a readout that are exactly the largest


def check_limit(samples_at_limit: float) -> None:
    """Check that the samples were not cut at a largest value.

    Args:
        samples_at_limit: see the function of that name.

    Raises:
        RawDataError: they were, so that the centre of k-space is lost.
    """
    if samples_at_limit >= _CUT:
        raise RawDataError(
            f"{samples_at_limit:.0f} samples of a readout have exactly the largest value that there is, as of a "
            "receiver that was overloaded: the centre of k-space is lost; scan again with less receiver gain, or "
            "convert the raw data anew"
        )


class LimitWatch:
    """Looks at the first readouts of a scan."""

    def __init__(self) -> None:
        self._readouts: list[NDArray[np.complex64]] | None = []  # None: they have been looked at

    def add(self, acquisition: ismrmrd.Acquisition, variance: float) -> None:
        """Take a readout; `variance` is that of the real part of the noise of a sample.

        Raises:
            RawDataError: see `check_limit`.
        """
        if self._readouts is None:
            return
        samples = acquisition.data[:, kept_samples(acquisition)]
        if not self._readouts or samples.shape == self._readouts[0].shape:
            self._readouts.append(samples)
        if len(self._readouts) == FEW:
            self.finish(variance)

    def finish(self, variance: float) -> None:
        """Look at what came, if that was not done.

        Raises:
            RawDataError: see `check_limit`.
        """
        if self._readouts:
            check_limit(samples_at_limit(np.array(self._readouts), variance))
        self._readouts = None
