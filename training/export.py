"""From a run to a bundle: `python -m training.export runs/noise_aware --name noise_aware`.

The network gets its `keep`, is evaluated, scripted, frozen and written with its metadata inside. Then a
process that knows only torch loads it and must get the same images. Files are written beside their names and
moved.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import nadenoise_core
from nadenoise_core.errors import OutputError
from training.anatomy import GENERATOR_VERSION
from training.cache import CACHE_FOLDER, SPLITS, load_limbs
from training.evaluate import SEED, evaluate, report
from training.fit import FitSettings, history, load_best
from training.kspace import MATRIX, SpiralNoise
from training.model import Model
from training.pairs import SceneSettings

FORMAT = 1
MODELS_FOLDER = Path(nadenoise_core.__file__).parent / "models"
CHECKSUMS = "SHA256SUMS"
# Frozen networks fold normalisation into convolutions: rounding differs, in units of the noise.
PARITY_TOLERANCE = 1e-3

_PARITY_PROGRAM = """
import sys, warnings, torch
warnings.simplefilter("ignore", DeprecationWarning)
bundle, samples = sys.argv[1:]
network = torch.jit.load(bundle)
pairs = torch.load(samples, weights_only=True)
with torch.no_grad():
    print(max(float((network(given) - made).abs().max()) for given, made in pairs))
"""


def describe_run(
    name: str,
    version: str,
    runs: list[dict[str, Any]],
    data: dict[str, str],
    metrics: dict[str, Any],
    keep: float = 0.0,
) -> dict[str, Any]:
    """The `metadata.json` of a network.

    Args:
        runs: what `history` says of the run and those it started from, last of all the run itself.
        data: split to checksum of its limbs.
        metrics: of the test set.
        keep: pixels, of the exported network.
    """
    settings = FitSettings(**runs[-1]["settings"])
    scenes = SceneSettings()
    complex_input = settings.pairs == "quantitative"
    if complex_input:
        aim = "Residual CNN for complex 23Na spiral images in units of their noise; one for 5 to 150 averages."
    else:
        aim = f"Residual CNN for magnitude 23Na spiral images, paper's scale, {settings.averages} averages."
    return {
        "format": FORMAT,
        "name": name,
        "version": version,
        "description": f"{aim} Trained on synthetic limbs with reference tubes.",
        "licence": "MIT",
        "input": {
            "channels": "complex" if complex_input else "magnitude",
            "normalisation": "noise" if complex_input else "range",
        },
        "matrix": [MATRIX, MATRIX],
        "averages": [5, 150] if complex_input else [settings.averages, settings.averages],
        "peak_snr": list(scenes.peak_snr) if complex_input else None,
        "training": {
            "keep": keep,
            "steps": sum(run["step"] for run in runs),
            "minutes": round(sum(run["minutes"] for run in runs), 1),
            "runs": [{name: run[name] for name in ("settings", "step", "minutes", "validation_loss")} for run in runs],
            "data": {
                "description": "synthetic axial slices of calf, knee and thigh with reference tubes; "
                "noise of the paper's 20-arm spiral, Pipe-Menon weights",
                "generator_version": GENERATOR_VERSION,
                "scenes": asdict(scenes) if complex_input else None,
                "seeds": {split: key.seed for split, key in SPLITS.items()},
                "images": {split: key.count for split, key in SPLITS.items()},
                "sha256": data,
            },
            "code": {"nadenoise": nadenoise_core.__version__, "torch": torch.__version__},
            "evaluation_seed": SEED,
        },
        "metrics": metrics,
    }


def write_bundle(network: nn.Module, metadata: dict[str, Any], folder: Path) -> Path:
    """Script, freeze, check and write `folder/<name>.pt`; list its checksum in `folder/SHA256SUMS`.

    The same network and metadata give the same bytes, if it is the first network that the process scripts.

    Raises:
        OutputError: the written file does not give the images that the network gives.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{metadata['name']}.pt"
    network = network.eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    # The name inside the archive is that of the file, so a partial file needs a folder rather than a suffix.
    with tempfile.TemporaryDirectory(dir=folder, prefix=".partial-") as partial:
        written = Path(partial) / path.name
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch 2.13 deprecates TorchScript
            scripted = torch.jit.freeze(torch.jit.script(network))
            torch.jit.save(scripted, str(written), _extra_files={"metadata.json": json.dumps(metadata, indent=1)})
        difference = parity(network, written, channels=1 if metadata["input"]["channels"] == "magnitude" else 2)
        if not difference <= PARITY_TOLERANCE:
            raise OutputError(
                f"{path}: the exported network differs from the trained one by {difference:.2g}, more than "
                f"{PARITY_TOLERANCE:g}; nothing was written"
            )
        os.replace(written, path)
    _list_checksum(path)
    return path


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
    path = bundle.parent / CHECKSUMS
    lines = path.read_text().splitlines() if path.exists() else []
    known = {name: checksum for checksum, name in (line.split(maxsplit=1) for line in lines if line)}
    known[bundle.name] = hashlib.sha256(bundle.read_bytes()).hexdigest()
    partial = path.with_suffix(".partial")
    partial.write_text("".join(f"{checksum}  {name}\n" for name, checksum in sorted(known.items())))
    os.replace(partial, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder that training.fit wrote")
    parser.add_argument("--name", default="noise_aware")
    parser.add_argument("--version", default="1.0")
    parser.add_argument("--out", type=Path, default=MODELS_FOLDER)
    parser.add_argument("--cache", type=Path, default=CACHE_FOLDER, help="folder of the rendered limbs")
    parser.add_argument("--keep", type=float, default=3.0, help="pixels, see ResidualDenoiser; 0 for none")
    parser.add_argument("--calves", type=int, default=20, help="number of virtual calves to evaluate on")
    parser.add_argument("--limbs", type=int, default=None, help="number of test images; all unless given")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    network, run = load_best(arguments.run / "best.pt")
    data = json.loads((arguments.run / "data.json").read_text())
    limbs = load_limbs(SPLITS["test"], arguments.cache).first(arguments.limbs)
    network.set_keep(arguments.keep)
    metadata = describe_run(arguments.name, arguments.version, history(run), data, {}, arguments.keep)
    model = Model(network, **metadata["input"])
    metrics = evaluate(model, limbs, SpiralNoise(), range(arguments.calves))
    path = write_bundle(network, metadata | {"metrics": metrics}, arguments.out)
    print(report(metrics))
    loss, step = run["validation_loss"], run["step"]
    print(f"\n{path}: {path.stat().st_size} bytes, validation loss {loss:.5f} at step {step}")


if __name__ == "__main__":
    main()
