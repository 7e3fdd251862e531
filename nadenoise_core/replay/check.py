"""Whether a raw file fits a chain, and what was found in it: every readout is read, and no image made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nadenoise_core.chain.chain import Chain, build, check_runs_here
from nadenoise_core.chain.gadget import Gadget, ItemType
from nadenoise_core.chain.runner import run
from nadenoise_core.log import recorded_warnings
from nadenoise_core.mrd.buffer import AveragedReadouts, unpack
from nadenoise_core.mrd.rawfile import RawFile, named_in_errors
from nadenoise_core.mrd.recon_data import ReconData
from nadenoise_core.mrd.scan import Scan, read_scan


@dataclass(frozen=True)
class RawCheck:
    """What was found in a raw file.

    Attributes:
        acquisitions: in the file, of every kind.
        matrix: (rows, columns) of the image.
        field_of_view: (rows, columns), mm.
        slice_thickness: mm.
        repetition_times, echo_times: ms; flip_angles: degrees; none where the header gives none.
        images: slices, contrasts and repetitions, at every number of averages that the chain asks for.
        averages: the most in an image.
        coils, interleaves, samples: of an image.
        dwell_time: us; 0 where the raw data do not say.
        warnings: what was assumed, and what is odd.
    """

    acquisitions: int
    matrix: tuple[int, int]
    field_of_view: tuple[float, float]
    slice_thickness: float
    repetition_times: tuple[float, ...]
    echo_times: tuple[float, ...]
    flip_angles: tuple[float, ...]
    images: int
    averages: int
    coils: int
    interleaves: int
    samples: int
    dwell_time: float
    warnings: tuple[str, ...]

    @property
    def readout(self) -> float:
        """Duration of a readout, ms."""
        return 1e-3 * self.dwell_time * self.samples


def check_raw(raw: Path, chain: Chain, group: str | None = None) -> RawCheck:
    """Check a raw file against a chain: header, every file and network that the chain names, and every readout.

    Args:
        raw: ISMRMRD file.
        chain: that it is to be replayed through.
        group: of the measurement in the raw file; None takes the only one.

    Raises:
        NadenoiseError: the raw file cannot be replayed through the chain; the message says why.
    """
    check_runs_here(chain)
    with RawFile(raw, group) as file, named_in_errors(raw), recorded_warnings() as warnings:
        scan = read_scan(file.header_xml)
        stages = _up_to_averages(build(chain, scan))
        averaged = [
            unpack(bit.data) for item in run(stages, file.acquisitions()) if isinstance(item, ReconData) for bit in item
        ]
        return _found(len(file), scan, averaged, warnings)


def _up_to_averages(gadgets: Sequence[Gadget]) -> list[Gadget]:
    """The stages that read raw data; what comes after them makes images."""
    takers = [number for number, gadget in enumerate(gadgets) if gadget.takes is ItemType.ACQUISITION]
    return list(gadgets[: max(takers, default=-1) + 1])


def _found(acquisitions: int, scan: Scan, averaged: Sequence[AveragedReadouts], warnings: Sequence[str]) -> RawCheck:
    last = averaged[-1] if averaged else None
    coils, interleaves, samples = last.kspace.shape if last is not None else (0, 0, 0)
    return RawCheck(
        acquisitions=acquisitions,
        matrix=scan.encoding.matrix,
        field_of_view=scan.encoding.field_of_view,
        slice_thickness=scan.slice_thickness,
        repetition_times=scan.sequence.repetition_times,
        echo_times=scan.sequence.echo_times,
        flip_angles=scan.sequence.flip_angles,
        images=len(averaged),
        averages=max((readouts.typical_averages for readouts in averaged), default=0),
        coils=coils,
        interleaves=interleaves,
        samples=samples,
        dwell_time=float(last.header.sample_time_us) if last is not None else 0.0,
        warnings=tuple(warnings),
    )
