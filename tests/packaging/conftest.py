"""Wheel and source archive, and an environment that has of this one what the wheel asks for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
ROOMS = ("chains", "gadgets", "nadenoise_core", "training")
FILES = (
    "CHANGELOG.md",
    "CITATION.cff",
    "LICENSE",
    "MANIFEST.in",
    "README.md",
    "constraints.txt",
    "pyproject.toml",
    "setup.cfg",
)


@pytest.fixture(scope="session")
def archives(tmp_path_factory) -> tuple[Path, Path]:
    """The source archive, and the wheel that was built from it."""
    source, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for room in ROOMS:
        shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", made, source]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (archive,), (wheel,) = made.glob("*.tar.gz"), made.glob("*.whl")
    return archive, wheel


@pytest.fixture(scope="session")
def fresh(archives, tmp_path_factory) -> Path:
    """The folder of programs of an environment with the wheel, and all that it says it needs, and nothing else."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    for needed in closure(archives[1]):
        for part in {path.parts[0] for path in needed.files or () if path.parts[0] != ".."}:
            link = packages / part
            if not link.exists() and part != "__pycache__":
                link.symlink_to(Path(str(needed.locate_file(part))))
    command = [sys.executable, "-m", "pip", "--python", folder, "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*command, archives[1]], check=True, capture_output=True, env=clean_environment())
    return folder / "bin"


def clean_environment() -> dict[str, str]:
    """Variables without those that let Python find this source."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}


def closure(wheel: Path) -> Iterator[Distribution]:
    """The distributions that a wheel needs without an extra, and those that they need."""
    with ZipFile(wheel) as opened:
        (name,) = (name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
        lines = opened.read(name).decode().partition("\n\n")[0].splitlines()
    waiting = [line.partition(": ")[2] for line in lines if line.startswith("Requires-Dist: ")]
    wanted = [(Requirement(text), "") for text in waiting]
    found: set[tuple[str, str]] = set()
    while wanted:
        requirement, extra = wanted.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        for chosen in ("", *requirement.extras):
            if (requirement.name, chosen) not in found:
                found.add((requirement.name, chosen))
                installed = distribution(requirement.name)
                wanted += [(Requirement(text), chosen) for text in installed.requires or ()]
                yield installed


@pytest.fixture
def run_fresh(fresh, tmp_path):
    """Run a program of the fresh environment, in an empty folder."""

    def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [str(fresh / program), *map(str, arguments)]
        environment = {**clean_environment(), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    return run
