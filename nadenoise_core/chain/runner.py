"""Running a chain in this process, with the time that each stage takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from nadenoise_core.chain.gadget import Gadget, Item


@dataclass
class StageClock:
    """Time spent in each stage, without the stages before it."""

    seconds: dict[str, float] = field(default_factory=dict)

    def timed(self, stage: str, items: Iterable[Item]) -> Iterator[Item]:
        """The same items; the time to get each one is counted for `stage`, with all stages before it."""
        name = stage if stage not in self.seconds else f"{stage} {len(self.seconds)}"
        self.seconds[name] = 0.0
        return self._count(name, iter(items))

    def milliseconds(self) -> dict[str, float]:
        """Time of each stage alone, ms; the first entry is the source."""
        totals = list(self.seconds.values())
        alone = [total - before for total, before in zip(totals, [0.0, *totals], strict=False)]
        return {stage: 1e3 * seconds for stage, seconds in zip(self.seconds, alone, strict=True)}

    def _count(self, stage: str, items: Iterator[Item]) -> Iterator[Item]:
        while True:
            start = perf_counter()
            try:
                item = next(items)
            except StopIteration:
                return
            finally:
                self.seconds[stage] += perf_counter() - start
            yield item


def run(gadgets: Sequence[Gadget], items: Iterable[Item], clock: StageClock | None = None) -> Iterator[Item]:
    """Send items through gadgets, one after the other; everything happens as the result is read."""
    stream: Iterable[Item] = clock.timed("source", items) if clock is not None else items
    for gadget in gadgets:
        stream = gadget.process(stream)
        if clock is not None:
            stream = clock.timed(gadget.name(), stream)
    return iter(stream)
