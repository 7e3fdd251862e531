"""`nadenoise simulate`: write a virtual scan as a scanner would."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from nadenoise_core.console import counting_bar, say
from nadenoise_core.errors import BadInputError
from nadenoise_core.paper import NOISE
from nadenoise_core.phantom import LoopOrder
from nadenoise_core.simulate.files import write_measurement
from nadenoise_core.simulate.header import ECHO_TIME, SLICE_THICKNESS
from nadenoise_core.simulate.measurement import VirtualMeasurement


def command(
    context: typer.Context,
    raw: Annotated[Path, typer.Argument(help="ISMRMRD file to write.")],
    averages: Annotated[int, typer.Option(min=1, max=65535, help="Averages; 30 take two minutes, 150 ten.")] = 30,
    seed: Annotated[int, typer.Option(min=0, help="Makes the individual, and the noise.")] = 1,
    truth: Annotated[Path | None, typer.Option(help="JSON file to write with what is to be found.")] = None,
    label_map: Annotated[
        Path | None,
        typer.Option("--labels", help="NIfTI label map of the tissues to write; their names go into a .txt beside it."),
    ] = None,
    noise: Annotated[
        float, typer.Option(min=0, help="Noise of the image of one average, mmol/L (the paper's by default).")
    ] = NOISE,
    coils: Annotated[int, typer.Option(min=1, max=64, help="Receive channels; several come with a noise scan.")] = 1,
    order: Annotated[LoopOrder, typer.Option(help="Where the loop of averages is.")] = LoopOrder.OUTERMOST,
    half_pulses: Annotated[bool, typer.Option(help="Two acquisitions an interleaf.")] = True,
    half_pulse_phase: Annotated[float, typer.Option(help="Bulk phase of the second half-pulse, degrees.")] = 0.0,
    position: Annotated[str, typer.Option(help="Centre of the slice, LPS mm: x,y,z.")] = "0,0,0",
    angles: Annotated[
        str, typer.Option(help="Rotation of the slice about x, y, z, degrees; 0,0,0 is transverse.")
    ] = "0,0,0",
    trajectory_unit: Annotated[
        str, typer.Option(help="Unit of traj: cycles/pixel, radians/pixel, cycles/FOV or 1/m.")
    ] = "cycles/pixel",
    muscle: Annotated[float | None, typer.Option(min=0, help="Concentration of muscle, mmol/L.")] = None,
    skin: Annotated[float | None, typer.Option(min=0, help="Concentration of skin, mmol/L.")] = None,
    skin_thickness: Annotated[float | None, typer.Option(min=0, help="Of the skin, mm.")] = None,
    tube_diameter: Annotated[float, typer.Option(min=1, help="Diameter of the reference tubes, mm.")] = 20.0,
    tube_radius: Annotated[
        float, typer.Option(min=1, help="Distance of the tubes from the centre of the FOV, mm.")
    ] = 74.0,
    tube_wall: Annotated[float, typer.Option(min=0, help="Wall of the tubes, mm.")] = 0.0,
    tube_tilt: Annotated[
        float, typer.Option(min=0, help="Tilt of the tubes against the normal of the slice, degrees.")
    ] = 0.0,
    trajectory_delay: Annotated[
        float,
        typer.Option(help="Lag of the gradients behind the written trajectory, us: k(t) was taken at k(t - delay)."),
    ] = 0.0,
    off_resonance: Annotated[
        float, typer.Option(help="Amplitude of a field map, Hz: times sin(2 pi x / 200 mm), x along read.")
    ] = 0.0,
    frequency_offset: Annotated[float, typer.Option(help="Constant off-resonance, Hz.")] = 0.0,
    relaxation: Annotated[
        bool, typer.Option(help="Saturation by T1 and decay by T2*, unlike in tissues and tubes.")
    ] = False,
    tube_gel: Annotated[bool, typer.Option(help="Tubes hold gel that relaxes as tissue does, not water.")] = False,
    conjugate: Annotated[bool, typer.Option(help="Write samples as their complex conjugates.")] = False,
    slices: Annotated[
        int, typer.Option(min=1, help="Slices of a stack; tubes that lean move on from one to the next.")
    ] = 1,
    slice_distance: Annotated[
        float, typer.Option(min=0, help="From one slice's centre to the next's, mm.")
    ] = SLICE_THICKNESS,
    stacks: Annotated[int, typer.Option(min=1, help="Groups of slices around the position.")] = 1,
    stack_angle: Annotated[
        float, typer.Option(help="Turn of a stack about the read direction against the one before, degrees.")
    ] = 20.0,
    repetitions: Annotated[int, typer.Option(min=1, help="Repetitions of all that, one after another.")] = 1,
    echo_times: Annotated[
        str,
        typer.Option(
            help="Of the readouts of an excitation, ms; with --relaxation signal decays from one to the next."
        ),
    ] = f"{ECHO_TIME:g}",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
) -> None:
    """Simulate a scan of the virtual calf: k-space in closed form, half-pulses, averages, noise."""
    # All other options are settings of a measurement, under their names.
    settings = {
        name: value for name, value in context.params.items() if name in VirtualMeasurement.__dataclass_fields__
    }
    settings |= {"position": _triple(position, "--position"), "angles": _triple(angles, "--angles")}
    settings["echo_times"] = _numbers(echo_times, "--echo-times")
    measurement = VirtualMeasurement(**settings)
    write_with_progress(measurement, raw, truth, overwrite, label_map)
    say(f"{raw}: {measurement.acquisition_count()} acquisitions, {averages} averages, seed {seed}")


def write_with_progress(
    measurement: VirtualMeasurement, raw: Path, truth: Path | None, overwrite: bool, label_map: Path | None = None
) -> None:
    """Write a virtual measurement, its truth and its labels, with a progress bar on stderr."""
    with counting_bar("simulate") as progress:
        write_measurement(measurement, raw, truth, label_map, overwrite=overwrite, progress=progress)


def _triple(text: str, option: str) -> tuple[float, ...]:
    numbers = _numbers(text, option)
    if len(numbers) != 3:
        raise BadInputError(f"{option} is '{text}'; give three numbers, e.g. 0,0,40")
    return numbers


def _numbers(text: str, option: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = (math.nan,)
    if not all(map(math.isfinite, numbers)):
        raise BadInputError(f"{option} is '{text}'; give numbers, e.g. 0,0,40")
    return numbers
