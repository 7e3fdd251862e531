"""Which average a readout is of, where its counters do not tell: repeats that nobody counts, dummies, copies."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import RawDataError
from nadenoise_core.mrd.readouts import Readout

_log = logging.getLogger("nadenoise.accumulate")
_STEP = 16  # from one sample that is compared to the next
_EQUALLY_STRONG = 0.1  # of energies: what repeats of one readout may differ by


@dataclass(frozen=True)
class Sorted:
    """A readout with the average that it is of.

    Attributes:
        readout: as it is to be summed.
        is_copy: whether it is the copy of another average of the same readout.
        instead_of: what was given before, and is no image data.
    """

    readout: Readout
    is_copy: bool = False
    instead_of: Readout | None = None


@dataclass
class _Came:
    """What has come of one interleaf and half-pulse."""

    first: Readout
    place: int  # of the first, in the order of arrival
    averages: set[int] = field(default_factory=set)
    digests: dict[int, int] = field(default_factory=dict)  # average by the digest of its samples


def _digest(samples: NDArray[np.complex64]) -> int:
    """A number that tells readouts apart, copies excepted: noise is different in every sample."""
    return hash(samples[:, ::_STEP].tobytes())


class Sorter:
    """Sorts the readouts of one image as they come.

    Equal samples are copies. Other samples under counters that have been there are further averages that nobody
    counts, where the counter of averages stands still; or the data after dummies, where these came before all else; or
    they are left out with a warning.

    Args:
        readouts: how many there are of one average; None where that is not known before the end.
        by_arrival: whether averages are counted by the order of arrival, whatever the counter says.
    """

    def __init__(self, readouts: Callable[[], int | None], by_arrival: bool = False) -> None:
        self._readouts = readouts
        self._by_arrival = by_arrival
        self._uncounted = by_arrival  # whether it is certain that no counter counts averages
        self._came: dict[tuple[int, int], _Came] = {}
        self._counters: set[int] = set()
        self._pending: list[tuple[Readout, int]] = []
        self._arrived = 0
        self._repeated, self._copies, self._refused = 0, 0, 0

    def add(self, readout: Readout) -> list[Sorted]:
        """Take a readout; give those whose average is known now.

        Raises:
            RawDataError: the counter of averages stood still at first, and does no longer.
        """
        place, self._arrived = self._arrived, self._arrived + 1
        if not self._by_arrival:
            self._counters.add(readout.average)
        if self._uncounted and len(self._counters) > 1:
            raise RawDataError(
                f"{readout.name}: averages were counted by nothing at first and are now; set average_counter"
            )
        came = self._came.setdefault((readout.interleaf, readout.half), _Came(readout, place))
        digest = _digest(readout.samples)
        if self._by_arrival:
            return [self._accept(came, replace(readout, average=len(came.averages)), digest)]
        if not came.averages or (readout.average not in came.averages and not self._uncounted):
            resolved = self._drop_dummies() if self._pending and len(self._counters) > 1 else []
            return [*resolved, self._accept(came, readout, digest)]
        if digest in came.digests:
            self._repeated += 1
            return []
        if self._uncounted:
            return [self._accept_next(came, readout, digest)]
        if len(self._counters) > 1:
            self._refused += 1
            return []
        self._pending.append((readout, place))
        return self._count_by_arrival() if self._is_whole_average() else []

    def settle(self) -> list[Sorted]:
        """The readouts of which it was open what they are."""
        return self._drop_dummies() if self._pending else []

    def finish(self) -> list[Sorted]:
        """What is left at the end, with warnings for what was left out."""
        resolved = self.settle()
        if self._repeated:
            _log.warning("%d acquisitions came twice and were left out", self._repeated)
        if self._refused:
            _log.warning(
                "%d acquisitions have the counters of earlier ones and other data, and were left out; if they are "
                "averages that no counter counts, set average_counter to arrival",
                self._refused,
            )
        if self._copies and any(len(set(came.digests.values())) > 1 for came in self._came.values()):
            _log.warning(
                "%d acquisitions are copies of other averages and were left out; convert the raw data anew",
                self._copies,
            )
        return resolved

    def _accept(self, came: _Came, readout: Readout, digest: int) -> Sorted:
        is_copy = digest in came.digests
        self._copies += is_copy
        came.averages.add(readout.average)
        came.digests.setdefault(digest, readout.average)
        return Sorted(readout, is_copy)

    def _accept_next(self, came: _Came, readout: Readout, digest: int) -> Sorted:
        return self._accept(came, replace(readout, average=max(came.averages) + 1), digest)

    def _is_whole_average(self) -> bool:
        """Whether as many have come under the same counters as one average has: more than there are dummies."""
        wanted = self._readouts()
        again = {(readout.interleaf, readout.half) for readout, _ in self._pending}
        return wanted is not None and (len(again) >= wanted or len(self._pending) > wanted)

    def _count_by_arrival(self) -> list[Sorted]:
        _log.warning("no counter counts the averages; they are counted by the order of arrival")
        self._uncounted = True
        waiting, self._pending = self._pending, []
        accepted = []
        for readout, _ in waiting:
            came = self._came[readout.interleaf, readout.half]
            accepted.append(self._accept_next(came, readout, _digest(readout.samples)))
        return accepted

    def _drop_dummies(self) -> list[Sorted]:
        """The data after dummies, if what came under the same counters before all else were some."""
        waiting, self._pending = self._pending, []
        last = {(readout.interleaf, readout.half): readout for readout, _ in waiting}
        if len(self._counters) == 1 and self._are_equally_strong(last):
            if len(last) == len(self._came) and not len(waiting) % len(last):
                self._pending = waiting
                return self._count_by_arrival()
            self._refused += len(waiting)
            return []
        places = [self._came[key].place for key in last]
        places += [place for readout, place in waiting if last[readout.interleaf, readout.half] is not readout]
        if sorted(places) != list(range(len(places))):
            self._refused += len(waiting)
            return []
        _log.warning("the first %d acquisitions are dummies without their flag, and were left out", len(places))
        return [self._put_instead(self._came[key], readout) for key, readout in last.items()]

    def _put_instead(self, came: _Came, readout: Readout) -> Sorted:
        dummy, came.first = came.first, readout
        came.digests = {digest: average for digest, average in came.digests.items() if average != dummy.average}
        came.digests[_digest(readout.samples)] = readout.average
        return Sorted(readout, instead_of=dummy)

    def _are_equally_strong(self, last: dict[tuple[int, int], Readout]) -> bool:
        """Whether what came again is as strong as what came before, as averages are and dummies are not."""
        firsts = [self._came[key].first.samples for key in last]
        before, after = (
            sum(float(np.vdot(samples, samples).real) for samples in group)
            for group in (firsts, [readout.samples for readout in last.values()])
        )
        return before > 0 and abs(after / before - 1) < _EQUALLY_STRONG
