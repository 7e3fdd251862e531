"""From a run to a bundle.

The network gets its `keep`, is evaluated and written with its metadata inside: scripted and frozen (`.pt`), and
by torch.export (`.pt2`), because torch.jit is deprecated. Then a process that knows only torch loads each file
and must get the same images. Files are written beside their names and moved.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import nadenoise_core
from nadenoise_core.denoise.bundle import CHECKSUMS, FORMAT, SUFFIXES, Archive, known_checksums
from nadenoise_core.errors import OutputError
from nadenoise_core.files import write_whole
from training.bundling.card import card, trained_on
from training.data.cache import Cache, Provenance
from training.data.kspace import SpiralNoise
from training.evaluation.calves import SEED
from training.evaluation.evaluate import evaluate
from training.network.model import Model
from training.network.residual import normalisation_layers
from training.network.run import Run, load_best

ARCHIVES: tuple[Archive, ...] = ("torchscript", "exported")
# Frozen networks fold normalisation into convolutions: rounding differs, in units of the noise.
PARITY_TOLERANCE = 1e-3
EXAMPLE_MATRIX = (48, 48)

_PARITY_PROGRAM = """
import sys, warnings, torch
warnings.filterwarnings("ignore", ".*torch.jit.*", DeprecationWarning)
bundle, samples = sys.argv[1:]
network = torch.export.load(bundle).module() if bundle.endswith(".pt2") else torch.jit.load(bundle)
pairs = torch.load(samples, weights_only=True)
with torch.no_grad():
    print(max(float((network(given) - made).abs().max()) for given, made in pairs))
"""


def describe_run(
    name: str, version: str, run: Run, provenance: Provenance, metrics: dict[str, Any], keep: float = 0.0
) -> dict[str, Any]:
    """The `metadata.json` of a network.

    Args:
        run: that made it.
        provenance: of its images.
        metrics: of the test set.
        keep: pixels, of the exported network.
    """
    config = run.config
    pairs = config.pairs
    if pairs.kind != "paper":
        low, high = pairs.averages
        aim = f"complex 23Na spiral images in units of their noise; one for {low} to {high} averages"
    else:
        low = high = pairs.averages
        aim = f"magnitude 23Na spiral images, paper's scale, {low} averages"
    shape = "Residual" if config.network.levels is None else "U-shaped"
    return {
        "format": FORMAT,
        "name": name,
        "version": version,
        "description": f"{shape} CNN for {aim}. Trained on {trained_on(config.data.source.kind, pairs.kind)}.",
        "licence": "MIT",
        "input": config.input_format,
        "matrix": [config.data.matrix, config.data.matrix],
        "averages": [low, high],
        "peak_snr": list(pairs.peak_snr) if pairs.kind != "paper" else None,
        "training": {
            "keep": keep,
            **run.plain(),
            "provenance": provenance.model_dump(mode="json"),
            "code": {"nadenoise": nadenoise_core.__version__, "torch": torch.__version__},
            "evaluation_seed": SEED,
        },
        "metrics": metrics,
    }


def export(
    folder: Path,
    cache: Cache,
    out: Path,
    name: str,
    version: str,
    keep: float = 0.0,
    calves: int = 20,
    images: int | None = None,
    archives: Sequence[Archive] = ARCHIVES,
) -> tuple[Path, dict[str, Any]]:
    """Evaluate the best network of a run and write its bundle, and its card where there is none yet.

    Args:
        folder: of the run.
        cache: of its images.
        out: folder of the bundle.
        name, version: of the bundle.
        keep: pixels, see `ResidualDenoiser`.
        calves: virtual calves to evaluate on.
        images: test images to evaluate on; None for all.
        archives: formats to write.

    Returns:
        Path of the first file, and metadata of the bundle.
    """
    network, run = load_best(folder)
    network.set_keep(keep)
    model = Model.of_run(network, run)
    metrics = evaluate(model, cache.parts["test"].first(images), SpiralNoise(run.config.design), range(calves))
    metadata = describe_run(name, version, run, cache.provenance, metrics, keep)
    paths = write_bundle(network, metadata, out, archives)
    described = paths[0].with_suffix(".md")
    if not described.exists():
        described.write_text(card(metadata, {path.name: path.stat().st_size for path in paths}))
    return paths[0], metadata


def write_bundle(
    network: nn.Module, metadata: dict[str, Any], folder: Path, archives: Sequence[Archive] = ARCHIVES
) -> list[Path]:
    """Write and check `folder/<name>.pt` and `.pt2`; list their checksums in `folder/SHA256SUMS`.

    The same network and metadata give the same bytes, if it is the first network that the process scripts.

    Returns:
        The files, in the order of `archives`.

    Raises:
        OutputError: a written file does not give the images that the network gives.
        ValueError: no format is given.
    """
    if not archives:
        raise ValueError("no format to write the bundle in")
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{metadata['name']}{SUFFIXES[archive]}" for archive in archives]
    channels = 1 if metadata["input"]["channels"] == "magnitude" else 2
    network = network.eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    # The name inside the archive is that of the file, so a partial file needs a folder of its own.
    with tempfile.TemporaryDirectory() as partial:
        for archive, path in zip(archives, paths, strict=True):
            written = Path(partial) / path.name
            save = _save_exported if archive == "exported" else _save_torchscript
            save(network, written, channels, {"metadata.json": json.dumps(metadata, indent=1)})
            difference = parity(network, written, channels)
            if not difference <= PARITY_TOLERANCE:
                raise OutputError(
                    f"{path}: the exported network differs from the trained one by {difference:.2g}, more than "
                    f"{PARITY_TOLERANCE:g}; nothing was written"
                )
        for path in paths:
            write_whole(path, (Path(partial) / path.name).read_bytes(), private=False)
    for path in paths:
        _list_checksum(path)
    return paths


def _save_torchscript(network: nn.Module, path: Path, channels: int, extra: dict[str, str]) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
        scripted = torch.jit.script(network)
        # Freezing folds normalisation into convolutions. Without any, the weights stay what can be trained on.
        if normalisation_layers(network):
            scripted = torch.jit.freeze(scripted)
        torch.jit.save(scripted, str(path), _extra_files=extra)


def _save_exported(network: nn.Module, path: Path, channels: int, extra: dict[str, str]) -> None:
    """Any batch, and any matrix wide enough for the network's reflections."""
    free = torch.export.Dim.DYNAMIC
    # The example is stored with the network, so it is small; sizes of 1 would be taken for constants.
    example = torch.zeros(2, channels, *EXAMPLE_MATRIX)
    program = torch.export.export(network, (example,), dynamic_shapes=({0: free, 2: free, 3: free},))
    # Stack traces hold the paths of this machine; nothing that runs needs them.
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)
    torch.export.save(program, str(path), extra_files=extra)


def parity(network: nn.Module, bundle: Path, channels: int) -> float:
    """Largest difference between a network and its bundle in a fresh process, on images of several sizes."""
    generator = torch.Generator().manual_seed(1)
    samples: list[tuple[Tensor, Tensor]] = []
    for shape, scale in (
        ((1, channels, 80, 80), 1.0),
        ((3, channels, 48, 96), 10.0),
        ((1, channels, 81, 80), 80.0),
    ):
        given = scale * torch.rand(shape, generator=generator) + torch.randn(shape, generator=generator)
        with torch.no_grad():
            samples.append((given, network(given)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "samples.pt"
        torch.save(samples, path)
        command = [sys.executable, "-c", _PARITY_PROGRAM, str(bundle), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OutputError(f"{bundle}: a fresh process cannot run the exported network: {done.stderr.strip()}")
    return float(done.stdout)


def _list_checksum(bundle: Path) -> None:
    """Put a bundle into the list of trusted checksums, in the format of sha256sum."""
    known = known_checksums(bundle.parent) | {bundle.name: hashlib.sha256(bundle.read_bytes()).hexdigest()}
    lines = "".join(f"{checksum}  {name}\n" for name, checksum in sorted(known.items()))
    write_whole(bundle.parent / CHECKSUMS, lines.encode(), private=False)
