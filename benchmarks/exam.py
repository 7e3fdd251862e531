"""How long a user waits: `python -m benchmarks.exam`.

A ten-minute exam (6000 acquisitions) is replayed as `nadenoise replay` does it, and the time from the last sample of a
two-minute scan to three finished DICOM files is taken in a warm process.
"""

from __future__ import annotations

import json
import resource
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

from nadenoise_core.chain.chain import build
from nadenoise_core.chain.files import find_chain, read_chain
from nadenoise_core.chain.runner import StageClock, run
from nadenoise_core.mrd.rawfile import write_raw_file
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.replay.replay import replay
from nadenoise_core.simulate.measurement import VirtualMeasurement

REPEATS = 20


def last_sample_to_dicom(folder: Path) -> dict[str, Any]:
    """Milliseconds from the last sample to three DICOM files, warm; median and range, and of each stage."""
    measurement = VirtualMeasurement(seed=7, averages=30)
    acquisitions = list(measurement.acquisitions())
    scan = read_scan(measurement.header_xml())
    chain = read_chain(find_chain("sodium_calf")).with_property("deliver", "folder", str(folder))
    waits: list[float] = []
    stages: list[dict[str, float]] = []
    for _ in range(REPEATS + 1):
        clock = StageClock()
        gadgets = build(chain, scan)
        last = [0.0]

        def feed(last: list[float] = last) -> Iterator[Any]:
            yield from acquisitions[:-1]
            last[0] = perf_counter()
            yield acquisitions[-1]

        images = sum(1 for _ in run(gadgets, feed(), clock))
        waits.append(1e3 * (perf_counter() - last[0]))
        stages.append(clock.milliseconds())
    written = len(list(folder.glob("*.dcm")))
    return {
        "images": images,
        "repeats": REPEATS,
        "dicom_files": written,
        "median_ms": statistics.median(waits[1:]),
        "least_ms": min(waits[1:]),
        "most_ms": max(waits[1:]),
        "stages_ms": {name: statistics.median(stage[name] for stage in stages[1:]) for name in stages[0]},
    }


def whole_exam(folder: Path) -> dict[str, Any]:
    """Seconds and peak memory of the replay of a ten-minute exam, in this process."""
    measurement = VirtualMeasurement(seed=7, averages=150)
    raw = folder / "exam.h5"
    write_raw_file(raw, measurement.header_xml(), measurement.acquisitions())
    start = perf_counter()
    replay(raw, read_chain(find_chain("sodium_calf")), folder / "results")
    seconds = perf_counter() - start
    return {
        "acquisitions": measurement.acquisition_count(),
        "seconds": seconds,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Run both, and write JSON to stdout."""
    with tempfile.TemporaryDirectory() as name:
        exam = whole_exam(Path(name))
        latency = last_sample_to_dicom(Path(name) / "dicom")
    print(json.dumps({"exam": exam, "latency": latency}))


if __name__ == "__main__":
    main()
