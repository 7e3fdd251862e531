"""`nadenoise demo`: a two-minute scan of the virtual calf, from raw data to DICOM, against the truth."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import Annotated

import ismrmrd
import numpy as np
import typer

from nadenoise_core.chain.files import find_chain, read_chain
from nadenoise_core.cli.replay import replay_with_progress, show_images
from nadenoise_core.cli.simulate import write_with_progress
from nadenoise_core.console import say, show_table
from nadenoise_core.errors import OutputError
from nadenoise_core.mrd.image import pixel_size, pixels_of
from nadenoise_core.phantom import Label, labels
from nadenoise_core.replay.schema import Report
from nadenoise_core.simulate.measurement import VirtualMeasurement


def command(
    out: Annotated[Path, typer.Option(help="Folder of the demonstration.")] = Path("demo"),
    averages: Annotated[int, typer.Option(min=2, max=1000, help="Averages of the scan.")] = 30,
    seed: Annotated[int, typer.Option(min=0, help="Which individual.")] = 7,
) -> None:
    """Simulate a scan, replay it through the default chain, and compare the result with the truth."""
    start = perf_counter()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror}; choose another --out") from None
    measurement = VirtualMeasurement(seed=seed, averages=averages)
    raw = out / "scan.h5"
    write_with_progress(measurement, raw, out / "truth.json", overwrite=True)
    result = replay_with_progress(raw, read_chain(find_chain("sodium_calf")), out, overwrite=True)

    show_images(result)
    _show_against_truth(measurement, result.folder / "images.h5", result.report)
    times = result.report["milliseconds"].items()
    rows = [(stage, f"{milliseconds:.1f}") for stage, milliseconds in times]
    show_table(("stage", "ms"), rows, title="time per stage")
    for warning in result.report["warnings"]:
        say(f"warning: {warning}")
    for name, label in {
        "dicom": "DICOM series",
        "images.h5": "ISMRMRD images",
        "report.html": "report",
        "overview.png": "picture",
    }.items():
        say(f"{label + ':':16}{result.folder / name}")
    say(f"virtual calf, seed {seed}; {perf_counter() - start:.1f} s")


def _show_against_truth(measurement: VirtualMeasurement, images: Path, report: Report) -> None:
    """Tubes and muscle, measured and true, mmol/L."""
    described = [image for image in report["images"] if image["kind"] == "atsc"]
    if not described:
        return
    rows = [
        _row(f"tube {tube['concentration']:g}", tube["concentration"], tube["measured"])
        for tube in described[-1]["calibration"]["tubes"]
    ]
    with closing(ismrmrd.Dataset(str(images), "dataset", create_if_needed=False)) as dataset:
        atsc = dataset.read_image("image_3", dataset.number_of_images("image_3") - 1)
    values = pixels_of(atsc)
    pixel = pixel_size(atsc)[0]
    muscle = labels(measurement.calf(), values.shape[0], values.shape[0] * pixel, margin=pixel) == Label.MUSCLE
    found = float(values[muscle].mean())
    rows.append(_row(f"muscle ({np.count_nonzero(muscle)} pixels)", measurement.truth()["muscle"], found))
    show_table(("mmol/L", "truth", "measured", "error"), rows, title="concentrations against the truth")


def _row(what: str, true: float, measured: float) -> tuple[str, ...]:
    return what, f"{true:.2f}", f"{measured:.2f}", f"{measured - true:+.2f}"
