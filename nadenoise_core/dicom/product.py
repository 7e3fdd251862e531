"""What a DICOM image is made of: where it lies, whose it is, what is known of it, and the pixels themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import inf, isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from nadenoise_core import __version__
from nadenoise_core.errors import BadInputError
from nadenoise_core.mrd.facts import ImageFacts, Kind
from nadenoise_core.mrd.study_header import StudyHeader
from nadenoise_core.recon.settings import Method

Vector = Sequence[float] | npt.NDArray[Any]
FloatArray = npt.NDArray[np.float64]

_DIRECTION_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Geometry:
    """Where a slice lies in the patient: LPS coordinates, millimetres.

    The row index rises along `phase_dir`, the column index along `read_dir`. Pixel (rows // 2, columns // 2) is the
    centre of the field of view, for even and odd matrices, because that is where the NUFFT puts it.

    Args:
        position: (3,) centre of the slice, mm.
        read_dir, phase_dir, slice_dir: (3,) unit vectors, at right angles to each other.
        field_of_view: (read, phase), mm.
        slice_thickness: mm.
        patient_position: such as "HFS" (DICOM PS3.3 C.7.3.1.1.2); empty when unknown.

    Raises:
        BadInputError: a vector is not (3,), directions are not unit vectors at right angles, a length is not > 0.
    """

    position: Vector
    read_dir: Vector
    phase_dir: Vector
    slice_dir: Vector
    field_of_view: tuple[float, float]
    slice_thickness: float
    patient_position: str = ""

    def __post_init__(self) -> None:
        vectors = (self.position, self.read_dir, self.phase_dir, self.slice_dir)
        if any(np.shape(vector) != (3,) or not np.isfinite(vector).all() for vector in vectors):
            raise BadInputError("image geometry: position and directions must each be three finite numbers")
        directions = np.array(vectors[1:], dtype=np.float64)
        if not np.allclose(directions @ directions.T, np.eye(3), rtol=0, atol=_DIRECTION_TOLERANCE):
            raise BadInputError(
                "image geometry: read, phase and slice directions must be unit vectors at right angles, "
                f"not {directions.round(4).tolist()}"
            )
        lengths = (*self.field_of_view, self.slice_thickness)
        if not all(isfinite(length) and length > 0 for length in lengths):
            raise BadInputError(f"image geometry: field of view and slice thickness must be > 0 mm, not {lengths}")

    @property
    def orientation(self) -> FloatArray:
        """(6,) direction along a row, then down a column (DICOM PS3.3 C.7.6.2.1.1), to ten decimals."""
        directions = np.concatenate([self.read_dir, self.phase_dir]).astype(np.float64)
        # ITK's inverse of the orientation fails on numbers such as 1e-160; adding 0 makes -0 a plain 0.
        return directions.round(10) + 0.0

    @property
    def slice_location(self) -> float:
        """Distance of the slice from the origin along `slice_dir`, mm."""
        return float(np.dot(self.position, self.slice_dir))

    def pixel_spacing(self, rows: int, columns: int) -> tuple[float, float]:
        """Distance between rows, then between columns, mm (DICOM PS3.3 10.7.1.3)."""
        read, phase = self.field_of_view
        return float(phase) / rows, float(read) / columns

    def image_position(self, rows: int, columns: int) -> FloatArray:
        """(3,) centre of the first pixel, mm (DICOM PS3.3 C.7.6.2.1.1)."""
        between_rows, between_columns = self.pixel_spacing(rows, columns)
        along_read = (columns // 2) * between_columns * np.asarray(self.read_dir, dtype=np.float64)
        along_phase = (rows // 2) * between_rows * np.asarray(self.phase_dir, dtype=np.float64)
        first: FloatArray = np.asarray(self.position, dtype=np.float64) - along_read - along_phase
        return first


@dataclass(frozen=True)
class Study(StudyHeader):
    """Patient, study, scanner and sequence: what the header says, and what the objects of a measurement need besides.

    Dates and times are text, in ISO 8601 ("2024-01-31", "12:34:56") or DICOM form ("20240131", "123456"). What would
    tell who the patient is stays out of `repr`, and so out of logs.

    Attributes:
        measurement_id: tells this measurement from every other one: all unique identifiers stem from it.
        laterality: L, R, B (both) or U (unpaired).
        series_number_offset: added to the series numbers.
        pixel_bandwidth: Hz a pixel.

    Raises:
        BadInputError: `measurement_id` is empty, or a number is not finite.
    """

    measurement_id: str = ""
    laterality: str = ""
    series_number_offset: int = 0
    pixel_bandwidth: float | None = None

    def __post_init__(self) -> None:
        if not self.measurement_id.strip():
            raise BadInputError("DICOM: measurement_id is empty; give text that no other measurement has")
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, float) and not isfinite(value):
                raise BadInputError(f"DICOM: {entry.name} must be a finite number or None, not {value}")


@dataclass(frozen=True, eq=False)
class Product:
    """One image to be delivered.

    Args:
        facts: what is known of it.
        pixels: (rows, columns) real; magnitude in arbitrary units, or mmol/L of an aTSC map.
        scale: units a stored value stands for, the same for all images of a measurement; an aTSC map needs none.
        instance_number: counts the images of a series from 1.
        acquisition_number: counts the repetitions of a measurement from 1.
        echo_number: counts the echoes of a measurement from 1; 0 where it has one.
        temporal_positions: how many repetitions the measurement has.
        window: (centre, width) for display, in the units of `pixels`; None: chosen here.
        source: (SOP class UID, SOP instance UID) of every image that this one was made from.

    Raises:
        BadInputError: pixels are not a finite real image, a magnitude has no scale, a number is out of range, or the
            network is missing from a denoised image or given for a plain one.
    """

    facts: ImageFacts
    pixels: npt.NDArray[Any]
    scale: float = 0.0
    instance_number: int = 1
    acquisition_number: int = 1
    echo_number: int = 0
    temporal_positions: int = 1
    window: tuple[float, float] | None = None
    source: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        kind, averages = self.facts.kind, self.facts.averages
        if self.pixels.ndim != 2 or 0 in self.pixels.shape or not np.isrealobj(self.pixels):
            raise BadInputError(
                f"DICOM: pixels must be a real image (rows, columns), not {self.pixels.dtype} {self.pixels.shape}"
            )
        if bad := int(np.count_nonzero(~np.isfinite(self.pixels))):
            raise BadInputError(
                f"DICOM: {bad} of {self.pixels.size} pixels of {self.facts.description} are NaN or infinite"
            )
        if not kind.is_concentration and not 0 < self.scale < inf:
            raise BadInputError(f"DICOM: a magnitude image needs a scale > 0, not {self.scale}")
        if averages < 1 or self.instance_number < 1:
            raise BadInputError(
                f"DICOM: averages and instance_number count from 1, not {averages} and {self.instance_number}"
            )
        if self.window and not (isfinite(self.window[0]) and isfinite(self.window[1]) and self.window[1] > 0):
            raise BadInputError(f"DICOM: window must be a centre and a width > 0, not {self.window}")
        network = self.facts.network
        if (kind is Kind.DENOISED and not network) or (kind is Kind.PLAIN and network):
            raise BadInputError("DICOM: a denoised image must name its network, and a plain one must not")

    @property
    def series_code(self) -> int:
        """Ten times the averages, plus 1 NUFFT, 2 denoised, 3 aTSC, 4 aTSC denoised, 5 errors of a map; 6 to 10 by
        another method.

        An echo after the first is 30 000 further on, beyond the outlines and reports of the one before.
        """
        facts = self.facts
        of_signal = 1 + (facts.network is not None) + 2 * (facts.kind is Kind.ATSC)
        image = 5 if facts.kind is Kind.ERROR else of_signal
        code = 10 * facts.averages + image + 5 * (facts.method is not Method.GRIDDING)
        return code + 30000 * max(self.echo_number - 1, 0)

    @property
    def series_description(self) -> str:
        """Of the series, for people: "23Na NUFFT 30 avg echo 2"."""
        return self.facts.description + (f" echo {self.echo_number}" if self.echo_number else "")

    @property
    def file_name(self) -> str:
        """Of the image, among those of its measurement."""
        return f"{self.facts.file_stem}_{self.instance_number:03d}.dcm"

    @property
    def derivation(self) -> str:
        """How the image was made, in words."""
        facts = self.facts
        parts = [f"nadenoise {__version__}", f"{facts.averages} averages"]
        if facts.network is not None:
            parts.append(f"network {facts.network.name} sha256 {facts.network.sha256}")
        if facts.atsc is not None:
            line = facts.atsc.line
            parts.append(
                f"aTSC = (signal - intercept) / slope, slope {line.slope:.6g} per mmol/L, "
                f"intercept {line.intercept:.6g}, R2 {line.r2:.5f}"
            )
        return "; ".join(parts)

    @property
    def chain_sha256(self) -> str:
        """Of the stages that made the image, with their parameters."""
        return hashlib.sha256("\n".join(self.facts.history).encode()).hexdigest()
