"""What many files cost: `python -m benchmarks.scale`, on a machine that does nothing else.

Forty two-minute scans are replayed as commands: in one process, in two, on two workers of Dask, and once more when all
is done. Processor time is that of all processes. A volunteer of the paper's study and a step of training are measured
in this process. The tables go to stdout as Markdown; `--write` puts them into docs/scale.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from time import perf_counter, process_time

from benchmarks.timing import ONE_THREAD

os.environ.update(ONE_THREAD)  # libraries read it when they are imported

from benchmarks.machine import describe  # noqa: E402

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
BEGIN, END = "<!-- measured by python -m benchmarks.scale -->\n", "<!-- end of what is measured -->\n"
EXAMS_A_DAY = 10_000
_DAY = 86_400
_STEPS = 3
FEW = 4
"""Scans of the run that tells what starting costs."""


@dataclass(frozen=True)
class Run:
    """A command over all files.

    Attributes:
        wall: s, of the command.
        processor: s, of all of its processes.
        memory: bytes, the most of any process.
    """

    wall: float
    processor: float
    memory: int


@dataclass(frozen=True)
class Cost:
    """Of one piece of work: processor time, s, and bytes that it leaves."""

    processor: float
    size: int


def replay_all(scans: Path, out: Path, *options: str) -> Run:
    """Run `nadenoise replay` over a folder."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = perf_counter()
    command = [sys.executable, "-m", "nadenoise_core.cli.main", "replay", str(scans), "--out", str(out), *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall = perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(wall, spent, after.ru_maxrss * 1024)


def write_scans(folder: Path, count: int) -> int:
    """Write two-minute scans, four that differ; the size of one, bytes."""
    from nadenoise_core.mrd.rawfile import write_raw_file
    from nadenoise_core.simulate.measurement import VirtualMeasurement

    folder.mkdir()
    for number in range(count):
        path = folder / f"calf{number:03d}.h5"
        if number < 4:
            made = VirtualMeasurement(seed=number + 1, averages=30)
            write_raw_file(path, made.header_xml(), made.acquisitions())
        else:
            shutil.copy(folder / f"calf{number % 4:03d}.h5", path)
    return path.stat().st_size


@contextmanager
def dask_workers(folder: Path, count: int) -> Iterator[str]:
    """A scheduler and its workers, ready; the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    base = [sys.executable, "-m", "dask"]
    commands = [[*base, "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]]
    worker = [*base, "worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory"]
    commands += [[*worker, str(folder / "dask")]] * count
    quiet = subprocess.DEVNULL
    running = [subprocess.Popen(command, stdout=quiet, stderr=quiet) for command in commands]
    try:
        from distributed import Client

        with Client(address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=60)
        yield address
    finally:
        for process in running:
            process.kill()  # a worker that is asked to end waits for a scheduler that is ending, too
            process.wait()


def stage_milliseconds(out: Path) -> dict[str, float]:
    """Of each stage, median over the files; the slowest first."""
    times = [json.loads(path.read_text())["milliseconds"] for path in out.glob("*/report.json")]
    medians = {stage: statistics.median(one[stage] for one in times) for stage in times[0]}
    return dict(sorted(medians.items(), key=lambda item: -item[1]))


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def volunteer_cost(folder: Path) -> Cost:
    """A volunteer of the paper's study: 150 averages, six numbers of averages by three methods."""
    from nadenoise_core.study.config import load_study
    from nadenoise_core.study.subjects import list_subjects
    from nadenoise_core.study.volunteer import evaluate

    config = load_study("paper")
    start = process_time()
    evaluate(list_subjects(config.subjects)[0], config.methods, folder / "volunteer", "")
    return Cost(process_time() - start, size_of(folder / "volunteer"))


def step_cost(folder: Path) -> tuple[Cost, int]:
    """A step of the shipped recipe, with the drawing of its scenes, and the images in it; bytes: of a checkpoint."""
    import torch

    from training.config import find_config, load_config
    from training.data.prepare import load_prepared, prepare
    from training.data.scene_batches import make_scenes
    from training.fitting.fit import Fit
    from training.fitting.step import Steps
    from training.network.run import CHECKPOINT
    from training.sources.base import Journal

    small = ["source.count=60", "objects.calves=20", "objects.leaves=10", "objects.shapes=20", f"cache={folder}/c.h5"]
    given = [f"data.{one}" for one in small] + ["fit.threads=1", "fit.device=cpu", "fit.validation_images=24"]
    config = load_config(find_config("noise_aware"), given)
    prepare(config.data, Journal())
    cache = load_prepared(config.data)
    assert cache.objects is not None
    images = cache.parts["train"]
    objects = cache.objects.with_limbs(images.image, images.clearance)
    scenes = make_scenes(config.pairs, objects, config.design, torch.device("cpu"))
    fitted = Fit(folder / "run", config, scenes, scenes)
    times = []
    for step in range(_STEPS + 1):
        start = process_time()
        fitted.train_step(Steps(fitted.batches, fitted.places)[step])
        times.append(process_time() - start)
    torch.save(fitted.state(), folder / CHECKPOINT)
    return Cost(statistics.median(times[1:]), (folder / CHECKPOINT).stat().st_size), config.fit.batch


def tables(count: int) -> str:
    """Measure everything; Markdown."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        raw = write_scans(folder / "scans", count)
        # First the few: the most memory of a process is that of all so far, so that growth with the number shows.
        few = replay_all(_some(folder / "scans", folder / "few", FEW), folder / "few_out", "--jobs", "1")
        runs = {}
        for jobs in (1, 2):
            _say(f"{count} scans, --jobs {jobs}")
            runs[jobs] = replay_all(folder / "scans", folder / f"jobs{jobs}", "--jobs", str(jobs))
        again = replay_all(folder / "scans", folder / "jobs2", "--jobs", "2")
        with dask_workers(folder, 2) as address:
            _say(f"{count} scans, Dask")
            dask = replay_all(folder / "scans", folder / "dask2", "--scheduler", address)
            warm = replay_all(folder / "scans", folder / "dask2", "--scheduler", address, "--overwrite")
        stages = stage_milliseconds(folder / "jobs1")
        left = size_of(folder / "jobs1") // count
        _say("a volunteer")
        volunteer = volunteer_cost(folder)
        _say("a step of training")
        step, images = step_cost(folder)
    a_file = Cost((runs[1].processor - few.processor) / (count - FEW), left)
    start = few.processor - FEW * a_file.processor
    return "\n".join(
        [
            _machine(),
            _costs(a_file, raw, start, volunteer, step, images),
            _bounds(stages, a_file),
            _scaling(count, few, runs, again, dask, warm, a_file, start),
            _many(a_file, raw),
        ]
    )


def _some(scans: Path, folder: Path, count: int) -> Path:
    folder.mkdir()
    for path in sorted(scans.iterdir())[:count]:
        shutil.copy(path, folder / path.name)
    return folder


def _machine() -> str:
    machine = describe()
    return (
        f"Measured on {date.today():%Y-%m-%d}: {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gb']:.0f} GB; mean load of the minute before the end {machine['load']:.1f}.\n"
    )


def _costs(a_file: Cost, raw: int, start: float, volunteer: Cost, step: Cost, images: int) -> str:
    trained = f"a training step of noise_aware, {images} images"
    rows = [
        ("a two-minute scan, replayed by a warm process", a_file.processor, _megabytes(raw), _megabytes(a_file.size)),
        ("the command and a process, from nothing to the first scan", start, "", ""),
        ("a volunteer of the paper's study, 150 averages", volunteer.processor, "", _megabytes(volunteer.size)),
        (trained, step.processor, "", f"{_megabytes(step.size)} a checkpoint"),
    ]
    lines = [f"| {what} | {seconds:.2f} | {read} | {left} |" for what, seconds, read, left in rows]
    return "\n".join(["| work | processor, s | reads | leaves |", "|---|---|---|---|", *lines, ""])


def _bounds(stages: dict[str, float], a_file: Cost) -> str:
    """What bounds throughput: the stages, and the rest of a file."""
    rest = 1e3 * a_file.processor - sum(stages.values())
    named = {"source": "reading (source)", **{name: name for name in stages if name != "source"}}
    lines = [f"| {named[stage]} | {time:.0f} |" for stage, time in stages.items()]
    lines.append(f"| report, picture, checksums, the folder | {rest:.0f} |")
    return "\n".join(["| of a scan | ms |", "|---|---|", *lines, ""])


def _scaling(
    count: int, few: Run, runs: dict[int, Run], again: Run, dask: Run, warm: Run, a_file: Cost, start: float
) -> str:
    predicted = {jobs: start + count * a_file.processor / jobs for jobs in runs}
    lines = [f"| {FEW} of them, `--jobs 1` | {few.wall:.1f} | | {few.processor:.1f} | | {_megabytes(few.memory)} |"]
    lines += [
        f"| `--jobs {jobs}` | {run.wall:.1f} | {predicted[jobs]:.1f} | {run.processor:.1f} | {count / run.wall:.2f} | "
        f"{_megabytes(run.memory)} |"
        for jobs, run in runs.items()
    ]
    lines += [
        f"| Dask, two workers that had to import | {dask.wall:.1f} | | | {count / dask.wall:.2f} | |",
        f"| Dask, the same two again, warm (`--overwrite`) | {warm.wall:.1f} | | | {count / warm.wall:.2f} | |",
        f"| `--jobs 2`, all done before | {again.wall:.1f} | | {again.processor:.1f} | | |",
    ]
    head = [f"| {count} scans | s | predicted, s | processor, s | scans a second | most memory of a process |"]
    speed, overhead = runs[1].wall / runs[2].wall, dask.wall / runs[2].wall - 1
    words = f"Two processes are {speed:.2f} times as fast as one; Dask takes {100 * overhead:+.0f} % against two.\n"
    return "\n".join([*head, "|---|---|---|---|---|---|", *lines, "", words])


def _many(a_file: Cost, raw: int) -> str:
    cores = EXAMS_A_DAY * a_file.processor / _DAY
    read, left = EXAMS_A_DAY * raw, EXAMS_A_DAY * a_file.size
    return (
        f"{EXAMS_A_DAY:_} exams a day, computed of these: {cores:.2f} cores at work all day, "
        f"{read / 1e9:.0f} GB of raw data read ({read / _DAY / 1e6:.1f} MB/s), {left / 1e9:.0f} GB of results written "
        f"({left / _DAY / 1e6:.1f} MB/s; {365 * left / 1e12:.1f} TB a year).\n"
    ).replace("_", " ")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def write_into(page: Path, text: str) -> None:
    """Put the tables between their marks in a page."""
    pattern = f"{re.escape(BEGIN)}.*{re.escape(END)}"
    page.write_text(re.sub(pattern, lambda _: f"{BEGIN}\n{text}\n{END}", page.read_text(), flags=re.DOTALL))


def main() -> None:
    """Measure, and show or write the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--count", type=int, default=40, help="scans, more than four")
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.name}, too")
    given = parser.parse_args()
    text = tables(given.count)
    print(text)
    if given.write:
        write_into(PAGE, text)


if __name__ == "__main__":
    main()
