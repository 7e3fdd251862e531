"""Finding the reference tubes.

A tube is a homogeneous disc in air beside the leg, and its signal is its concentration times one common slope. The
brightest tube is found as a disc that stands out; the others where the image fits best what the slope then predicts
for them. So the weakest tube, below the noise in every pixel, is found by its whole area.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, maximum_filter
from scipy.spatial import ConvexHull

from nadenoise_core.errors import CalibrationError
from nadenoise_core.quantify.disc import blurred_disc
from nadenoise_core.quantify.readings import Tube
from nadenoise_core.quantify.rois import distance_from
from nadenoise_core.quantify.tube_signal import measure_tube

SEARCHED_DIAMETERS = tuple(np.arange(12.0, 34.0, 3.0))  # mm: 10 ml to 50 ml tubes, then finer about the best

_LEAST_CORRELATION = 0.5  # of the brightest tube with a disc
_LEAST_SNR = 8.0  # of the brightest tube as a whole; the brightest disc of mere noise reaches 5
_LEAST_SHARE = 0.5  # of the predicted signal that must be there
_LEAST_TUBES = 3
_BRIGHT_CANDIDATES = 8
_MOST_PIXELS = 160  # along an edge, in which tubes are searched for
_WEAK = 0.3  # of the strongest concentration: a tube that is searched for when the leg is known better


def find_tubes(
    image: NDArray[np.floating],
    pixel: tuple[float, float],
    concentrations: Sequence[float],
    k_max: float,
    diameter: float | None = None,
) -> tuple[Tube, ...]:
    """Find the tubes by themselves, and measure them.

    Args:
        image: (rows, columns), real and in phase, so that air has mean 0.
        pixel: (row, column) spacing, mm.
        concentrations: mmol/L, of all tubes, in any order.
        k_max: radius of the sampled k-space, cycles/mm.
        diameter: of the tubes, mm; None to find it out.

    Returns:
        The tubes in the order of `concentrations`; a weak one that the noise hides is left out.

    Raises:
        CalibrationError: fewer than three tubes, or a strong one that is nowhere in air as the others predict it.
    """
    view = min(image.shape[0] * pixel[0], image.shape[1] * pixel[1])
    trials = [trial for trial in (SEARCHED_DIAMETERS if diameter is None else (diameter,)) if trial < view / 2]
    if not trials:
        raise CalibrationError(
            f"the reference tubes, {diameter or SEARCHED_DIAMETERS[0]:g} mm wide, do not fit beside a leg in a field "
            f"of view of {view:g} mm; correct tube_diameter, or the field of view in the header"
        )
    coarse = coarser(image, pixel, k_max)
    arrangement, search = _best(coarse, trials, concentrations)
    if diameter is None:
        about = [search.diameter + step for step in (-2.0, -1.0, 0.0, 1.0, 2.0)]
        arrangement, search = _best(coarse, about, concentrations)
    if len(arrangement.places) < _LEAST_TUBES:
        raise CalibrationError(
            f"the {len(concentrations)} reference tubes were not found: no discs in air have signals in proportion "
            f"to {', '.join(f'{c:g}' for c in concentrations)} mmol/L; "
            "give tube_positions and tube_diameter, or a label map"
        )
    return tuple(
        measure_tube(image, pixel, concentrations[index], search.position(place), search.diameter, k_max)
        for index, place in sorted(arrangement.places.items())
    )


@dataclass(frozen=True, eq=False)
class Searched:
    """An image to search in: pixels, their (row, column) spacing in mm, and the radius of its k-space in cycles/mm."""

    image: NDArray[np.float64]
    pixel: tuple[float, float]
    k_max: float


def coarser(image: NDArray[np.floating], pixel: tuple[float, float], k_max: float) -> Searched:
    """The middle of the k-space of an image that has more pixels than a search for tubes needs; others as they are.

    Time and memory of a search grow with the fourth power of the matrix.
    """
    rows, columns = (min(size, _MOST_PIXELS) for size in image.shape)
    if image.shape == (rows, columns):
        return Searched(np.asarray(image, np.float64), pixel, k_max)
    spectrum = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image)))
    first_row, first_column = image.shape[0] // 2 - rows // 2, image.shape[1] // 2 - columns // 2
    middle = np.fft.ifftshift(spectrum[first_row : first_row + rows, first_column : first_column + columns])
    reduced = np.fft.fftshift(np.fft.ifft2(middle)).real * (rows * columns / image.size)
    wider = (pixel[0] * image.shape[0] / rows, pixel[1] * image.shape[1] / columns)
    return Searched(reduced, wider, min(k_max, 0.5 / max(wider)))


def _best(
    searched: Searched, diameters: Sequence[float], concentrations: Sequence[float]
) -> tuple[_Arrangement, _Search]:
    """The diameter that explains the image best, and where the tubes then are."""
    searches = (_Search(searched.image, searched.pixel, diameter, searched.k_max) for diameter in diameters)
    return max(((search.best(concentrations), search) for search in searches), key=lambda entry: entry[0].score)


@dataclass(frozen=True)
class _Arrangement:
    """Where the tubes are, and how much better the image is explained with them than without."""

    score: float
    places: dict[int, tuple[int, int]]  # (row, column) by index in the concentrations


_NOTHING = _Arrangement(-np.inf, {})


class _Search:
    """The search for tubes of one diameter: how a disc fits at every pixel, for all pixels at once."""

    def __init__(self, image: NDArray[np.float64], pixel: tuple[float, float], diameter: float, k_max: float) -> None:
        self.pixel, self.diameter, self._k_max = pixel, diameter, k_max
        self._spacing = (pixel[0] * pixel[1]) ** 0.5
        self._leg = self._leg_of(image, least_share=0.2, margin=0.65)
        air = image[~self._leg]
        if air.size == 0:
            raise CalibrationError("no air is in view, and so no reference tube")
        self._image = image - np.median(air)  # a magnitude has a noise floor
        noise = 1.4826 * float(np.median(np.abs(air - np.median(air))))
        reach = diameter / 2 + 1.5 * self._spacing
        half = int(np.ceil(reach / min(pixel)))
        distance = distance_from((0.0, 0.0), (2 * half + 1, 2 * half + 1), pixel)
        window = (distance <= reach).astype(np.float64)
        disc = window * blurred_disc(distance, diameter, k_max)
        y, x = np.mgrid[-half : half + 1, -half : half + 1] * window
        # How the image around every pixel projects on a disc, and on what is no disc: a level, a tilt, a saddle.
        # Noise enters a few numbers only, where the sum of squares over the window would drown the weakest tube.
        shapes = np.stack([disc, window, x, y, x * y, x**2 - y**2])
        gram = np.einsum("ayx,byx->ab", shapes, shapes)
        padded = np.pad(self._image, half)
        on_shapes = _correlations(padded, shapes)
        self._on_disc: NDArray[np.float64] = on_shapes[0]
        self._disc_power = float(gram[0, 0])
        self._least_on_disc = _LEAST_SNR * noise * self._disc_power**0.5
        self._structure = np.einsum("ayx,ab,byx->yx", on_shapes, np.linalg.inv(gram), on_shapes)

        (power,) = _correlations(padded**2, window[None])
        pixels = gram[1, 1]
        covariance = on_shapes[0] - on_shapes[1] * gram[0, 1] / pixels
        variance = np.maximum(power - on_shapes[1] ** 2 / pixels, np.finfo(float).tiny)
        self._correlation = covariance / np.sqrt(variance * (gram[0, 0] - gram[0, 1] ** 2 / pixels))

    def best(self, concentrations: Sequence[float]) -> _Arrangement:
        """The arrangement that explains the image best, with one or another bright disc as the brightest tube."""
        apart = 2 * int(self.diameter / 2 / max(self.pixel)) + 1
        peaks = (self._correlation == maximum_filter(self._correlation, size=apart)) & ~self._leg
        places = np.argwhere(peaks & (self._correlation > _LEAST_CORRELATION) & (self._on_disc > self._least_on_disc))
        brightest = sorted(places.tolist(), key=lambda place: -self._on_disc[tuple(place)])[:_BRIGHT_CANDIDATES]
        every = sorted(range(len(concentrations)), key=lambda index: -concentrations[index])
        strong = [index for index in every if concentrations[index] > _WEAK * max(concentrations)]
        arrangements = (
            self._arrange({strong[0]: (row, column)}, strong, concentrations, ~self._leg) for row, column in brightest
        )
        whole = [arrangement for arrangement in arrangements if len(arrangement.places) == len(strong)]
        if not whole:
            return _NOTHING
        first = max(whole, key=lambda arrangement: arrangement.score)
        # Without the strong tubes the rim of the leg stands out, which else passes for a weak tube.
        rest = self._image.copy()
        for place in first.places.values():
            disc = blurred_disc(self._distance_to(place), self.diameter, self._k_max)
            rest -= self._on_disc[place] / self._disc_power * disc
        return self._arrange(first.places, every, concentrations, ~self._leg_of(rest, least_share=0.2, margin=0.35))

    def position(self, place: tuple[int, int]) -> tuple[float, float]:
        """Position (x, y) in mm of a fit, by parabolas through its neighbours."""
        offsets = []
        for axis in (0, 1):
            low, high = list(place), list(place)
            low[axis] = max(place[axis] - 1, 0)
            high[axis] = min(place[axis] + 1, self._on_disc.shape[axis] - 1)
            before, at, after = (self._on_disc[tuple(spot)] for spot in (low, place, high))
            bend = before - 2 * at + after
            offsets.append(float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0 else 0.0)
        rows, columns = self._on_disc.shape
        return (
            (place[1] + offsets[1] - columns // 2) * self.pixel[1],
            (place[0] + offsets[0] - rows // 2) * self.pixel[0],
        )

    def _arrange(
        self,
        known: dict[int, tuple[int, int]],
        wanted: Sequence[int],
        concentrations: Sequence[float],
        free: NDArray[np.bool_],
    ) -> _Arrangement:
        """Put tubes where the image fits best what is predicted for them; one that is nowhere is left out.

        Args:
            known: places of some tubes, by index in `concentrations`.
            wanted: indices of the tubes to put, those known among them, from the strongest to the weakest.
            free: (rows, columns) where tubes may be.
        """
        places: dict[int, tuple[int, int]] = {}
        score = 0.0
        for index in sorted(wanted, key=lambda index: index not in known):
            place = known.get(index)
            if place is None:
                predicted = self._slope(places, concentrations) * concentrations[index]
                misfit = self._structure - self._explained(predicted)
                possible = free & (self._on_disc > _LEAST_SHARE * predicted * self._disc_power)
                if not possible.any():
                    continue
                flat = int(np.argmin(np.where(possible, misfit, np.inf)))
                place = (flat // misfit.shape[1], flat % misfit.shape[1])
            places[index] = place
            score += float(self._explained(self._slope(places, concentrations) * concentrations[index])[place])
            free = free & (self._distance_to(place) >= self.diameter)
        return _Arrangement(score, places)

    def _explained(self, signal: float) -> NDArray[np.float64]:
        """How much of the image's power a disc of this signal explains, at every pixel."""
        return 2 * signal * self._on_disc - signal**2 * self._disc_power

    def _slope(self, places: dict[int, tuple[int, int]], concentrations: Sequence[float]) -> float:
        """Signal per concentration, by the tubes found so far."""
        known = np.array([concentrations[index] for index in places])
        signals = np.array([self._on_disc[place] for place in places.values()]) / self._disc_power
        return float(known @ signals / (known @ known))

    def _leg_of(self, image: NDArray[np.float64], least_share: float, margin: float) -> NDArray[np.bool_]:
        """Pixels where no tube can have its centre: in the leg, which is wider than a tube, or at its skin.

        Args:
            least_share: of the brightest smooth signal, that counts as bright.
            margin: about the leg, in diameters of a tube.
        """
        width = 0.35 * self.diameter / self._spacing
        smooth = gaussian_filter(image, width)
        # What the smoothing takes away is noise but for a few edges; this much of it is left.
        taken = np.abs(image - smooth)
        noise = 1.4826 * float(np.median(taken)) / (2 * np.pi**0.5 * width)
        bright = smooth > max(4 * noise, least_share * float(smooth.max()))
        edge = int(self.diameter / self._spacing) + 1
        wide = _opened(np.pad(bright, edge), 0.9 * self.diameter / self._spacing)
        # A leg is convex, but for a dark bone at its surface.
        whole = _convex_hull(wide)
        return _dilated(whole, margin * self.diameter / self._spacing)[edge:-edge, edge:-edge]

    def _distance_to(self, place: tuple[int, int]) -> NDArray[np.float64]:
        rows, columns = (np.arange(size) for size in self._on_disc.shape)
        return np.asarray(np.hypot((rows[:, None] - place[0]) * self.pixel[0], (columns - place[1]) * self.pixel[1]))


def _convex_hull(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels within the convex hull of a mask."""
    pixels = np.argwhere(mask)
    if len(pixels) == 0 or min(np.ptp(pixels, axis=0)) == 0:
        return mask
    rows, columns = (np.arange(size) for size in mask.shape)
    within = np.ones(mask.shape, bool)
    for down, across, offset in ConvexHull(pixels).equations:  # outward normals
        within &= (down * rows + offset)[:, None] + across * columns <= 1e-9
    return within


def _opened(mask: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    """What of a mask with a margin holds discs of a radius in pixels."""
    return _dilated(distance_transform_edt(mask) > radius, radius)


def _dilated(mask: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    """All pixels within a radius of a mask."""
    return np.asarray(distance_transform_edt(~mask) <= radius) if mask.any() else mask


def _correlations(image: NDArray[np.float64], shapes: NDArray[np.float64]) -> NDArray[np.float64]:
    """How the image around every place projects on shapes, wherever they lie within it.

    Args:
        image: (rows, columns).
        shapes: (shapes, height, width).

    Returns:
        (shapes, rows - height + 1, columns - width + 1).
    """
    spectrum = np.fft.rfft2(image) * np.fft.rfft2(shapes, s=image.shape).conj()
    rows, columns = (size - shape + 1 for size, shape in zip(image.shape, shapes.shape[1:], strict=True))
    return np.asarray(np.fft.irfft2(spectrum, s=image.shape)[:, :rows, :columns])
