"""Reference tubes and corrections where an image lies: volumes are cut by its slice, each slice once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.mrd.geometry import plane_of
from nadenoise_core.quantify.atsc import TubeSetup
from nadenoise_core.quantify.plane import sample_map
from nadenoise_core.quantify.region_reader import labels_on_pixels
from nadenoise_core.quantify.sensitivity import SignalCorrection, with_maps
from nadenoise_core.quantify.volume import Volume

if TYPE_CHECKING:
    import ismrmrd


@dataclass(frozen=True)
class Excitation:
    """What the steady state of tissue and tubes depends on.

    Attributes:
        flip_angle: nominal, degrees.
        repetition_time: ms.
        t1: of tissue and tubes, ms; 0: fully relaxed.
    """

    flip_angle: float = 90.0
    repetition_time: float = inf
    t1: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Placement:
    """The tubes and the correction of every image of a scan.

    Attributes:
        tubes: without a label map of theirs.
        label_map: of the tubes; None: they are found, or given.
        maps: of the relative flip angle ("b1_map") and of the receive sensitivity ("receive_map").
        factor: by which the concentration of tissue is multiplied.
        excitation: that a map of the flip angle changes.

    Raises:
        BadInputError: one of the maps is none of its kind.
    """

    tubes: TubeSetup
    label_map: Volume | None = None
    maps: Mapping[str, Volume] = field(default_factory=dict)
    factor: float = 1.0
    excitation: Excitation = Excitation()
    _placed: dict[bytes, tuple[TubeSetup, SignalCorrection]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, volume in self.maps.items():  # what is no such map is refused before the scan
            self._correction({name: volume.values.reshape(1, -1).astype(np.float64)})

    def at(self, image: ismrmrd.Image) -> tuple[TubeSetup, SignalCorrection]:
        """The tubes and the correction where an image lies.

        Raises:
            BadInputError: a volume lies elsewhere.
        """
        plane = plane_of(image)
        if plane.key not in self._placed:
            labels = None if self.label_map is None else labels_on_pixels(self.label_map, plane)
            correction = self._correction({name: sample_map(volume, plane) for name, volume in self.maps.items()})
            self._placed[plane.key] = replace(self.tubes, labels=labels), correction
        return self._placed[plane.key]

    def _correction(self, maps: Mapping[str, NDArray[np.float64]]) -> SignalCorrection:
        made = self.excitation
        return with_maps(
            self.factor, maps.get("b1_map"), maps.get("receive_map"), made.flip_angle, made.repetition_time, made.t1
        )
