"""Whiten the noise of several receive coils."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import ismrmrd
import numpy as np
from numpy.typing import NDArray

from nadenoise_core.chain.gadget import Gadget, GadgetParameters, Item, ItemType
from nadenoise_core.errors import RawDataError
from nadenoise_core.recon.coils import noise_covariance, whitening_matrix


class Prewhiten(Gadget):
    """Learn the coils' noise covariance from noise scans and whiten every readout, to a standard deviation of 1.

    Noise scans are kept here. Without one, readouts pass unchanged.
    """

    class Parameters(GadgetParameters):
        """No properties."""

    takes = ItemType.ACQUISITION
    gives = ItemType.ACQUISITION

    def process(self, items: Iterable[Item]) -> Iterator[Item]:
        covariance: NDArray[np.complex128] | None = None  # of one sample of 1 us
        whitening: tuple[float, NDArray[np.complex128]] | None = None  # for a dwell time
        samples, passed = 0, False
        for item in items:
            if not isinstance(item, ismrmrd.Acquisition):
                yield item
            elif item.is_flag_set(ismrmrd.ACQ_IS_NOISE_MEASUREMENT):
                if passed:
                    self.log.warning("a noise scan came after image data and is left out")
                    continue
                if covariance is not None and len(covariance) != item.active_channels:
                    raise RawDataError(_mismatch("a noise scan", item.active_channels, len(covariance)))
                scan = noise_covariance(item.data) * item.sample_time_us * self._bandwidth_ratio()
                share = item.number_of_samples / (samples + item.number_of_samples)
                covariance = scan if covariance is None else (1 - share) * covariance + share * scan
                samples += item.number_of_samples
                whitening = None
            elif covariance is None:
                passed = True
                yield item
            else:
                passed = True
                if len(covariance) != item.active_channels:
                    raise RawDataError(_mismatch("the image data", item.active_channels, len(covariance)))
                if whitening is None or whitening[0] != item.sample_time_us:
                    whitening = item.sample_time_us, whitening_matrix(covariance / item.sample_time_us)
                yield ismrmrd.Acquisition(
                    item.getHead(), data=(whitening[1] @ item.data).astype(np.complex64), trajectory=item.traj
                )

    def _bandwidth_ratio(self) -> float:
        """Noise power that the receiver's filter lets through, against an ideal one."""
        system = self.scan.header.acquisitionSystemInformation
        ratio = getattr(system, "relativeReceiverNoiseBandwidth", None)
        return 1.0 / ratio if ratio else 1.0


def _mismatch(what: str, coils: int, expected: int) -> str:
    return f"{what} has {coils} coils, the noise scan before it {expected}; take 'prewhiten' out of the chain"
