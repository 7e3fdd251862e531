"""What is known of the scans that run and ran: counts, images, and the estimates so far."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import ismrmrd
import numpy as np
from numpy.typing import NDArray

from nadenoise_core.colours import coloured, png
from nadenoise_core.mrd.acquisitions import is_image_data
from nadenoise_core.mrd.facts import AtscFacts, ImageFacts, Kind, known
from nadenoise_core.mrd.image import facts_of, pixel_size, pixels_of
from nadenoise_core.mrd.scan import Scan
from nadenoise_core.quantify.leg import read_leg
from nadenoise_core.quantify.precision import Progress
from nadenoise_core.quantify.readings import RegionReading, best_of
from nadenoise_core.replay.panels import LARGEST_CONCENTRATION
from nadenoise_core.replay.verdicts import Verdict, on_averages, on_network
from nadenoise_core.stream.observers import Notify

KINDS = tuple(kind.value for kind in Kind)

_KEPT = 8  # scans
_POINTS = 1000  # images of a scan in its chart
_OFTEN = 0.5  # s from one look at the acquisitions to the next


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
    facts: dict[Kind, ImageFacts] = field(default_factory=dict)
    slope: float = math.nan
    history: list[dict[str, Any]] = field(default_factory=list)
    ended: float | None = None
    error: str = ""


class Scans:
    """The scans of a server, a watch of `stream.observers`; safe to be used from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._views: OrderedDict[int, _View] = OrderedDict()

    @property
    def observer(self) -> type[Watcher]:
        """Makes the observer of a scan."""
        return Watcher

    def notified(self, number: int, message: _View) -> None:
        """How a scan looks now; of a new one the oldest is forgotten."""
        with self._lock:
            self._views[number] = message
            while len(self._views) > _KEPT:
                self._views.popitem(last=False)

    def over(self, number: int, failure: str) -> None:
        """A scan is over, or has failed."""
        with self._lock:
            view = self._views.get(number)
            if view is not None:
                view.ended, view.error = time.monotonic(), failure

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
        largest = LARGEST_CONCENTRATION if kind == "atsc" else LARGEST_CONCENTRATION * slope
        colours = "viridis" if kind == "atsc" else "gray"
        top = largest if math.isfinite(largest) else float(np.nan_to_num(pixels, posinf=0.0).max()) or 1.0
        return png(coloured(pixels, 0.0, top, colours))


class Watcher:
    """Looks on one scan; an observer of `stream.observers`.

    Args:
        number: of the scan.
        notify: called with how the scan looks.
    """

    def __init__(self, number: int, notify: Notify) -> None:
        self._number = number
        self._notify = notify
        self._notified = 0.0  # when, s
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
        self._show()

    def acquisition(self, acquisition: ismrmrd.Acquisition) -> None:
        if self._view is not None and self._scan is not None and is_image_data(acquisition, self._scan):
            self._view.came += 1
            if time.monotonic() - self._notified > _OFTEN:
                self._show()

    def image(self, image: ismrmrd.Image) -> None:
        view, facts = self._view, facts_of(image)
        if view is None or facts is None:
            return
        pixels = pixels_of(image)
        view.images[facts.kind.value] = np.asarray(np.abs(pixels) if np.iscomplexobj(pixels) else pixels, np.float32)
        if facts.kind is Kind.PLAIN:
            view.facts = {}
            view.history.append({"averages": facts.averages})
            del view.history[:-_POINTS]
        view.facts[facts.kind] = facts
        if facts.atsc is not None and view.history:
            view.slope = facts.atsc.line.slope
            view.history[-1].update(_estimates(image, facts, facts.atsc))
        self._show()

    def end(self, error: Exception | None) -> None:
        self._show()

    def _show(self) -> None:
        self._notified = time.monotonic()
        if self._view is not None:
            self._notify(self._view)


def _described(view: _View) -> dict[str, Any]:
    averages = view.came // view.readouts if view.readouts else 0
    left = max(view.readouts * view.announced - view.came, 0) * view.repetition_time
    facts = dict(view.facts)  # the scan's thread goes on writing
    plain, denoised, atsc = (facts.get(kind) for kind in (Kind.PLAIN, Kind.DENOISED, Kind.ATSC))
    few = None if plain is None else on_averages(plain.averages, denoised is not None)
    return {
        "number": view.number,
        "acquisitions": view.came,
        "averages": averages,
        "announced": view.announced,
        "seconds_left": left if view.ended is None else 0.0,
        "running": view.ended is None,
        "error": view.error,
        "images": sorted(view.images),
        "verdicts": [_worded(verdict) for verdict in (few, plain and on_network(plain, denoised)) if verdict],
        "made_by": "" if plain is None else _made_by(plain, denoised),
        "targets": [] if atsc is None or atsc.atsc is None else [_target(part, view) for part in atsc.atsc.progress],
        "tubes": "" if atsc is None or atsc.atsc is None else _tubes(atsc.atsc),
        "remarks": [] if atsc is None else list(atsc.comments),
        "history": [dict(point) for point in list(view.history)],
    }


def _plain(value: Any) -> Any:
    """The same with None for every number that is not finite."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _worded(verdict: Verdict) -> dict[str, str]:
    return {"level": verdict.level.value, "text": verdict.text}


def _made_by(plain: ImageFacts, denoised: ImageFacts | None) -> str:
    """Method and network."""
    network = denoised.network if denoised is not None else None
    return plain.method.label + (f", network {network.name} {network.version}" if network is not None else "")


def _tubes(atsc: AtscFacts) -> str:
    """The state of the reference tubes."""
    named = ", ".join(f"{tube.concentration:g}" for tube in atsc.tubes)
    return f"{len(atsc.tubes)} tubes ({named} mmol/L), R\u00b2 {atsc.line.r2:.3f}"


def _target(part: Progress, view: _View) -> dict[str, Any]:
    """What is still missing until a region is known as well as wanted."""
    missing = max(part.averages * view.readouts - view.came, 0)
    return {
        "name": part.name,
        "target": part.target,
        "reached": part.reached,
        "averages": part.averages,
        "seconds": 0.0 if part.reached else missing * view.repetition_time,
        "beyond": bool(view.announced) and part.averages > view.announced,
    }


def _estimates(image: ismrmrd.Image, facts: ImageFacts, atsc: AtscFacts) -> dict[str, Any]:
    """What an aTSC map says: its regions, else the leg as a whole."""
    values = np.asarray(pixels_of(image), np.float32)
    leg = read_leg(values, pixel_size(image), atsc.tubes, atsc.line, facts.noise_std, atsc.mean_of)
    found: dict[str, Any] = {"regions": [_region(region) for region in best_of(atsc.regions) or ([leg] if leg else [])]}
    if leg is not None and facts.noise_std > 0:
        found["snr"] = leg.atsc * atsc.line.slope / facts.noise_std
    return found


def _region(region: RegionReading) -> dict[str, Any]:
    """A region, with half of its 95 % interval."""
    return {
        "name": region.title,
        "method": region.method.value,
        "atsc": region.atsc,
        "reach": known(region.interval[1] - region.atsc),
        "explained": region.is_explained,
    }
