"""What one scan may need: refused in a sentence before it is made, whatever header and counters say."""

from __future__ import annotations

import re
import time
import tracemalloc

import ismrmrd
import pytest

from nadenoise_core.errors import RawDataError
from nadenoise_core.mrd.budget import Budget
from nadenoise_core.mrd.scan import read_scan


def sized(header: str, size: str) -> str:
    return re.sub(r"<x>80</x>(\s*)<y>80</y>", rf"<x>{size}</x>\1<y>{size}</y>", header)


@pytest.mark.parametrize("size", ["513", "6000", "65536", "4294967296", "1" + 30 * "0", "1e300"])
def test_a_matrix_beyond_the_limit_is_refused_at_once(size, measured):
    header = sized(measured()[0].header_xml(), size)
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(RawDataError, match="matrix of .* pixels, and the limit is 512.* --max-matrix"):
        read_scan(header)
    assert time.process_time() - began < 1 and tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()


def test_a_limit_can_be_raised(measured):
    header = sized(measured()[0].header_xml(), "600")
    assert read_scan(header, Budget(matrix=600)).encoding.matrix == (600, 600)


def test_sums_have_a_limit(measured, run_chain):
    """A stream whose interleaves never end is given up when its sums are too large."""
    measurement, acquisitions = measured()
    taken = 0

    def endless():
        nonlocal taken
        for number in range(1 << 16):
            taken += 1
            acquisition = acquisitions[number % len(acquisitions)]
            head = acquisition.getHead()
            head.idx.slice = number
            yield ismrmrd.Acquisition(head, data=acquisition.data, trajectory=acquisition.traj)

    budget = Budget(memory=8 << 20)
    with pytest.raises(RawDataError, match="sums of the scan in k-space take more than 8 MiB.* --max-memory"):
        run_chain(["accumulate"], measurement.header_xml(), endless(), budget=budget)
    assert taken < 1000


def test_images_have_a_limit(measured, run_chain):
    measurement, acquisitions = measured(averages=20)
    stages = [("accumulate", {"emit_at": ", ".join(map(str, range(1, 21))), "jackknife_groups": "10"})]
    size = 80 * 80 * 8 * 3
    with pytest.raises(RawDataError, match=r"\d+ images of the scan take more than"):
        run_chain(stages, measurement.header_xml(), acquisitions, budget=Budget(memory=(100 * size >> 20) + 1 << 20))
    run_chain(stages, measurement.header_xml(), acquisitions, budget=Budget())
