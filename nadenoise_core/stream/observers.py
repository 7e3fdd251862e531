"""Who looks on as scans run: what goes wrong there must not reach the scan."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol, TypeAlias

import ismrmrd

from nadenoise_core.chain.gadget import Item
from nadenoise_core.mrd.scan import Scan

_log = logging.getLogger("nadenoise.observers")

Notify: TypeAlias = Callable[[Any], None]
"""An observer's way to its watch: called with a message, which can be pickled."""


class Observer(Protocol):
    """Looks on one scan, where the scan runs. One that fails is given up, and hears of the end alone."""

    def begin(self, scan: Scan, header_xml: bytes) -> None:
        """The scan begins."""

    def acquisition(self, acquisition: ismrmrd.Acquisition) -> None:
        """An acquisition has come."""

    def image(self, image: ismrmrd.Image) -> None:
        """An image has been sent."""

    def end(self, error: Exception | None) -> None:
        """The scan is over, or has failed."""


class Watch(Protocol):
    """Looks on all scans of a server, where the server runs; a scan may run in another process."""

    @property
    def observer(self) -> Callable[[int, Notify], Observer]:
        """Makes the observer of the scan of a number, where the scan runs; it can be pickled."""

    def notified(self, number: int, message: Any) -> None:
        """A message of the observer of a scan."""

    def over(self, number: int, failure: str) -> None:
        """A scan that has begun is over, and its observer with it.

        Args:
            number: of the scan.
            failure: why it failed; empty if it did not.
        """


class Watches:
    """Those who look on the scans of a server: what goes wrong there is logged.

    Args:
        watches: who they are.
    """

    def __init__(self, watches: Sequence[Watch] = ()) -> None:
        self._all = watches

    @property
    def observers(self) -> list[Callable[[int, Notify], Observer]]:
        """What makes the observer of each."""
        return [watch.observer for watch in self._all]

    def here(self, number: int) -> list[Observer]:
        """The observers of a scan that runs in this process."""
        return [watch.observer(number, partial(watch.notified, number)) for watch in self._all]

    def notified(self, index: int, number: int, message: Any) -> None:
        """A message of the observer of a scan, to the watch of an index."""
        self._call(self._all[index], lambda watch: watch.notified(number, message))

    def over(self, number: int, failure: str) -> None:
        """A scan is over."""
        for watch in self._all:
            self._call(watch, lambda watch: watch.over(number, failure))

    def _call(self, watch: Watch, method: Callable[[Watch], None]) -> None:
        try:
            method(watch)
        except Exception as error:
            _log.warning("%s failed (%s)", type(watch).__name__, type(error).__name__)
            _log.debug("the failure of %s", type(watch).__name__, exc_info=True)


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
        self._call(self._looking, lambda observer: observer.begin(scan, header_xml))

    def seen(self, items: Iterable[Item]) -> Iterator[Item]:
        """The same items; they see the acquisitions."""
        for item in items:
            if self._looking and isinstance(item, ismrmrd.Acquisition):
                self._call(self._looking, lambda observer, item=item: observer.acquisition(item))  # type: ignore[misc]
            yield item

    def image(self, image: ismrmrd.Image) -> None:
        """An image has been sent."""
        self._call(self._looking, lambda observer: observer.image(image))

    def end(self, error: Exception | None) -> None:
        """The scan is over, or has failed."""
        self._call(self._all, lambda observer: observer.end(error))

    def _call(self, observers: Sequence[Observer], method: Callable[[Observer], None]) -> None:
        for observer in list(observers):
            try:
                method(observer)
            except Exception as error:
                name, kind = type(observer).__name__, type(error).__name__
                _log.warning("%s failed (%s) and looks no longer on this scan; the scan goes on", name, kind)
                _log.debug("the failure of %s", name, exc_info=True)
                if observer in self._looking:
                    self._looking.remove(observer)
