"""Whiten the noise of several receive coils."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nadenoise_core.chain.gadget import Gadget, GadgetParameters, Item, ItemType


class Prewhiten(Gadget):
    """Learn the coils' noise covariance from noise scans and whiten every readout, to a standard deviation of 1.

    Noise scans are kept here. Without one, readouts pass unchanged, as do those that are no part of an image.
    """

    class Parameters(GadgetParameters):
        """No properties."""

    takes = ItemType.ACQUISITION
    gives = ItemType.ACQUISITION

    def process(self, items: Iterable[Item]) -> Iterator[Item]:
        import ismrmrd

        from nadenoise_core.mrd.acquisitions import is_image_data, is_noise_scan, with_samples
        from nadenoise_core.mrd.limit_watch import LimitWatch
        from nadenoise_core.recon.coils import Whitening

        whitening, watch, passed = Whitening(self.scan.noise_bandwidth), LimitWatch(), False
        for item in items:
            if isinstance(item, ismrmrd.Acquisition) and is_noise_scan(item):
                if passed:
                    self.log.warning("a noise scan came after image data and is left out")
                else:
                    whitening.learn(item.data, item.sample_time_us)
            elif passed and not whitening.known:
                yield item
            elif isinstance(item, ismrmrd.Acquisition) and item.data.size and is_image_data(item, self.scan):
                passed = True
                if whitening.known:
                    watch.add(item, whitening.variance)
                yield with_samples(item, whitening(item.data, item.sample_time_us)) if whitening.known else item
            else:
                yield item
        watch.finish(whitening.variance)
