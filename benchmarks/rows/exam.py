"""A whole exam, in a process of its own, with as many threads as users have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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
        exam = measured["exam"]
        return [
            Entry(
                _LIBRARY,
                f"replay of a ten-minute exam, {exam['acquisitions']} acquisitions, libraries imported on the way",
                _once(exam["seconds"]),
                figures={"peak memory MB": exam["peak_memory_mb"]},
            ),
            *(_wait(name, latency) for name, latency in measured["latencies"].items()),
            *(
                Entry(
                    _LIBRARY,
                    f"{name}, a process",
                    _once(command["seconds"]),
                    figures={"processor ms": 1e3 * command["processor_seconds"]},
                )
                for name, command in measured["commands"].items()
            ),
        ]


def _once(seconds: float) -> Timing:
    return Timing(1e3 * seconds, 1e3 * seconds, 1e3 * seconds, 1)


def _wait(what: str, latency: dict[str, Any]) -> Entry:
    """From the last sample to the files, and what each stage takes in all."""
    return Entry(
        _LIBRARY,
        f"last sample of a two-minute scan to {latency['dicom_files']} DICOM files ({what}), warm",
        Timing(latency["median_ms"], latency["least_ms"], latency["most_ms"], latency["repeats"]),
        figures={f"{name} ms, whole scan": value for name, value in latency["stages_ms"].items()},
    )


ROW = ExamRow()
