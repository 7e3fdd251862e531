"""Raw data: simulated, loaded, averaged."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.api.gadgets import gadgets_of, run_over
from nadenoise_core.errors import BadInputError

if TYPE_CHECKING:
    from nadenoise_core.mrd.buffer import AveragedReadouts
    from nadenoise_core.mrd.recon_data import ReconData
    from nadenoise_core.mrd.scan import Scan
    from nadenoise_core.mrd.single_averages import SingleAverages


def simulate(
    path: str | Path,
    *,
    truth: str | Path | None = None,
    labels: str | Path | None = None,
    overwrite: bool = False,
    **settings: Any,
) -> Path:
    """Write a scan of the virtual calf as an ISMRMRD file; gives the file.

    Args:
        path: of the file.
        truth: JSON file to write with what is to be found.
        labels: NIfTI label map of the tissues to write, with their names in a `.txt` file beside it.
        overwrite: files that are there.
        settings: of `nadenoise_core.simulate.measurement.VirtualMeasurement`, such as `averages`, `seed`, `noise`.

    Raises:
        BadInputError: a setting that there is not, or that cannot be.
        OutputError: a file cannot be written, or is there already.
    """
    from nadenoise_core.simulate.files import write_measurement
    from nadenoise_core.simulate.measurement import VirtualMeasurement

    try:
        measurement = VirtualMeasurement(**settings)
    except TypeError as error:
        raise BadInputError(f"simulate: {error}; see VirtualMeasurement") from None
    truth, labels = (Path(given) if given else None for given in (truth, labels))
    write_measurement(measurement, Path(path), truth, labels, overwrite=overwrite)
    return Path(path)


class RawScan:
    """A raw file; what it holds is read when it is asked for.

    Attributes:
        path: of the file.
        group: of the measurement in it; None for the only one.
        header_xml: the ISMRMRD header as it stands in the file.
        scan: what nadenoise reads in it.
    """

    def __init__(self, path: Path, group: str | None = None) -> None:
        from nadenoise_core.mrd.rawfile import RawFile, named_in_errors
        from nadenoise_core.mrd.scan import read_scan

        self.path, self.group = path, group
        with RawFile(path, group) as file, named_in_errors(path):
            self.header_xml = file.header_xml
            self.scan: Scan = read_scan(file.header_xml)
            self._count = len(file)

    @property
    def kspace(self) -> NDArray[np.complex64]:
        """(averages, coils, interleaves, samples), half-pulses summed."""
        return self._averages.kspace

    @property
    def trajectory(self) -> NDArray[np.float32]:
        """(interleaves, samples, 2) in cycles/pixel, columns (read, phase)."""
        return self._averages.trajectory

    @property
    def averages(self) -> int:
        """Complete ones."""
        return len(self.kspace)

    @property
    def matrix(self) -> tuple[int, int]:
        """(rows, columns) of the image."""
        return self.scan.encoding.matrix

    @property
    def field_of_view(self) -> tuple[float, float]:
        """(rows, columns) of the image, mm."""
        return self.scan.encoding.field_of_view

    @cached_property
    def _averages(self) -> SingleAverages:
        from nadenoise_core.mrd.single_averages import read_averages

        return read_averages(self.path, group=self.group)

    def __repr__(self) -> str:
        rows, columns = self.matrix
        return f"<RawScan: {self.path.name}, {self._count} acquisitions, matrix {columns} x {rows}>"


def load(path: str | Path, group: str | None = None) -> RawScan:
    """A raw file (ISMRMRD): its header, and its averages as arrays.

    Args:
        path: of the file.
        group: of the measurement in it, if it holds several.

    Raises:
        RawDataError: the file is missing, damaged, or no spiral scan.
    """
    return RawScan(Path(path), group)


def save(
    path: str | Path,
    kspace: NDArray[Any],
    trajectory: NDArray[Any],
    *,
    matrix: tuple[int, int],
    field_of_view: tuple[float, float],
    overwrite: bool = False,
    **settings: Any,
) -> RawScan:
    """Write arrays as a raw file (ISMRMRD), which is all that a chain needs; gives the file, as `load` does.

    Args:
        path: of the file.
        kspace: (averages, coils, interleaves, samples) complex; half-pulses are summed.
        trajectory: (interleaves, samples, 2) in cycles/pixel, radians/pixel, cycles/FOV or 1/m, (read, phase).
        matrix: (rows, columns) of the image.
        field_of_view: (rows, columns) of the image, mm.
        overwrite: a file that is there.
        settings: of `nadenoise_core.api.arrays.Measured`, such as `dwell_time`, `echo_time`, `position`.

    Raises:
        BadInputError: arrays or settings that cannot be.
        OutputError: the file cannot be written, or is there already.
        RawDataError: what was written is no spiral scan.
    """
    from nadenoise_core.api.arrays import Measured, write_arrays

    try:
        measured = Measured(matrix, field_of_view, **settings)
    except TypeError as error:
        raise BadInputError(f"save: {error}; see nadenoise_core.api.arrays.Measured") from None
    write_arrays(Path(path), np.asarray(kspace), np.asarray(trajectory), measured, overwrite=overwrite)
    return load(path)


class Averaged:
    """Averaged k-space.

    Attributes:
        scan: what the header of the scan says.
        items: as they travel on a stream, one for every number of averages, slice, contrast and repetition.
    """

    def __init__(self, scan: Scan, items: list[ReconData]) -> None:
        self.scan, self.items = scan, items

    @property
    def kspace(self) -> NDArray[np.complex64]:
        """(coils, interleaves, samples) of the last item."""
        return self._last.kspace

    @property
    def trajectory(self) -> NDArray[np.float32]:
        """(interleaves, samples, 2) in cycles/pixel of the last item."""
        return self._last.trajectory

    @property
    def noise_std(self) -> NDArray[np.float64]:
        """(interleaves,) of the real part of a sample of the last item."""
        return self._last.noise_std

    @property
    def averages(self) -> int:
        """In the last item."""
        return int(np.median(self._last.averages))

    @cached_property
    def _last(self) -> AveragedReadouts:
        from nadenoise_core.mrd.buffer import unpack

        return unpack(next(iter(self.items[-1])).data)

    def __repr__(self) -> str:
        return f"<Averaged: {len(self.items)} of up to {self.averages} averages>"


def average(raw: str | Path | RawScan, **properties: Any) -> Averaged:
    """Average the interleaves of a scan, after its coils' noise is made white, as the gadget `accumulate` does.

    Args:
        raw: the raw file.
        properties: of `accumulate`, such as `emit_at`; `nadenoise chain describe accumulate` lists them.

    Raises:
        BadInputError: a property, or a raw file, that cannot be.
    """
    from nadenoise_core.mrd.rawfile import RawFile, named_in_errors
    from nadenoise_core.mrd.recon_data import ReconData

    loaded = raw if isinstance(raw, RawScan) else load(raw)
    gadgets = gadgets_of([("prewhiten", {}), ("accumulate", properties)], loaded.scan)
    with RawFile(loaded.path, loaded.group) as file, named_in_errors(loaded.path):
        items = list(run_over(gadgets, file.acquisitions()))
    return Averaged(loaded.scan, [item for item in items if isinstance(item, ReconData)])
