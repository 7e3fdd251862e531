"""What tests of streams, gadgets, replays and commands share: virtual scans, chain files, tiny bundles."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import ismrmrd
import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from nadenoise_core.chain.chain import build
from nadenoise_core.chain.files import read_chain
from nadenoise_core.chain.runner import run
from nadenoise_core.mrd.budget import USUAL, Budget
from nadenoise_core.mrd.rawfile import write_raw_file
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.phantom import Label, labels
from nadenoise_core.quantify.geometry import nifti_affine
from nadenoise_core.simulate.measurement import VirtualMeasurement

Stage = str | tuple[str, dict[str, str]]

METADATA: dict[str, Any] = {
    "format": 1,
    "name": "tiny",
    "version": "1.0",
    "description": "for tests",
    "input": {"channels": "complex", "normalisation": "noise"},
    "matrix": [80, 80],
    "averages": [1, 1000],
}
_bundle_numbers = itertools.count()

# The same examples each time, however slow the machine is; `make fuzz` looks for others.
settings.register_profile(
    "every day",
    deadline=None,
    derandomize="NADENOISE_FUZZ" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("every day")


def node_xml(stages: Iterable[Stage]) -> str:
    """The `<configuration>` of one node of ours."""
    lines = []
    for stage in stages:
        name, properties = (stage, {}) if isinstance(stage, str) else stage
        inside = "".join(f"<property name={quoteattr(k)} value={quoteattr(v)}/>" for k, v in properties.items())
        lines.append(f"<gadget name={quoteattr(name)}>{inside}</gadget>")
    return "<configuration>\n" + "\n".join(lines) + "\n</configuration>"


def chain_xml(*nodes: Iterable[Stage]) -> str:
    """A whole chain file of nodes of ours."""
    external = "\n".join(
        f'<external><execute name="gadgets" target="chain" type="python"/>\n{node_xml(stages)}\n</external>'
        for stages in nodes
    )
    return f"<configuration>\n<version>2</version>\n<stream>\n{external}\n</stream>\n</configuration>\n"


@pytest.fixture(scope="session")
def measured() -> Callable[..., tuple[VirtualMeasurement, list[ismrmrd.Acquisition]]]:
    """A virtual measurement and its acquisitions; made once, so leave them as they are (see `changed`)."""
    made: dict[str, tuple[VirtualMeasurement, list[ismrmrd.Acquisition]]] = {}

    def measure(**options: Any) -> tuple[VirtualMeasurement, list[ismrmrd.Acquisition]]:
        options = {"seed": 3, "averages": 2, "noise": 4.0, **options}
        key = repr(sorted(options.items()))
        if key not in made:
            measurement = VirtualMeasurement(**options)
            made[key] = measurement, list(measurement.acquisitions())
        return made[key]

    return measure


@pytest.fixture(scope="session")
def scan_file(measured, tmp_path_factory) -> Callable[..., Path]:
    """The same as a raw file; written once, so leave it as it is."""
    made: dict[str, Path] = {}

    def write(**options: Any) -> Path:
        key = repr(sorted(options.items()))
        if key not in made:
            measurement, acquisitions = measured(**options)
            made[key] = tmp_path_factory.mktemp("raw") / "scan.h5"
            write_raw_file(made[key], measurement.header_xml(), acquisitions)
        return made[key]

    return write


@pytest.fixture(scope="session")
def changed() -> Callable[..., ismrmrd.Acquisition]:
    """A copy of an acquisition with other counters, header fields, data or trajectory."""

    def change(acquisition: ismrmrd.Acquisition, data=None, trajectory=None, **fields: int) -> ismrmrd.Acquisition:
        head = ismrmrd.AcquisitionHeader.from_buffer_copy(acquisition.getHead())
        for name, value in fields.items():
            setattr(head.idx if hasattr(head.idx, name) else head, name, value)
        data = acquisition.data if data is None else data
        trajectory = acquisition.traj if trajectory is None else trajectory
        head.active_channels, head.number_of_samples = data.shape
        head.trajectory_dimensions = trajectory.shape[1]
        return ismrmrd.Acquisition(head, data=data.copy(), trajectory=trajectory.copy())

    return change


@pytest.fixture(scope="session")
def chain_text() -> Callable[..., str]:
    """The XML of a chain file of stages, one sequence of them a node."""
    return chain_xml


@pytest.fixture
def chain_file(tmp_path) -> Callable[..., Path]:
    """A chain file of stages, one sequence of them a node."""

    def write(*nodes: Iterable[Stage], name: str = "chain.xml") -> Path:
        path = tmp_path / name
        path.write_text(chain_xml(*nodes))
        return path

    return write


@pytest.fixture
def run_chain(chain_file) -> Callable[..., list[Any]]:
    """Run stages in this process: the items that come out."""

    def run_stages(stages: Iterable[Stage], header_xml: str, items: Iterable[Any], budget: Budget = USUAL) -> list[Any]:
        chain = read_chain(chain_file(stages))
        return list(run(build(chain, read_scan(header_xml, budget)), items))

    return run_stages


@pytest.fixture(scope="session")
def save_bundle() -> Callable[[Path, str, str | None], None]:
    """Save a network, given as the body of its `forward(self, x)`, with metadata.json; None: without."""

    def save(path: Path, body: str, metadata: str | None) -> None:
        torch = pytest.importorskip("torch")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*torch.jit.*")
            module = type(f"Net{next(_bundle_numbers)}", (torch.jit.ScriptModule,), {})()  # a class has one forward
            module.define(f"def forward(self, x):\n    {body}\n")
            torch.jit.save(module, str(path), _extra_files={"metadata.json": metadata} if metadata else {})

    return save


@pytest.fixture(scope="session")
def bundle_file(save_bundle, tmp_path_factory) -> Callable[..., tuple[Path, str]]:
    """A bundle for the virtual scans, with its checksum."""

    def make(body: str = "return x", **changes: Any) -> tuple[Path, str]:
        path = tmp_path_factory.mktemp("bundle") / "tiny.pt"
        save_bundle(path, body, json.dumps({**METADATA, **changes}))
        return path, hashlib.sha256(path.read_bytes()).hexdigest()

    return make


@pytest.fixture(scope="session")
def smoothing_chain(bundle_file) -> list[Stage]:
    """All stages, with a network that smooths a little."""
    path, sha256 = bundle_file("return 0.5 * x + 0.25 * (x.roll(1, 3) + x.roll(-1, 3))")
    network = {"bundle": str(path), "bundle_sha256": sha256, "device": "cpu"}
    return ["accumulate", "reconstruct", ("denoise", network), ("quantify", {"tube_diameter": "20"}), "deliver"]


@pytest.fixture(scope="session")
def reader_cases() -> Callable[..., Path]:
    """Write a folder of cases for readers: NIfTI images of a leg and tubes, one noise level a method."""

    def write(folder: Path, subjects: int = 2, averages: Iterable[int] = (10, 30)) -> Path:
        random = np.random.default_rng(7)
        rows, columns = np.mgrid[-40:40, -40:40]
        leg = 20.0 * (np.hypot(rows, columns) < 26)
        for angle, concentration in enumerate((10, 25, 50, 75, 100)):
            leg += concentration * (np.hypot(rows - 33 * np.sin(angle), columns - 33 * np.cos(angle)) < 4)
        for subject, number in itertools.product(range(1, subjects + 1), averages):
            case = folder / f"Volunteer{subject}" / f"{number}avg"
            case.mkdir(parents=True)
            for method, noise in {"reference": 3, "nufft": 12, "cs": 6, "cnn": 2}.items():
                pixels = np.abs(leg + random.normal(0, noise, leg.shape)).astype(np.float32)
                nibabel.save(nibabel.Nifti1Image(pixels.T[..., None], np.eye(4)), case / f"{method}.nii.gz")
        return folder

    return write


@pytest.fixture(scope="session")
def label_file(tmp_path_factory) -> Callable[..., Path]:
    """Tissues of a measurement's calf at 0.5 mm, as ITK-SNAP saves them, or with rows stored the other way round."""

    def write(measurement: VirtualMeasurement, name: str = "labels.nii.gz", flipped: bool = False) -> Path:
        drawn = labels(measurement.calf(), 360, 180.0, margin=None)
        drawn = np.where((drawn >= Label.MUSCLE) & (drawn <= Label.VESSEL), drawn, 0)
        affine = nifti_affine((0.0, 0.0, 0.0), np.eye(3), (0.5, 0.5, 30.0), (360, 360))
        image = nibabel.Nifti1Image(drawn.T[..., None].astype(np.int16), affine)
        if flipped:
            image = image.as_reoriented(np.array([[0, 1], [1, -1], [2, 1]]))
        path = tmp_path_factory.mktemp("labels") / name
        nibabel.save(image, path)
        return path

    return write


@pytest.fixture(scope="session")
def names_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("names") / "names.txt"
    path.write_text("2 muscle\n3 skin\n4 fat\n5 bone\n6 vessel\n")
    return path


@pytest.fixture(scope="session")
def bids_errors(tmp_path_factory) -> Callable[..., list[str]]:
    """What the validator of BIDS finds wrong with a dataset, as "code file".

    With `known_names` every image is given the nearest name that BIDS has, so that none is ignored: no nucleus, `PDw`
    for the signal and `M0map` for the concentration.
    """

    def validate(dataset: Path, known_names: bool = False) -> list[str]:
        if known_names:
            dataset = Path(shutil.copytree(dataset, tmp_path_factory.mktemp("bids") / "dataset"))
            (dataset / ".bidsignore").unlink()
            for path in list(dataset.rglob("*_nuc-23Na_*")):
                name = path.name.replace("_nuc-23Na", "").replace("_sodium.", "_PDw.").replace("_TSCmap.", "_M0map.")
                path.rename(path.with_name(name))
        program = Path(sys.executable).with_name("bids-validator-deno")
        command = [program, dataset, "--format", "json"]
        report = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
        assert report["summary"]["totalFiles"] >= 2
        return [
            f"{issue['code']} {issue['location']}"
            for issue in report["issues"]["issues"]
            if issue["severity"] == "error"
        ]

    return validate
