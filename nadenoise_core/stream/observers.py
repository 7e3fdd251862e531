"""Who looks on as scans run: what goes wrong there must not reach the scan."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import ismrmrd

from nadenoise_core.chain.gadget import Item
from nadenoise_core.mrd.scan import Scan

_log = logging.getLogger("nadenoise.observers")


class Observer(Protocol):
    """Looks on one scan, on the scan's own thread. One that fails is given up, and is told of the end alone."""

    def begin(self, scan: Scan, header_xml: bytes) -> None:
        """The scan begins."""

    def acquisition(self, acquisition: ismrmrd.Acquisition) -> None:
        """An acquisition has come."""

    def image(self, image: ismrmrd.Image) -> None:
        """An image has been sent."""

    def end(self, error: Exception | None) -> None:
        """The scan is over, or has failed."""


class Observers:
    """Those who look on one scan.

    Args:
        observers: who they are.
    """

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        self._all = observers
        self._looking = list(observers)

    def begin(self, scan: Scan, header_xml: bytes) -> None:
        """The scan begins."""
        self._tell(self._looking, lambda observer: observer.begin(scan, header_xml))

    def seen(self, items: Iterable[Item]) -> Iterator[Item]:
        """The same items; they see the acquisitions."""
        for item in items:
            if self._looking and isinstance(item, ismrmrd.Acquisition):
                self._tell(self._looking, lambda observer, item=item: observer.acquisition(item))  # type: ignore[misc]
            yield item

    def image(self, image: ismrmrd.Image) -> None:
        """An image has been sent."""
        self._tell(self._looking, lambda observer: observer.image(image))

    def end(self, error: Exception | None) -> None:
        """The scan is over, or has failed."""
        self._tell(self._all, lambda observer: observer.end(error))

    def _tell(self, observers: Sequence[Observer], what: Callable[[Observer], None]) -> None:
        for observer in list(observers):
            try:
                what(observer)
            except Exception as error:
                name, kind = type(observer).__name__, type(error).__name__
                _log.warning("%s failed (%s) and looks no longer on this scan; the scan goes on", name, kind)
                _log.debug("the failure of %s", name, exc_info=True)
                if observer in self._looking:
                    self._looking.remove(observer)
