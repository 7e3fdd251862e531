"""The one-page report of a replay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nadenoise_core.mrd.facts import AtscFacts, Kind
from nadenoise_core.quantify.readings import RegionMethod, RegionReading, best_of
from nadenoise_core.replay.html import render
from nadenoise_core.replay.outlines import outline_colours
from nadenoise_core.replay.panels import panels_of
from nadenoise_core.replay.places import Place
from nadenoise_core.replay.schema import Report
from nadenoise_core.replay.svg import CalibrationPlot, Drawing, calibration_plot, drawing
from nadenoise_core.replay.verdicts import Verdict, on_averages, on_network, on_precision, on_region

_MOST_PLACES = 16  # with pictures; a page of more would load slowly
_METHODS = {
    RegionMethod.FIT: "fit to the raw data",
    RegionMethod.GTM: "geometric transfer matrix",
    RegionMethod.MEAN: "mean of pixels, edges blurred",
    RegionMethod.DENOISED_MEAN: "mean of denoised pixels, edges blurred",
}


@dataclass(frozen=True)
class RegionRow:
    """One region in one way, for the template."""

    reading: RegionReading
    method: str
    verdict: Verdict | None
    colour: str


@dataclass(frozen=True)
class PlaceOnPage:
    """One place, for the template.

    Attributes:
        name: as of the place.
        averages: in its images.
        regions: by the best method of each.
        others: the same regions by other methods.
        network: whether the denoised image is to be trusted.
        precision: how near regions are to what is wanted of them.
        drawings: of its panels; none beyond the most that a page shows.
        atsc: of its map; None where there is none.
        plot: of its calibration.
    """

    name: str
    averages: int
    regions: tuple[RegionRow, ...]
    others: tuple[RegionRow, ...]
    network: Verdict
    precision: tuple[Verdict, ...]
    drawings: tuple[Drawing, ...]
    atsc: AtscFacts | None
    plot: CalibrationPlot | None


def replay_page(report: Report, places: Sequence[Place], files: Sequence[str]) -> str:
    """A self-contained HTML page of one replay.

    Args:
        report: what `report.json` holds.
        places: of the scan.
        files: of the folder of results, relative to it, to be linked.
    """
    least = min(places, key=lambda place: place.averages, default=None)
    return render(
        "nadenoise_core.replay",
        "replay.html.j2",
        title=f"23Na MRI: {report['raw']['file']}",
        report=report,
        scan=report["scan"],
        caution=None if least is None else on_averages(least.averages, Kind.DENOISED in least.images),
        places=[_on_page(place, number < _MOST_PLACES) for number, place in enumerate(places)],
        files=files,
    )


def _on_page(place: Place, with_pictures: bool) -> PlaceOnPage:
    readings = [reading for atsc in place.maps for reading in atsc.regions]
    colours = outline_colours(reading.label for reading in readings)
    best = best_of(readings)

    def rows(chosen: Iterable[RegionReading]) -> tuple[RegionRow, ...]:
        return tuple(RegionRow(one, _METHODS[one.method], on_region(one), colours[one.label]) for one in chosen)

    facts = place.facts(Kind.ATSC)
    atsc = None if facts is None else facts.atsc
    return PlaceOnPage(
        name=place.name,
        averages=place.averages,
        regions=rows(best),
        others=rows(reading for reading in readings if reading not in best),
        network=on_network(place.facts(Kind.PLAIN), place.facts(Kind.DENOISED)),
        precision=() if atsc is None else on_precision(atsc.progress),
        drawings=tuple(drawing(panel) for panel in panels_of(place)) if with_pictures else (),
        atsc=atsc,
        plot=None if atsc is None else calibration_plot(atsc),
    )
