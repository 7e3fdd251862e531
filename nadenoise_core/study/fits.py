"""The fit of regions to k-space as a method of a study, beside means over pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from nadenoise_core.chain.chain import Chain, build
from nadenoise_core.chain.runner import run
from nadenoise_core.mrd.facts import AtscFacts
from nadenoise_core.mrd.image import facts_of, known_facts
from nadenoise_core.mrd.scan import Scan
from nadenoise_core.quantify.calibration import Slope
from nadenoise_core.quantify.readings import BY_FIT
from nadenoise_core.simulate.files import write_label_map
from nadenoise_core.study.chains import Chains, with_properties
from nadenoise_core.study.config import MethodSettings
from nadenoise_core.study.measures import FIT, FIT_KNOWN_SLOPE, REFERENCE_FIT, Method, Row
from nadenoise_core.study.products import Products, tube_properties
from nadenoise_core.study.subjects import Subject


@dataclass(frozen=True)
class Outlines:
    """Label map of all tissues of a volunteer, as one draws them on a 1H image.

    Attributes:
        labels: NIfTI or NRRD.
        names: of the labels; None: those of the label map, and MuscleMap's.
    """

    labels: Path
    names: Path | None = None


def outlines_of(subject: Subject, folder: Path) -> Outlines | None:
    """The outlines of a volunteer; those of a virtual one are written into `folder`. None where there are none."""
    if subject.measurement is None:
        return None if subject.outlines is None else Outlines(subject.outlines, subject.outline_names)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "outlines.nii.gz"
    return Outlines(path, write_label_map(subject.measurement, path))


def chains_with_fit(chains: Chains, outlines: Outlines | None, methods: MethodSettings) -> Chains:
    """The chains of a study, with regions fitted in what the plain one makes."""
    if outlines is None:
        return chains
    properties = {"roi_map": str(outlines.labels.resolve()), "regions": "fit", **methods.fit}
    if outlines.names is not None:
        properties["roi_names"] = str(outlines.names.resolve())
    return replace(chains, plain=with_properties(chains.plain, "quantify", **properties))


def fit_rows(volunteer: str, products: Products, chain: Chain, scan: Scan, methods: MethodSettings) -> Iterator[Row]:
    """What the fit reads in a volunteer: with the slope of the same averages, and with that of the whole scan.

    Args:
        volunteer: its name.
        products: its images.
        chain: that they were made by, with outlines.
        scan: that they are of.
        methods: of the study.
    """
    maps = {key: _facts(product.atsc) for key, product in products.images.items() if product.atsc is not None}
    of_all = maps["reference", products.averages]
    yield from _rows(volunteer, REFERENCE_FIT, products.averages, of_all)
    plain = {averages: facts for (method, averages), facts in maps.items() if method == "NUFFT"}
    for averages, facts in plain.items():
        yield from _rows(volunteer, FIT, averages, facts)
    if of_all.fit_slope is not None:
        tubes = tube_properties(products.reference, chain) if methods.tubes == "reference" else {}
        for averages, facts in _again(products, with_properties(chain, "quantify", **tubes), scan, of_all.fit_slope):
            yield from _rows(volunteer, FIT_KNOWN_SLOPE, averages, facts)


def _again(products: Products, chain: Chain, scan: Scan, slope: Slope) -> Iterator[tuple[int, AtscFacts]]:
    """The plain images, quantified with a slope that is known."""
    alone = replace(chain, stages=tuple(stage for stage in chain.stages if stage.name == "quantify"))
    text = f"{slope.value!r}, {slope.standard_error!r}"
    images = [product.image for (method, _), product in products.images.items() if method == "NUFFT"]
    for image in run(build(with_properties(alone, "quantify", maps="all", slope=text), scan), images):
        facts = facts_of(image)
        if facts is not None and facts.atsc is not None:
            yield facts.averages, facts.atsc


def _facts(image: object) -> AtscFacts:
    atsc = known_facts(image).atsc
    assert atsc is not None
    return atsc


def _rows(volunteer: str, method: Method, averages: int, atsc: AtscFacts) -> Iterator[Row]:
    fitted: Mapping[str, tuple[float, float]] = {
        reading.title: (reading.atsc, reading.standard_error) for reading in atsc.regions if reading.method in BY_FIT
    }
    for region in ("muscle", "skin"):
        if region in fitted:
            value, error = fitted[region]
            yield Row(volunteer, method, averages, f"atsc_{region}", value)
            yield Row(volunteer, method, averages, f"error_{region}", error)
