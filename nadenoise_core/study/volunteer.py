"""One volunteer of a study: images, regions and measures, in a folder that holds all of it or is not there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nadenoise_core import __version__
from nadenoise_core.errors import BadInputError
from nadenoise_core.files import write_whole
from nadenoise_core.log import recorded_warnings
from nadenoise_core.mrd.image import known_facts, pixel_size
from nadenoise_core.mrd.rawfile import named_in_errors
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.quantify.quality import edge_sharpness, estimated_snr
from nadenoise_core.quantify.readings import Tube
from nadenoise_core.replay.provenance import versions
from nadenoise_core.replay.results import folder_in_progress
from nadenoise_core.study.chains import Chains, read_chains
from nadenoise_core.study.config import MethodSettings
from nadenoise_core.study.fits import chains_with_fit, fit_rows, outlines_of
from nadenoise_core.study.measures import Row, write_measures
from nadenoise_core.study.nifti import LABEL_NAMES, export_nifti
from nadenoise_core.study.products import Product, Products, bundles_of, make_products, make_reference
from nadenoise_core.study.regions import Regions, drawn_regions, true_regions
from nadenoise_core.study.subjects import Subject

FORMAT = 3
"""Of a volunteer's folder; another one is made anew."""


_RESULTS = ("record.json", "measures.csv", "nifti")  # what the folder of a volunteer holds


def fingerprint(subject: Subject, methods: MethodSettings) -> str:
    """Checksum of all that decides a volunteer's measures: scan, regions, chains, networks, version.

    Raises:
        NadenoiseError: a file, a chain or a bundle cannot be read.
    """
    said = {
        "format": FORMAT,
        "version": __version__,
        "subject": subject.described(),
        "methods": methods.model_dump(mode="json"),
        "chains": read_chains(methods).described(),
        "bundles": [bundle.sha256 for bundle in bundles_of(methods)],
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def is_done(folder: Path, mark: str) -> bool:
    """Whether a volunteer's folder holds the results of this fingerprint."""
    try:
        record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and record.get("fingerprint") == mark and (folder / "measures.csv").is_file()


@dataclass(frozen=True)
class Volunteer:
    """A volunteer as a job: evaluated, unless that was done before.

    Attributes:
        subject: the volunteer.
        methods: of the study.
        folder: of the volunteer.
    """

    subject: Subject
    methods: MethodSettings
    folder: Path

    def __call__(self) -> bool:
        """Whether there was anything to do; errors as `evaluate`."""
        mark = fingerprint(self.subject, self.methods)
        if is_done(self.folder, mark):
            return False
        evaluate(self.subject, self.methods, self.folder, mark)
        return True


def evaluate(subject: Subject, methods: MethodSettings, folder: Path, mark: str) -> None:
    """Make the images of a volunteer, measure them, and write the folder.

    It holds `measures.csv` (long table), `nifti/` (magnitudes and aTSC maps of all methods, and the label maps) and
    `record.json` (what was run on what).

    Args:
        subject: the volunteer.
        methods: of the study.
        folder: of the volunteer; replaced.
        mark: the fingerprint.

    Raises:
        NadenoiseError: the scan, its label map or a chain cannot be used, or the folder not be written.
    """
    with folder_in_progress(folder, _RESULTS) as unfinished:
        _fill(subject, methods, unfinished, mark)


def _fill(subject: Subject, methods: MethodSettings, folder: Path, mark: str) -> None:
    """What `evaluate` says, into a folder that is there."""
    chains = read_chains(methods)
    outlines = outlines_of(subject, folder / "nifti")
    fitting = chains_with_fit(chains, outlines, methods)
    named = named_in_errors(subject.raw or Path(subject.name))
    with named, subject.open(chains.average_counter) as source, recorded_warnings() as warnings:
        products = make_products(source, methods, fitting)
        regions = _regions(subject, products)
        rows = list(measure_all(subject.name, products, regions, _noiseless(subject, chains)))
        if outlines is not None:
            rows += fit_rows(subject.name, products, fitting.plain, read_scan(source.header_xml), methods)
    record = {
        "fingerprint": mark,
        "volunteer": subject.name,
        "subject": subject.described(),
        "virtual": products.virtual,
        "averages": products.averages,
        "regions": _said_of(regions),
        "chains": chains.described(),
        "bundles": list(products.bundles),
        "versions": versions(),
        "seconds": dict(products.seconds),
        "seconds_per_average": products.seconds_per_average,
        "pixel": list(pixel_size(products.reference.image)),
        "comments": {f"{method} {averages}": image.comments for (method, averages), image in products.images.items()},
        "warnings": warnings,
    }
    export_nifti(folder / "nifti", products, regions)
    write_measures(folder / "measures.csv", rows)
    write_whole(folder / "record.json", (json.dumps(record, indent=2) + "\n").encode())


def measure_all(
    volunteer: str, products: Products, regions: Regions, noiseless: Product | None = None
) -> Iterator[Row]:
    """The rows of a volunteer's table (sections 2.5 and 2.6).

    The tube of the largest concentration is where the reference shows it. Estimated SNR is of magnitudes; sharpness
    and aTSC are of the maps.

    Args:
        volunteer: its name.
        products: its images.
        regions: that it is measured in.
        noiseless: the reference without noise, of a virtual volunteer.
    """
    assert products.reference.tubes  # make_products refuses a scan without
    strongest = max(products.reference.tubes, key=lambda tube: tube.concentration)
    for (method, averages), product in products.images.items():
        values = _of_image(product, regions, strongest)
        yield from (Row(volunteer, method, averages, measure, float(value)) for measure, value in values.items())
    if noiseless is not None:
        values = _of_image(noiseless, regions, strongest)
        yield from (Row(volunteer, "noiseless", 0, measure, float(value)) for measure, value in values.items())
    if regions.truth is not None:
        for measure, value in regions.truth.numbers().items():
            yield Row(volunteer, "truth", 0, measure if "_" in measure else f"atsc_{measure}", value)


def _of_image(product: Product, regions: Regions, strongest: Tube) -> dict[str, float]:
    """What an image and its aTSC map say."""
    snr = estimated_snr(product.magnitude, regions.muscle, regions.background)
    return {"snr": snr, "noise_std": known_facts(product.image).noise_std, **_of_map(product, regions, strongest)}


def _of_map(product: Product, regions: Regions, strongest: Tube) -> dict[str, float]:
    """What the aTSC map says; NaN where there is none."""
    values, atsc = product.concentration, None if product.atsc is None else known_facts(product.atsc).atsc
    if values is None or atsc is None:
        return dict.fromkeys(("sharpness", "atsc_muscle", "atsc_skin", "slope", "intercept", "r2"), float("nan"))
    said = {
        "sharpness": edge_sharpness(values, strongest.centre, strongest.diameter / 2, pixel_size(product.image)),
        "atsc_muscle": float(values[regions.muscle].mean()),
        "atsc_skin": float(values[regions.skin].mean()),
    }
    said |= {"slope": atsc.line.slope, "intercept": atsc.line.intercept, "r2": atsc.line.r2}
    return said | {f"tube_{tube.concentration:g}": tube.signal for tube in atsc.tubes}


def _noiseless(subject: Subject, chains: Chains) -> Product | None:
    """The reference without noise, of a virtual volunteer."""
    clean = subject.without_noise()
    if clean is None:
        return None
    with clean.open(chains.average_counter) as source:
        return make_reference(source, chains).reference


def _regions(subject: Subject, products: Products) -> Regions:
    rows, columns = products.reference.magnitude.shape
    if subject.measurement is not None:
        if rows != columns:
            raise BadInputError(f"virtual calves need a square matrix, the chain gives {columns}x{rows}")
        return true_regions(subject.measurement.calf(), rows)
    assert subject.regions is not None
    return drawn_regions(subject.regions, subject.labels, (rows, columns), products.affine)


def _said_of(regions: Regions) -> dict[str, Any]:
    return {
        "origin": regions.origin,
        "pixels": {name: int(np.count_nonzero(getattr(regions, name))) for name in LABEL_NAMES.values()},
        "truth": None if regions.truth is None else regions.truth.numbers(),
    }
