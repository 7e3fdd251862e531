"""A whole exam, in a process of its own, with as many threads as users have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.problem import Problem
from benchmarks.rows.row import Entry
from benchmarks.timing import ONE_THREAD, Timing

_LIBRARY = "nadenoise"


@dataclass(frozen=True)
class ExamRow:
    """See `benchmarks.exam`."""

    title: str = "Whole exam"
    about: str = "raw data to DICOM, in a process of its own, not held to one thread"

    def entries(self, problem: Problem, say: Callable[[str], None]) -> list[Entry]:
        """Run `python -m benchmarks.exam`; it makes its own scans."""
        say(self.title)
        environment = {name: value for name, value in os.environ.items() if name not in ONE_THREAD}
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.exam"], env=environment, stdout=subprocess.PIPE, text=True
        )
        if done.returncode:
            return [Entry(_LIBRARY, "python -m benchmarks.exam", note=f"failed with exit status {done.returncode}")]
        measured = json.loads(done.stdout)
        exam, latency = measured["exam"], measured["latency"]
        total = 1e3 * exam["seconds"]
        wait = Timing(latency["median_ms"], latency["least_ms"], latency["most_ms"], latency["repeats"])
        return [
            Entry(
                _LIBRARY,
                f"replay of a ten-minute exam, {exam['acquisitions']} acquisitions",
                Timing(total, total, total, 1),
                figures={"peak memory MB": exam["peak_memory_mb"]},
            ),
            Entry(
                _LIBRARY,
                f"last sample of a two-minute scan to {latency['dicom_files']} DICOM files, warm",
                wait,
                figures={f"{name} ms, whole scan": value for name, value in latency["stages_ms"].items()},
            ),
        ]


ROW = ExamRow()
