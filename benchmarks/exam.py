"""How long a user waits: `python -m benchmarks.exam`.

A ten-minute exam (6000 acquisitions) is replayed as `nadenoise replay` does it, once more as that command in a process
of its own, and the time from the last sample of a two-minute scan to finished DICOM files is taken in a warm process:
the three images alone, and with the regions of a label map fitted to the averaged k-space.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import nibabel
import numpy as np

from nadenoise_core.chain.chain import build
from nadenoise_core.chain.files import find_chain, read_chain
from nadenoise_core.chain.runner import StageClock, run
from nadenoise_core.mrd.rawfile import write_raw_file
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.phantom.labels import Label, labels
from nadenoise_core.quantify.geometry import nifti_affine
from nadenoise_core.replay.replay import replay
from nadenoise_core.simulate.measurement import VirtualMeasurement

REPEATS = 20
COMMAND_REPEATS = 3


def last_sample_to_dicom(folder: Path, **quantify: str) -> dict[str, Any]:
    """Milliseconds from the last sample to the DICOM files, warm; median and range, and of each stage.

    Args:
        folder: of the DICOM files.
        quantify: properties of that gadget.
    """
    measurement = VirtualMeasurement(seed=7, averages=30)
    acquisitions = list(measurement.acquisitions())
    scan = read_scan(measurement.header_xml())
    chain = read_chain(find_chain("sodium_calf")).with_property("deliver", "folder", str(folder))
    for name, value in quantify.items():
        chain = chain.with_property("quantify", name, value)
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

        for _ in run(gadgets, feed(), clock):
            pass
        waits.append(1e3 * (perf_counter() - last[0]))
        stages.append(clock.milliseconds())
    return {
        "repeats": REPEATS,
        "dicom_files": len(list(folder.glob("*.dcm"))),
        "median_ms": statistics.median(waits[1:]),
        "least_ms": min(waits[1:]),
        "most_ms": max(waits[1:]),
        "stages_ms": {name: statistics.median(stage[name] for stage in stages[1:]) for name in stages[0]},
    }


def label_map(path: Path) -> Path:
    """Write the tissues of that scan's calf, labels of 0.5 mm, as NIfTI."""
    drawn = labels(VirtualMeasurement(seed=7).calf(), 360, 180.0, margin=None)
    drawn = np.where((drawn >= Label.MUSCLE) & (drawn <= Label.VESSEL), drawn, 0)
    affine = nifti_affine((0.0, 0.0, 0.0), np.eye(3), (0.5, 0.5, 30.0), (360, 360))
    nibabel.save(nibabel.Nifti1Image(drawn.T[..., None].astype(np.int16), affine), path)
    return path


def whole_exam(raw: Path, out: Path) -> dict[str, Any]:
    """Seconds and peak memory of the replay of a ten-minute exam, in this process."""
    measurement = VirtualMeasurement(seed=7, averages=150)
    write_raw_file(raw, measurement.header_xml(), measurement.acquisitions())
    start = perf_counter()
    replay(raw, read_chain(find_chain("sodium_calf")), out)
    seconds = perf_counter() - start
    return {
        "acquisitions": measurement.acquisition_count(),
        "seconds": seconds,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def command(*arguments: str) -> dict[str, float]:
    """Seconds of a command in a process of its own, wall clock and processor; the least of some repeats."""
    walls, processors = [], []
    for _ in range(COMMAND_REPEATS):
        before, start = _of_children(), perf_counter()
        program = [sys.executable, "-m", "nadenoise_core.cli.main"]
        subprocess.run([*program, *arguments], check=True, capture_output=True)
        walls.append(perf_counter() - start)
        processors.append(_of_children() - before)
    return {"seconds": min(walls), "processor_seconds": min(processors)}


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Run all, and write JSON to stdout."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        exam = whole_exam(folder / "exam.h5", folder / "results")
        drawn = str(label_map(folder / "labels.nii.gz"))
        latencies = {
            "three images": last_sample_to_dicom(folder / "images"),
            "and five regions fitted": last_sample_to_dicom(folder / "regions", roi_map=drawn),
            "and their pose": last_sample_to_dicom(folder / "pose", roi_map=drawn, pose="similarity"),
        }
        commands = {
            "nadenoise --help": command("--help"),
            "nadenoise chain list": command("chain", "list"),
            "nadenoise replay of the ten-minute exam": command(
                "replay", str(folder / "exam.h5"), "--out", str(folder / "again"), "--overwrite"
            ),
        }
    print(json.dumps({"exam": exam, "latencies": latencies, "commands": commands}))


if __name__ == "__main__":
    main()
