"""Regions that a volunteer is measured in: muscle, skin and background; from the truth, or drawn by hand."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import BadInputError
from nadenoise_core.phantom import Calf, Label, concentration, labels, mean_concentration
from nadenoise_core.quantify.plane import SlicePlane
from nadenoise_core.quantify.region_reader import labels_on_pixels
from nadenoise_core.quantify.volume import read_volume
from nadenoise_core.study.config import LabelNumbers

_BACKGROUND_MARGIN = 3.0  # pixels from leg and tubes, whose ringing is no noise
_OVERSAMPLING = 16
_FINE = 720  # points along each side of the field of view


@dataclass(frozen=True)
class Truth:
    """What is true in the regions of a virtual volunteer.

    Attributes:
        muscle, skin: mean concentration in the region, other tissue in its pixels included, mmol/L.
        muscle_share, skin_share: share of the region's area that is this tissue: its partial volume.
        tissue_muscle, tissue_skin: mean concentration of the tissue itself, mmol/L.
    """

    muscle: float
    skin: float
    muscle_share: float
    skin_share: float
    tissue_muscle: float
    tissue_skin: float

    def numbers(self) -> dict[str, float]:
        """By name."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Regions:
    """Masks (rows, columns).

    Attributes:
        muscle, skin, background: masks.
        origin: how they were made, in words.
        truth: of a virtual volunteer.
    """

    muscle: NDArray[np.bool_]
    skin: NDArray[np.bool_]
    background: NDArray[np.bool_]
    origin: str
    truth: Truth | None = None

    def label_map(self) -> NDArray[np.int16]:
        """The regions as a label map: 1 muscle, 2 skin, 3 background."""
        drawn = np.zeros(self.muscle.shape, np.int16)
        for number, mask in enumerate((self.muscle, self.skin, self.background), 1):
            drawn[mask] = number
        return drawn


def true_regions(calf: Calf, matrix: int) -> Regions:
    """The regions of a virtual volunteer.

    Muscle lies a pixel from every edge, so that it holds no other tissue. Skin is thinner than a pixel: its region
    is the pixels whose centres lie in skin, and how much of them is skin is said.

    Raises:
        BadInputError: a region has no pixel.
    """
    pixel = calf.field_of_view / matrix
    muscle = labels(calf, matrix, calf.field_of_view, pixel) == Label.MUSCLE
    skin = labels(calf, matrix, calf.field_of_view, None) == Label.SKIN
    background = labels(calf, matrix, calf.field_of_view, _BACKGROUND_MARGIN * pixel) == Label.BACKGROUND
    truth = Truth(
        muscle=mean_concentration(calf, muscle, calf.field_of_view),
        skin=mean_concentration(calf, skin, calf.field_of_view),
        muscle_share=_share(calf, "muscle", muscle),
        skin_share=_share(calf, "skin", skin),
        tissue_muscle=_mean_of(calf, "muscle"),
        tissue_skin=_mean_of(calf, "skin"),
    )
    origin = (
        f"from the truth: muscle one pixel from every edge, {100 * truth.muscle_share:.0f} % of its area is muscle; "
        f"skin by the centres of pixels, {100 * truth.skin_share:.0f} % of its area is skin (partial volume); "
        f"background {_BACKGROUND_MARGIN:g} pixels from leg and tubes"
    )
    return _checked(Regions(muscle, skin, background, origin, truth), f"virtual calf {calf.seed}")


def drawn_regions(path: Path, numbers: LabelNumbers, matrix: tuple[int, int], affine: NDArray[np.floating]) -> Regions:
    """The regions of a label map that was drawn on the reference image.

    Args:
        path: NIfTI or NRRD file, of any resolution and orientation.
        numbers: of the labels.
        matrix: (rows, columns) of the image.
        affine: (4, 4) of the image.

    Raises:
        BadInputError: no label map, one that lies elsewhere, or a label is not in it.
    """
    drawn = labels_on_pixels(read_volume(path), SlicePlane.of_nifti(affine, matrix))
    masks = {name: drawn == number for name, number in numbers.model_dump().items()}
    return _checked(Regions(**masks, origin="label map, drawn by hand; its partial volume is not known"), str(path))


def _mean_of(calf: Calf, kind: str) -> float:
    """Mean concentration of a kind of tissue, mmol/L, by area; later tissues lie in earlier ones."""
    drawn = labels(calf, _FINE, calf.field_of_view, None) == Label[kind.upper()]
    return float(concentration(calf, _FINE, calf.field_of_view, 1)[drawn].mean())


def _share(calf: Calf, kind: str, region: NDArray[np.bool_]) -> float:
    """Share of a region's area that is of this kind of tissue."""
    tissues = tuple(dataclasses.replace(part, concentration=float(part.kind == kind)) for part in calf.tissues)
    shares = concentration(
        dataclasses.replace(calf, tissues=tissues, tubes=()), len(region), calf.field_of_view, _OVERSAMPLING
    )
    return float(shares[region].mean()) if region.any() else 0.0


def _checked(regions: Regions, source: str) -> Regions:
    for name, least in (("muscle", 1), ("skin", 1), ("background", 2)):
        if np.count_nonzero(getattr(regions, name)) < least:
            raise BadInputError(f"{source}: there is no pixel of {name}; draw it, or correct subjects.labels")
    return regions
