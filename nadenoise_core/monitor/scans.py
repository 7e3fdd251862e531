"""What is known of the scans that run and ran: counts, images, and the estimates so far."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import ismrmrd
import matplotlib.image
import numpy as np
from numpy.typing import NDArray

from nadenoise_core.mrd.acquisitions import is_image_data
from nadenoise_core.mrd.facts import AtscFacts, Kind, known
from nadenoise_core.mrd.image import facts_of, pixel_size, pixels_of
from nadenoise_core.mrd.scan import Scan
from nadenoise_core.quantify.rois import distance_from

KINDS = tuple(kind.value for kind in Kind)

_KEPT = 8  # scans
_POINTS = 1000  # images of a scan in its chart
_WINDOW = 60.0  # mmol/L; skin and muscle, with the brightest tubes in white
_LEAST = 6.0  # mmol/L; what is below is no tissue
_TUBE_MARGIN = 2.0  # of the radius that is measured: tubes are left out of the leg with their blurred edges


@dataclass
class _View:
    """One scan."""

    number: int
    readouts: int  # acquisitions of one average
    announced: int  # averages
    repetition_time: float  # s
    began: float = field(default_factory=time.monotonic)
    came: int = 0
    images: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    slope: float = math.nan
    history: list[dict[str, Any]] = field(default_factory=list)
    ended: float | None = None
    error: str = ""


class Scans:
    """The scans of a server, as those who look on tell of them; safe to be used from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._views: OrderedDict[int, _View] = OrderedDict()

    def watch(self, number: int) -> Watcher:
        """An observer of the scan of a number."""
        return Watcher(self, number)

    def add(self, number: int, view: _View) -> None:
        """A scan begins; the oldest is forgotten."""
        with self._lock:
            self._views[number] = view
            while len(self._views) > _KEPT:
                self._views.popitem(last=False)

    def state(self) -> list[dict[str, Any]]:
        """All scans, the newest first, as plain data for JSON, which knows no NaN."""
        with self._lock:
            views = list(reversed(self._views.values()))
        return [_plain(_described(view)) for view in views]

    def png(self, number: int, kind: str) -> bytes | None:
        """The newest image of a kind of a scan, None if there is none."""
        with self._lock:
            view = self._views.get(number)
            pixels = view.images.get(kind) if view is not None else None
            slope = view.slope if view is not None else math.nan
        if pixels is None:
            return None
        largest = _WINDOW if kind == "atsc" else _WINDOW * slope
        encoded = BytesIO()
        colours = "viridis" if kind == "atsc" else "gray"
        top = largest if math.isfinite(largest) else float(np.nan_to_num(pixels, posinf=0.0).max()) or 1.0
        matplotlib.image.imsave(encoded, pixels, cmap=colours, vmin=0, vmax=top, format="png")
        return encoded.getvalue()


class Watcher:
    """Looks on one scan; an observer of `stream.session`."""

    def __init__(self, scans: Scans, number: int) -> None:
        self._scans = scans
        self._number = number
        self._view: _View | None = None
        self._scan: Scan | None = None

    def begin(self, scan: Scan, header_xml: bytes) -> None:
        self._scan = scan
        self._view = _View(
            number=self._number,
            readouts=(scan.count("kspace_encode_step_1") or 0) * (scan.count("set") or 1),
            announced=scan.count("average") or 0,
            repetition_time=scan.repetition_time or 0.0,
        )
        self._scans.add(self._number, self._view)

    def acquisition(self, acquisition: ismrmrd.Acquisition) -> None:
        if self._view is not None and self._scan is not None and is_image_data(acquisition, self._scan):
            self._view.came += 1

    def image(self, image: ismrmrd.Image) -> None:
        view, facts = self._view, facts_of(image)
        if view is None or facts is None:
            return
        pixels = pixels_of(image)
        view.images[facts.kind.value] = np.asarray(np.abs(pixels) if np.iscomplexobj(pixels) else pixels, np.float32)
        if facts.kind is Kind.PLAIN:
            view.history.append({"averages": facts.averages, "noise": known(facts.noise_std)})
            del view.history[:-_POINTS]
        elif facts.atsc is not None and view.history:
            view.slope = facts.atsc.line.slope
            view.history[-1].update(_estimates(image, facts.atsc, view.history[-1]["noise"]))

    def end(self, error: Exception | None) -> None:
        if self._view is not None:
            self._view.ended = time.monotonic()
            self._view.error = str(error) if error is not None else ""


def _described(view: _View) -> dict[str, Any]:
    averages = view.came // view.readouts if view.readouts else 0
    left = max(view.readouts * view.announced - view.came, 0) * view.repetition_time
    return {
        "number": view.number,
        "acquisitions": view.came,
        "averages": averages,
        "announced": view.announced,
        "seconds_left": left if view.ended is None else 0.0,
        "running": view.ended is None,
        "error": view.error,
        "images": sorted(view.images),
        "history": [dict(point) for point in list(view.history)],  # the scan's thread goes on writing
    }


def _plain(value: Any) -> Any:
    """The same with None for every number that is not finite."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _estimates(image: ismrmrd.Image, atsc: AtscFacts, noise: float | None) -> dict[str, Any]:
    """What an aTSC map says: the leg's median with a pixel's error (1 SD, of the plain image), and the regions."""
    leg = _leg(image, atsc)
    found: dict[str, Any] = {}
    if leg.size:
        found["leg"] = float(np.median(leg))
        if noise:
            found["error"] = noise / atsc.line.slope
            found["snr"] = found["leg"] * atsc.line.slope / noise
    found["regions"] = [
        {"label": region.label, "mean": region.atsc, "error": known(region.standard_error)} for region in atsc.regions
    ]
    return found


def _leg(image: ismrmrd.Image, atsc: AtscFacts) -> NDArray[np.float32]:
    """aTSC in the leg: what is above the least, without the tubes."""
    pixels, size = np.asarray(pixels_of(image), np.float32), pixel_size(image)
    tissue = pixels > _LEAST
    for tube in atsc.tubes:
        radius = _TUBE_MARGIN * math.sqrt(tube.pixels * size[0] * size[1] / math.pi)
        tissue &= distance_from(tube.centre, (pixels.shape[0], pixels.shape[1]), size) > radius
    return np.asarray(pixels[tissue])
