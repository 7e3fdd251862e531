"""Tables 2, 4 and 5 of the paper, computed from the long table of measures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nadenoise_core import paper
from nadenoise_core.statistics import (
    BlandAltman,
    Comparison,
    Correlation,
    Spread,
    Tested,
    bland_altman,
    compare_methods,
    pearson,
    shapiro_wilk,
    significance_marks,
)
from nadenoise_core.study.measures import ALL_METHODS, FITS, METHODS, REFERENCE_FIT, Measures

QUALITIES = {"snr": "estimated SNR", "sharpness": "edge sharpness"}
REGIONS = ("muscle", "skin")
SIGNS = {"reference": "*", "NUFFT": "#", "CS": "+"}
"""The paper's marks of what a method differs from."""
_LEAST = 3
"""Volunteers that statistics need."""


@dataclass(frozen=True)
class QualityRow:
    """Table 2 at one number of averages, for one measure.

    Attributes:
        spreads: by method, the reference among them.
        comparison: of the four methods; None for too few volunteers.
        normality: Shapiro-Wilk tests, by method.
        marks: by method, what it differs from significantly: * reference, # NUFFT, + CS (as the paper marks them).
        published: by method; empty where the paper has none.
    """

    measure: str
    averages: int
    spreads: dict[str, Spread]
    comparison: Comparison | None
    normality: dict[str, Tested]
    marks: dict[str, str]
    published: dict[str, paper.Published]


@dataclass(frozen=True)
class AgreementRow:
    """A row of Table 4 or 5; agreement and correlation are None for too few volunteers.

    Means over pixels are compared with those of the reference image; fits with the fit of all averages.
    """

    region: str
    method: str
    averages: int
    spread: Spread
    agreement: BlandAltman | None
    correlation: Correlation | None
    normality: Tested | None
    published: paper.PublishedAgreement | None


@dataclass(frozen=True)
class ErrorRow:
    """A row of Table 6: what a method reads less the true concentration of the tissue, of virtual volunteers.

    Attributes:
        errors: by method, mean and standard deviation over the volunteers, mmol/L.
    """

    region: str
    averages: int
    errors: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Tables:
    """All that is computed from the measures.

    Attributes:
        volunteers: their names.
        reference_averages: of the references.
        reference: by measure.
        noiseless: the reference without noise, by measure, of virtual volunteers; else empty.
        truth: what is true of virtual volunteers, by measure; else empty.
        accuracy: reference against truth, by region, of virtual volunteers.
        quality: Table 2.
        agreement: Tables 4 and 5.
        errors: Table 6; empty where nothing is known to be true.
        fits: ways in which regions were fitted.
    """

    volunteers: tuple[str, ...]
    reference_averages: tuple[int, ...]
    reference: dict[str, Spread]
    noiseless: dict[str, Spread]
    truth: dict[str, Spread]
    accuracy: dict[str, BlandAltman]
    quality: tuple[QualityRow, ...]
    agreement: tuple[AgreementRow, ...]
    errors: tuple[ErrorRow, ...]
    fits: tuple[str, ...]

    def find(self, region: str, method: str, averages: int) -> AgreementRow | None:
        """A row of Table 4 or 5."""
        wanted = (region, method, averages)
        return next((row for row in self.agreement if (row.region, row.method, row.averages) == wanted), None)


def compute_tables(measures: Measures) -> Tables:
    """The tables of a study; volunteers for whom a value is missing are left out of the test that needs it."""
    measured = (*QUALITIES, *(f"atsc_{region}" for region in REGIONS))
    truths = {
        name: measures.values(name, "truth") for name in ("atsc_muscle", "atsc_skin", "muscle_share", "skin_share")
    }
    noiseless = {name: measures.values(name, "noiseless") for name in measured}
    accuracy = {}
    for region in REGIONS:
        reference, truth = _complete(measures.values(f"atsc_{region}", "reference"), truths[f"atsc_{region}"])
        if len(reference) >= _LEAST:
            accuracy[region] = bland_altman(reference, truth)
    return Tables(
        volunteers=tuple(measures.volunteers),
        reference_averages=tuple(measures.reference_averages()),
        reference={name: Spread.of(measures.values(name, "reference")) for name in measured},
        noiseless={name: Spread.of(values) for name, values in noiseless.items() if np.isfinite(values).any()},
        truth={name: Spread.of(values) for name, values in truths.items() if np.isfinite(values).any()},
        accuracy=accuracy,
        quality=tuple(_quality(measures, name, count) for name in QUALITIES for count in measures.averages),
        agreement=tuple(
            _agreement(measures, region, method, count)
            for region in REGIONS
            for count in measures.averages
            for method in (*METHODS, *measures.fits)
        ),
        errors=tuple(_errors(measures)),
        fits=measures.fits,
    )


def _errors(measures: Measures) -> Iterator[ErrorRow]:
    for region in REGIONS:
        truth = measures.values(f"tissue_{region}", "truth")
        if np.isfinite(truth).sum() < _LEAST:
            continue
        for averages in (None, *measures.averages):
            named = (*METHODS, *measures.fits) if averages else ("reference", REFERENCE_FIT)
            found: dict[str, tuple[float, float]] = {}
            for method in named:
                values, true = _complete(measures.values(f"atsc_{region}", method, averages), truth)
                if len(values) >= _LEAST:
                    found[method] = (float(np.mean(values - true)), float(np.std(values - true, ddof=1)))
            yield ErrorRow(region, averages or max(measures.reference_averages()), found)


def _quality(measures: Measures, measure: str, averages: int) -> QualityRow:
    columns = {
        method: measures.values(measure, method, None if method == "reference" else averages) for method in ALL_METHODS
    }
    complete = _complete(*columns.values())
    comparison = compare_methods(ALL_METHODS, np.stack(complete, axis=1)) if len(complete[0]) >= _LEAST else None
    pairs = [(pair.first, pair.second, pair.p) for pair in comparison.pairs] if comparison else []
    published = {"reference": paper.TABLE_2_REFERENCE[measure]}
    published |= {name: paper.TABLE_2[name, averages][measure] for name in METHODS if (name, averages) in paper.TABLE_2}
    return QualityRow(
        measure,
        averages,
        {method: Spread.of(values) for method, values in columns.items()},
        comparison,
        {method: shapiro_wilk(values) for method, values in zip(columns, complete, strict=True)} if comparison else {},
        significance_marks(ALL_METHODS, SIGNS, pairs),
        published,
    )


def _agreement(measures: Measures, region: str, method: str, averages: int) -> AgreementRow:
    values = measures.values(f"atsc_{region}", method, averages)
    of_all = REFERENCE_FIT if method in FITS else "reference"
    own, reference = _complete(values, measures.values(f"atsc_{region}", of_all))
    enough = len(own) >= _LEAST
    return AgreementRow(
        region,
        method,
        averages,
        Spread.of(values),
        bland_altman(own, reference) if enough else None,
        pearson(own, reference) if enough else None,
        shapiro_wilk(own - reference) if enough else None,
        paper.TABLES_4_5.get((region, method, averages)),
    )


def _complete(*columns: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """The columns without the volunteers that miss a value in one of them."""
    known = np.isfinite(np.stack(columns)).all(axis=0)
    return [column[known] for column in columns]
