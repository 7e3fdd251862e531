"""BART, called as a process through its cfl files, as its users do. Its transform is divided by sqrt(pixels).

What is timed is the command: the start of the process, reading its files, work, and writing the image. What a bare
start takes is said beside it.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import weakref
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.problem import Problem, Samples
from benchmarks.task import Task
from benchmarks.timing import measure


def version() -> str:
    """Version of the installed BART.

    Raises:
        ModuleNotFoundError: there is none.
    """
    return subprocess.run([_program(), "version"], capture_output=True, text=True, check=True).stdout.strip()


def adjoint(problem: Problem) -> Task:
    """`bart nufft -a` of weighted samples."""
    command = _Command(problem)
    command.write("kspace", (problem.clean.kspace * problem.weights)[..., None])
    return command.task("nufft", "-a", "-d", _size(problem), "trajectory", "kspace", "image", scale=True)


def image(problem: Problem) -> Task:
    """`bart fmac` with the weights, and `bart nufft -a`: two processes."""
    command = _Command(problem)
    command.write("kspace", problem.clean.kspace[..., None])
    command.write("weights", problem.weights[None, ..., None])
    weigh = command.task("fmac", "kspace", "weights", "weighted")
    transform = command.task("nufft", "-a", "-d", _size(problem), "trajectory", "weighted", "image", scale=True)

    def run() -> None:
        weigh.run()
        transform.run()

    return Task(run, transform.read, _bare_start)


def total_variation(problem: Problem, samples: Samples, weight: float, iterations: int, *options: str) -> Task:
    """`bart pics -R T:3:0:weight`, by its own ADMM; isotropic, periodic.

    Its differences are to the pixel before, ours to the next, and isotropic TV tells them apart: BART gets the mirrored
    problem, and its image is mirrored back.
    """
    command = _inverse(problem, samples, np.ones_like(samples.maps), mirrored=True)
    regularisation = f"T:3:0:{weight:.9g}"
    task = command.task("pics", "-w", "1", "-R", regularisation, "-i", f"{iterations}", *options, *_INVERSE)
    return Task(task.run, lambda done: _mirror(task.read(done)), task.remark)


def sense(problem: Problem, samples: Samples, ridge: float, iterations: int) -> Task:
    """`bart pics -l2 -r ridge`, by its own conjugate gradients."""
    command = _inverse(problem, samples, samples.maps)
    return command.task("pics", "-w", "1", "-l2", "-r", f"{ridge:.9g}", "-i", f"{iterations}", *_INVERSE)


_INVERSE = ("-p", "weights", "-t", "trajectory", "kspace", "maps", "image")


def _mirror(image: NDArray[Any]) -> NDArray[Any]:
    """The image at -r, pixel N//2 at rest."""
    return np.roll(image[::-1, ::-1], 1, axis=(0, 1))


def _inverse(problem: Problem, samples: Samples, maps: NDArray[np.complexfloating], mirrored: bool = False) -> _Command:
    """The files of `pics`; the maps carry the scale of the transform, so that its image and its weights are ours."""
    command = _Command(problem, mirrored)
    root = np.sqrt(problem.weights)
    command.write("kspace", samples.kspace[..., None])
    command.write("weights", root[None, ..., None])
    command.write("maps", (maps * np.sqrt(np.prod(problem.matrix)))[:, None])
    return command


class _Command:
    """A folder of cfl files, and commands that are run in it."""

    def __init__(self, problem: Problem, mirrored: bool = False) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="bart-"))
        weakref.finalize(self, shutil.rmtree, self._folder)
        self._matrix = problem.matrix
        self._program = _program()
        cycles = problem.trajectory * problem.matrix[::-1] * (-1 if mirrored else 1)
        self.write("trajectory", np.concatenate([cycles, np.zeros_like(cycles[..., :1])], axis=-1))

    def write(self, name: str, array: NDArray[Any]) -> None:
        """Write a cfl file; the last axis of the array is BART's first."""
        base = self._folder / name
        base.with_suffix(".hdr").write_text("# Dimensions\n" + " ".join(map(str, array.shape[::-1])) + "\n")
        np.ascontiguousarray(array, np.complex64).tofile(base.with_suffix(".cfl"))

    def task(self, *arguments: str, scale: bool = False) -> Task:
        """A BART command that makes the file `image`."""
        factor = np.float32(np.sqrt(np.prod(self._matrix))) if scale else np.float32(1)

        def run() -> None:
            done = subprocess.run([self._program, *arguments], cwd=self._folder, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"bart {arguments[0]} failed: {(done.stderr or done.stdout).strip()[-200:]}")

        def read(_: None) -> NDArray[np.complex64]:
            image = np.fromfile(self._folder / "image.cfl", np.complex64)
            return image.reshape(self._matrix) * factor

        return Task(run, read, _bare_start)


@lru_cache
def _bare_start() -> str:
    return f"a bare start of the process {measure(version)[1].least:.2g} ms"


def _program() -> str:
    program = shutil.which("bart")
    if program is None:
        raise ModuleNotFoundError("bart", name="bart")
    return program


def _size(problem: Problem) -> str:
    return f"{problem.matrix[1]}:{problem.matrix[0]}:1"
