"""Work in a helper process: its items, its errors, and its end, whatever it does."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import time

import numpy as np
import pytest

from nadenoise_core.errors import RawDataError
from nadenoise_core.helper import Helper, HelperFailed


def gone(child: int) -> bool:
    try:
        os.kill(child, 0)
    except ProcessLookupError:
        return True
    return False


def test_items_come_in_order_from_another_process():
    def work():
        yield os.getpid()
        yield np.arange(100_000)
        yield None

    with Helper(work, 10.0) as helper:
        other, numbers, nothing = helper
    assert other != os.getpid() and gone(other) and nothing is None
    np.testing.assert_array_equal(numbers, np.arange(100_000))


def test_errors_of_ours_come_as_they_are_and_others_in_words():
    def refuse():
        yield 1
        raise RawDataError("it is no scan")

    def fail():
        yield 1 // 0

    helper = Helper(refuse, 10.0)
    assert next(helper) == 1
    with pytest.raises(RawDataError, match="^it is no scan$"):
        next(helper)
    assert list(helper) == []
    with pytest.raises(HelperFailed, match="by zero"):
        next(Helper(fail, 10.0))


@pytest.mark.parametrize(
    ("work", "seconds", "words"),
    [
        (lambda: ctypes.CDLL(None).sleep(1000), 0.2, "it took more than 0.2 s"),
        (lambda: re.match("(a+)+$", 60 * "a" + "b"), 0.2, "it took more than 0.2 s"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), 60.0, "failed .SIGKILL."),
        (lambda: os._exit(0), 60.0, "no answer came"),
    ],
)
def test_what_hangs_or_crashes_ends_in_words(work, seconds, words):
    helper = Helper(lambda: iter([work()]), seconds)
    with pytest.raises(HelperFailed, match=words):
        next(helper)


def test_an_end_amid_an_item_is_one():
    def work():
        yield os.getpid()
        yield bytes(1 << 24)  # more than a pipe holds: it waits for who reads

    helper = Helper(work, 60.0)
    child = next(helper)
    while not helper._answers.poll(0.1):
        pass
    os.kill(child, signal.SIGKILL)
    with pytest.raises(HelperFailed, match="failed .SIGKILL."):
        next(helper)


def test_memory_has_an_end():
    with pytest.raises(HelperFailed, match="it takes too much memory"):
        next(Helper(lambda: iter([np.ones(1 << 33)]), 20.0))


def test_who_takes_his_time_is_waited_for():
    def work():
        for _ in range(3):
            yield bytes(1 << 20)

    helper = Helper(work, 2.0)
    time.sleep(3.0)  # in which it waits with the first
    assert [len(item) for item in helper] == 3 * [1 << 20]


def test_the_process_ends_with_its_reader():
    def work():
        yield os.getpid()
        while True:
            yield bytes(1 << 20)

    with Helper(work, 10.0) as helper:
        child = next(helper)
        assert not gone(child)
    assert gone(child) and list(helper) == []


def test_without_fork_the_work_is_done_here(monkeypatch):
    monkeypatch.delattr(os, "fork")
    with Helper(lambda: iter([os.getpid()]), 1.0) as helper:
        assert list(helper) == [os.getpid()]
