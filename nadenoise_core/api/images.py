"""Images and what is known of them."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from html import escape
from io import BytesIO
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.api.table import Table
from nadenoise_core.errors import BadInputError, OutputError
from nadenoise_core.files import make_folder
from nadenoise_core.mrd.facts import ImageFacts, Kind
from nadenoise_core.mrd.geometry import affine_of
from nadenoise_core.mrd.image import image_beside, known_facts, pixel_size, pixels_of

if TYPE_CHECKING:
    import ismrmrd
    from matplotlib.figure import Figure

    from nadenoise_core.mrd.scan import Scan


class Image:
    """One image.

    Attributes:
        item: the ISMRMRD image that it is on a stream.
    """

    def __init__(self, item: ismrmrd.Image) -> None:
        self.item = item

    @property
    def array(self) -> NDArray[Any]:
        """(rows, columns): complex64 signal, float32 magnitude, or float32 concentration in mmol/L."""
        return pixels_of(self.item)

    @property
    def facts(self) -> ImageFacts:
        """Averages, noise, network, calibration, regions, comments."""
        return known_facts(self.item)

    @property
    def kind(self) -> str:
        """ "plain", "denoised" or "atsc"."""
        return self.facts.kind.value

    @property
    def pixel(self) -> tuple[float, float]:
        """(row, column) spacing, mm."""
        return pixel_size(self.item)

    @property
    def affine(self) -> NDArray[np.float64]:
        """(4, 4), array indices (column, row, slice) to RAS mm, as NIfTI has it."""
        return affine_of(self.item)

    @property
    def tubes(self) -> Table:
        """Of a map of concentration: what the reference tubes read, mmol/L."""
        atsc = self.facts.atsc
        return Table(
            {
                "concentration": tube.concentration,
                "measured": atsc.measured(tube),
                "standard_error": tube.standard_error,
                "x": tube.centre[0],
                "y": tube.centre[1],
                "diameter": tube.diameter,
            }
            for tube in (atsc.tubes if atsc is not None else ())
            if atsc is not None
        )

    @property
    def regions(self) -> Table:
        """Of a map of concentration: what the regions of a label map read, mmol/L."""
        atsc = self.facts.atsc
        return Table(
            {**asdict(region), "method": str(region.method)} for region in (atsc.regions if atsc is not None else ())
        )

    def copy(self) -> Image:
        """The same image; stages of a chain write what they did into those that they are given."""
        planes = np.asarray(self.item.data[1:, 0])  # replicas, and what travels of their surroundings
        return Image(image_beside(self.item, self.array, self.facts, planes))

    def plot(self) -> Figure:
        """The image as a figure."""
        return Images([self]).plot()

    def to_nifti(self, path: str | Path) -> Path:
        """Write the image as NIfTI where it lies in the patient; a complex image as its magnitude.

        Raises:
            OutputError: it cannot be written.
        """
        from nadenoise_core.quantify.nifti import write_nifti

        array = self.array
        values = np.abs(array) if np.iscomplexobj(array) else array
        unit = "aTSC, mmol/L" if self.facts.atsc is not None else "magnitude, arbitrary unit"
        write_nifti(Path(path), values, self.affine, unit)
        return Path(path)

    def __repr__(self) -> str:
        rows, columns = self.array.shape
        return f"<Image: {self.facts.description}, {columns} x {rows}>"

    def _repr_html_(self) -> str:
        return Images([self])._repr_html_()


class Images(Sequence[Image]):
    """The images of a scan in the order in which they were made; `plain`, `denoised` and `atsc` are the last of a kind.

    Attributes:
        scan: what the header of the scan says.
    """

    def __init__(self, images: Iterable[Image], scan: Scan | None = None) -> None:
        self._images = tuple(images)
        self.scan = scan

    @classmethod
    def from_array(
        cls,
        array: NDArray[Any],
        *,
        averages: int,
        noise_std: float = nan,
        pixel: tuple[float, float] = (2.25, 2.25),
        thickness: float = 30.0,
    ) -> Images:
        """One plain image from an array, to be denoised or quantified; it lies transverse in the isocentre.

        Args:
            array: (rows, columns), complex signal, or real magnitude.
            averages: that it is made of.
            noise_std: standard deviation of the real part of a pixel; NaN if it is not known.
            pixel: (row, column) spacing, mm.
            thickness: of the slice, mm.

        Raises:
            BadInputError: the array is no image.
        """
        from nadenoise_core.api.arrays import image_of_array, scan_of_array

        item = image_of_array(np.asarray(array), averages, noise_std, pixel, thickness)
        return cls([Image(item)], scan_of_array(np.shape(array), pixel, thickness))

    @overload
    def __getitem__(self, index: int) -> Image: ...
    @overload
    def __getitem__(self, index: slice) -> Images: ...
    def __getitem__(self, index: int | slice) -> Image | Images:
        return Images(self._images[index], self.scan) if isinstance(index, slice) else self._images[index]

    def __len__(self) -> int:
        return len(self._images)

    def __iter__(self) -> Iterator[Image]:
        return iter(self._images)

    @property
    def plain(self) -> Image:
        """The last image of signal, as reconstructed."""
        return self._last(Kind.PLAIN)

    @property
    def denoised(self) -> Image:
        """The last image of signal, after a network."""
        return self._last(Kind.DENOISED)

    @property
    def atsc(self) -> Image:
        """The last map of concentration, mmol/L."""
        return self._last(Kind.ATSC)

    @property
    def tubes(self) -> Table:
        """What the reference tubes read in the last map, mmol/L."""
        return self.atsc.tubes

    @property
    def regions(self) -> Table:
        """What the regions of a label map read in the last map, mmol/L."""
        return self.atsc.regions

    def plot(self) -> Figure:
        """One figure of the last image in all its kinds, with the calibration line."""
        from nadenoise_core.api.figure import figure_of

        return figure_of([image.item for image in self])

    def to_nifti(self, folder: str | Path) -> list[Path]:
        """Write every image as NIfTI; gives the files.

        Raises:
            OutputError: one cannot be written.
        """
        try:
            make_folder(Path(folder))
        except OSError as error:
            raise OutputError(f"cannot write {folder}: {error.strerror}; choose another folder") from None
        return [
            image.to_nifti(Path(folder) / f"{number:03d}_{image.kind}_{image.facts.averages}avg.nii.gz")
            for number, image in enumerate(self, 1)
        ]

    def __repr__(self) -> str:
        return f"<{len(self)} images: {', '.join(image.facts.description for image in self)}>"

    def _repr_html_(self) -> str:
        from nadenoise_core.replay.picture import picture_of

        picture = BytesIO()
        picture_of([image.item for image in self]).save(picture, format="PNG")
        source = base64.b64encode(picture.getvalue()).decode()
        return f'<img src="data:image/png;base64,{source}" alt="{escape(repr(self))}"/>'

    def _last(self, kind: Kind) -> Image:
        found = [image for image in self if image.facts.kind is kind]
        if not found:
            raise BadInputError(
                f"there is no {kind.value} image; there are: {', '.join(i.kind for i in self) or 'none'}"
            )
        return found[-1]


def read_images(path: str | Path) -> Images:
    """The images of an `images.h5`, or of a folder of results that has one.

    Raises:
        RawDataError: the file is missing or cannot be read.
    """
    from nadenoise_core.mrd.scan import read_scan
    from nadenoise_core.replay.results import read_images_file

    file = Path(path) / "images.h5" if Path(path).is_dir() else Path(path)
    header_xml, items = read_images_file(file)
    return Images([Image(item) for item in items], read_scan(header_xml))
