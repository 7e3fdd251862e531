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

Tell: TypeAlias = Callable[[Any], None]
"""Called with what a watch is to know; it can be pickled."""


class Observer(Protocol):
    """Looks on one scan, where the scan runs. One that fails is given up, and is told of the end alone."""

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
    def observer(self) -> Callable[[int, Tell], Observer]:
        """Makes the observer of the scan of a number, where the scan runs; it can be pickled."""

    def told(self, number: int, what: Any) -> None:
        """The observer of a scan tells something."""

    def over(self, number: int, words: str) -> None:
        """A scan that has begun is over, and its observer with it.

        Args:
            number: of the scan.
            words: why it failed; empty if it did not.
        """


class Watches:
    """Those who look on the scans of a server: what goes wrong there is logged.

    Args:
        watches: who they are.
    """

    def __init__(self, watches: Sequence[Watch] = ()) -> None:
        self._all = watches

    @property
    def observers(self) -> list[Callable[[int, Tell], Observer]]:
        """What makes the observer of each."""
        return [watch.observer for watch in self._all]

    def here(self, number: int) -> list[Observer]:
        """The observers of a scan that runs in this process."""
        return [watch.observer(number, partial(watch.told, number)) for watch in self._all]

    def told(self, index: int, number: int, what: Any) -> None:
        """The observer of a scan tells the watch of an index something."""
        self._tell(self._all[index], lambda watch: watch.told(number, what))

    def over(self, number: int, words: str) -> None:
        """A scan is over."""
        for watch in self._all:
            self._tell(watch, lambda watch: watch.over(number, words))

    def _tell(self, watch: Watch, what: Callable[[Watch], None]) -> None:
        try:
            what(watch)
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
