"""How many readouts there must be: what the header announces, against the arms that came."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from nadenoise_core.errors import RawDataError
from nadenoise_core.mrd.readouts import Readout
from nadenoise_core.mrd.scan import Scan
from nadenoise_core.mrd.settings import NONE, AveragingSettings
from nadenoise_core.mrd.trajectory import Trajectories
from nadenoise_core.sampling.arms import Arms, compare_arms

_log = logging.getLogger("nadenoise.accumulate")


class Expected:
    """The interleaves and half-pulses that an average is made of.

    A header is evidence, no law: limits are off by one, or those of something else. What comes beyond them counts, and
    what does not come is no loss where the arms that came are a whole set.

    Args:
        settings: of the averaging.
        scan: of the header.
        trajectories: of the interleaves that came.
    """

    def __init__(self, settings: AveragingSettings, scan: Scan, trajectories: Trajectories) -> None:
        self._given = settings.interleaves or trajectories.interleaves or 0
        self._announced = scan.limits.get(settings.interleaf_counter)
        halves = range(1) if settings.half_pulse_counter == NONE else scan.limits.get(settings.half_pulse_counter)
        self._announced_halves = halves
        self._interleaves: set[int] = set(self._announced or ())
        self._halves: set[int] = set(halves or ())
        self._came: set[int] = set()
        self._came_halves: set[int] = set()
        self._has_warned = False
        self._trajectories = trajectories
        self._matrix = min(scan.encoding.matrix)

    def see(self, readout: Readout) -> bool:
        """Take note of a readout; whether it is beyond what was expected before."""
        self._came.add(readout.interleaf)
        self._came_halves.add(readout.half)
        beyond = readout.interleaf not in self._interleaves or readout.half not in self._halves
        if (
            self._announced is not None
            and readout.interleaf not in self._interleaves
            and not (self._given or self._has_warned)
        ):
            self._has_warned = True
            _log.warning("%s: the header announces interleaves %s only", readout.name, _named(self._announced or ()))
        self._interleaves.add(readout.interleaf)
        self._halves.add(readout.half)
        return beyond

    def readouts(self) -> int | None:
        """How many an average has; None where that is not known before the end."""
        if self._announced_halves is None or (self._announced is None and not self._given):
            return None
        return (self._given or len(self._interleaves)) * len(self._halves)

    def so_far(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The interleaves and half-pulses of a complete average, before the end.

        Raises:
            RawDataError: another number of interleaves than was given, or more than two half-pulses.
        """
        interleaves = self._as_given() if self._given else tuple(sorted(self._interleaves))
        return interleaves, self._at_most_two(tuple(sorted(self._halves)))

    def at_end(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The interleaves and half-pulses of an average, when all have come.

        Raises:
            RawDataError: other interleaves came than were given or announced, and they are no whole set; or more than
                two half-pulses.
        """
        came = tuple(sorted(self._came_halves))
        fewer = self._announced_halves is not None and len(came) < len(self._announced_halves)
        halves = tuple(sorted(self._halves)) if fewer and len(came) < 2 else came
        return self._interleaves_at_end(), self._at_most_two(halves)

    @staticmethod
    def _at_most_two(halves: tuple[int, ...]) -> tuple[int, ...]:
        if len(halves) > 2:
            raise RawDataError(
                f"{len(halves)} values of the counter of half-pulses came, of which there are two; set "
                "half_pulse_counter to none for an image of each"
            )
        return halves

    def _as_given(self) -> tuple[int, ...]:
        if len(self._came) != self._given:
            where = "" if self._trajectories.interleaves is None else " by the trajectory_file"
            raise RawDataError(
                f"{len(self._came)} interleaves came, interleaves is {self._given} in "
                f"'accumulate'{where}; set their true number, or 0"
            )
        return tuple(sorted(self._came))

    def _interleaves_at_end(self) -> tuple[int, ...]:
        came = tuple(sorted(self._came))
        if self._given:
            return self._as_given()
        if self._announced is not None and self._came == set(self._announced):
            return came
        arms = self._arms(came)
        if arms is not None and arms.whole:
            if self._announced is not None:
                _log.warning(
                    "the header announces interleaves %s, %d came (%s), whose arms are a whole set",
                    _named(self._announced), len(came), _named(came),
                )  # fmt: skip
            return came
        if self._announced is None:
            if arms is not None and arms.missing:
                raise RawDataError(
                    f"the arms of the {len(came)} interleaves that came leave a gap: {arms.missing} never came; check "
                    "that the raw file is complete; where it is, set interleaves in 'accumulate'"
                )
            return tuple(range(came[-1] + 1))
        extra = sorted(self._came - set(self._announced))
        if extra and arms is not None and arms.twins:
            raise RawDataError(
                f"interleaf {extra[0]} came, the header announces {_named(self._announced)}, and arms lie upon each "
                "other: their counter counts averages, too; set interleaf_counter in 'accumulate' to "
                "trajectory"
            )
        if extra:
            raise RawDataError(
                f"interleaf {extra[0]} came, the header announces {_named(self._announced)}; where the "
                f"{len(came)} that came are right, set interleaves in 'accumulate' to {len(came)}"
            )
        return tuple(self._announced)

    def _arms(self, came: tuple[int, ...]) -> Arms | None:
        """What the arms say, where the acquisitions have trajectories."""
        k = self._trajectories.given([(interleaf, 0) for interleaf in came])
        return None if k is None else compare_arms(np.asarray(k), self._matrix)


def _named(interleaves: Sequence[int]) -> str:
    return f"{interleaves[0]} to {interleaves[-1]}"
