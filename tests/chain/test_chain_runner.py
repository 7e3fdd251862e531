"""Running gadgets one after the other, and the clock."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import pytest

from nadenoise_core.chain import runner
from nadenoise_core.chain.gadget import Gadget, GadgetParameters
from nadenoise_core.chain.runner import StageClock, run


class Twice(Gadget):
    """Every item twice."""

    def process(self, items: Iterable) -> Iterator:
        for item in items:
            yield item
            yield item


class Summed(Gadget):
    """The sum of all, at the end."""

    def process(self, items: Iterable) -> Iterator:
        yield sum(items)


def gadgets(*kinds: type[Gadget]) -> list[Gadget]:
    return [kind(GadgetParameters(), None) for kind in kinds]


def test_stages_run_in_order():
    assert list(run(gadgets(Twice, Summed), [1, 2])) == [6]
    assert list(run(gadgets(Summed, Twice), [1, 2])) == [3, 3]
    assert list(run([], [1, 2])) == [1, 2]


def test_nothing_is_read_before_it_is_asked_for():
    taken = []
    source = (taken.append(number) or number for number in itertools.count())
    stream = run(gadgets(Twice, Twice), source, StageClock())
    assert taken == []
    assert [next(stream) for _ in range(5)] == [0, 0, 0, 0, 1]
    assert taken == [0, 1]


def test_the_clock_changes_nothing_but_counts():
    assert list(run(gadgets(Twice, Summed), [1, 2], StageClock())) == [6]


def test_each_stage_gets_its_own_time(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(runner, "perf_counter", lambda: now[0])

    def spend(seconds: float) -> None:
        now[0] += seconds

    class Slow(Gadget):
        def process(self, items: Iterable) -> Iterator:
            for item in items:
                spend(0.25)
                yield item
            spend(1.0)

    def source() -> Iterator[int]:
        for number in range(3):
            spend(0.5)
            yield number

    clock = StageClock()
    for _ in run(gadgets(Slow, Twice, Slow), source(), clock):
        spend(100)  # what happens outside is nobody's time
    assert clock.milliseconds() == {
        "source": pytest.approx(1500),
        "slow": pytest.approx(1750),
        "twice": pytest.approx(0),
        "slow 3": pytest.approx(2500),
    }


def test_time_until_an_error_counts(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(runner, "perf_counter", lambda: now[0])

    def source() -> Iterator[int]:
        now[0] += 2
        raise ValueError("broken")
        yield

    clock = StageClock()
    with pytest.raises(ValueError, match="broken"):
        list(run([], source(), clock))
    assert clock.milliseconds() == {"source": pytest.approx(2000)}
