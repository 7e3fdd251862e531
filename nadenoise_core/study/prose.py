"""What the report says in sentences: who was measured, how, and what limits the numbers."""

from __future__ import annotations

import re

import numpy as np

from nadenoise_core import paper
from nadenoise_core.quantify.readings import QUANTILE
from nadenoise_core.study.config import StudyConfig, VirtualSubjects
from nadenoise_core.study.measures import FIT, FIT_KNOWN_SLOPE
from nadenoise_core.study.merge import StudyRun
from nadenoise_core.study.tables import AgreementRow, Tables

_MEASURES = (
    "Measures: estimated SNR is the mean magnitude in muscle over the standard deviation in background. Edge sharpness "
    "is the steepest fall of the aTSC map across the border of the strongest tube: the gradient between pixels, the "
    "mean over all directions. aTSC is the mean of the map in a region; signal was calibrated linearly by the tubes of "
    "the same image."
)
_STATISTICS = (
    "Statistics (section 2.7, R's choices): Shapiro-Wilk; Friedman, then if p < 0.05 pairwise Wilcoxon signed-rank "
    "tests (exact below 50 pairs without ties and zeros, else normal approximation with continuity correction) with "
    "Bonferroni's correction; 95 % intervals of medians between order statistics; Bland-Altman with limits of "
    "agreement bias ± 1.96 SD and confidence intervals (Bland and Altman 1999); one-sample t-test of the bias; "
    "Pearson's correlation with Fisher's interval."
)

_SHORT = 10
"""Averages of the scan that the headline is of: 40 seconds."""
_PAPERS = 30
"""Averages of the paper's two-minute scan."""

_PUT_IN = {
    "muscle": "muscle {} mmol/L",
    "skin": "skin {} mmol/L",
    "skin_thickness": "thickness of the skin {} mm",
    "noise": "noise of one average {} mmol/L",
    "tube_tilt": "tilt of the tubes {} degrees",
    "off_resonance": "amplitude of the field map {} Hz",
}


def subjects_line(run: StudyRun) -> str:
    """The first line of the report: whether the subjects are virtual."""
    count = len(run.measures.volunteers)
    if run.virtual == 0:
        return f"None of the {count} subjects is virtual, as far as their raw files and the configuration tell."
    who = f"These {count} subjects are virtual" if run.virtual == count else f"{run.virtual} of {count} are virtual"
    return (
        f"{who}: scans simulated of computed calves, not of people. The numbers show what the methods do where "
        "the truth is known; they are no evidence about patients."
    )


def headline(tables: Tables, run: StudyRun) -> str:
    """The study in a sentence: muscle by the fit, beside the paper's network; empty where nothing was fitted."""
    count = min((row.averages for row in tables.agreement if row.averages >= _SHORT), default=0)
    own, known = (tables.find("muscle", method, count) for method in (FIT, FIT_KNOWN_SLOPE))
    if own is None or own.agreement is None:
        return ""
    seconds = run.records[0]["seconds_per_average"]
    time = f" ({count * seconds:.0f} s)" if seconds else ""
    told = f"Muscle, fitted to {count} averages{time}: {_agreement(own, run)} against the fit of all averages"
    if known is not None and known.agreement is not None:
        told += f"; with the slope of the scanner known, {_agreement(known, run)}"
    published = paper.TABLES_4_5["muscle", "CNN", _PAPERS]
    return (
        f"{told}. The paper's network at {_PAPERS} averages: bias {published.bias:.2f}, limits of agreement "
        f"{2 * published.half_width:.2f} wide."
    )


def _agreement(row: AgreementRow, run: StudyRun) -> str:
    """Bias and width of the limits of agreement, and the width that the standard errors of the fits foretell."""
    assert row.agreement is not None
    errors = run.measures.values(f"error_{row.region}", row.method, row.averages)
    # The reference holds the same averages: their share of its noise is no difference.
    apart = 1 - row.averages / min(run.measures.reference_averages())
    foretold = 2 * QUANTILE * float(np.sqrt(np.nanmean(errors**2) * apart))
    width = row.agreement.upper - row.agreement.lower
    return (
        f"bias {row.agreement.bias:.2f}, limits of agreement {width:.2f} mmol/L wide ({foretold:.2f} by the standard "
        "errors of the fits)"
    )


def methods_text(config: StudyConfig, run: StudyRun, tables: Tables) -> list[str]:
    """How it was done, with versions and seeds; a paragraph each."""
    methods, first = config.methods, run.records[0]
    used = {bundle["sha256"]: bundle for record in run.records for bundle in record["bundles"]}
    networks = ", ".join(f"{b['name']} {b['version']} (sha256 {b['sha256'][:12]})" for b in used.values())
    versions = ", ".join(f"{name} {number}" for name, number in first["versions"].items())
    place = "where the reference shows them" if methods.tubes == "reference" else "found anew in every image"
    return [
        f"Subjects: {_who(config, run, tables)} Regions: {_regions(run)}.",
        f"Images: each scan was read once and averaged at {', '.join(map(str, methods.averages))} averages and at all. "
        f"NUFFT and network by the chain {methods.chain}, compressed sensing (total variation) by {methods.cs_chain}; "
        f"network: {networks or 'none'}. The reference is the NUFFT image of all averages. Tubes are {place}.",
        *([_fitted(config)] if tables.fits else []),
        _MEASURES,
        _STATISTICS,
        f"Software: {versions}.",
    ]


def _fitted(config: StudyConfig) -> str:
    given = ", ".join(f"{name} = {value}" for name, value in config.methods.fit.items())
    return (
        "Fit: amplitudes of all tissues of a label map of the leg, and of the tubes, by least squares on the averaged "
        f"k-space, free of partial volume{f' ({given})' if given else ''}; compared with the same fit of all averages. "
        "'Slope known' takes the slope of the calibration line from all averages of the scan, as one that is measured "
        "once with a coil; without it, the tubes of the same few averages tell it."
    )


def warnings_of(run: StudyRun, tables: Tables) -> list[str]:
    """What gadgets warned of, who could not be evaluated, and what else limits the numbers."""
    found: dict[str, tuple[str, list[str]]] = {}
    for record in run.records:
        for warning in record["warnings"]:
            # Warnings that differ in their numbers alone are told once.
            first, names = found.setdefault(re.sub(r"-?\d+(\.\d+)?", "#", warning), (warning, []))
            names.append(record["volunteer"])
    told = [f"{name} was left out: {reason}" for name, reason in run.failures.items()]
    told += [f"{warning} ({', '.join(dict.fromkeys(names))})" for warning, names in found.values()]
    if len(tables.reference_averages) > 1:
        counts = ", ".join(map(str, tables.reference_averages))
        told.append(f"the references have different numbers of averages: {counts}")
    every = len(tables.volunteers)
    if every < 3:
        told.append(f"there are {every} volunteers; statistics need three")
    told += [
        f"{row.region} aTSC, {row.method} at {row.averages} averages: {row.spread.n} of {every} volunteers measured"
        for row in tables.agreement
        if row.spread.n < every
    ]
    return told


def _who(config: StudyConfig, run: StudyRun, tables: Tables) -> str:
    subjects = config.subjects
    if not isinstance(subjects, VirtualSubjects):
        return f"{len(run.measures.volunteers)} raw files (checksums in report.json)."
    last, made = subjects.seed + subjects.count - 1, subjects.cohort()
    pairs = {name: f"{getattr(made, name)[0]:g} ({getattr(made, name)[1]:g})" for name in _PUT_IN}
    put_in = "; ".join(text.format(pairs[name]) for name, text in _PUT_IN.items())
    decay = "Tissues and the gel in the tubes are saturated and decay." if made.relaxation else "Nothing decays."
    return (
        f"{subjects.count} virtual calves of seeds {subjects.seed} to {last}, whose k-space is known in closed form, "
        "with reference tubes of 10, 25, 50, 75 and 100 mmol/L. Put in, as median (interquartile range): "
        f"{put_in}. {decay}"
    )


def _regions(run: StudyRun) -> str:
    """How regions were made; of virtual volunteers, how much of them is another tissue."""
    truths = [record["regions"]["truth"] for record in run.records]
    if any(truth is None for truth in truths):
        return str(run.records[0]["regions"]["origin"])
    muscle, skin = ([100 * truth[f"{name}_share"] for truth in truths] for name in ("muscle", "skin"))
    return (
        f"from the truth. Muscle lies one pixel from every edge, {_range(muscle)} % of its area is muscle. Skin is "
        "thinner than a pixel; its region is the pixels whose centres lie in it, of whose area "
        f"{_range(skin)} % is skin (partial volume). Background lies three pixels from leg and tubes"
    )


def _range(values: list[float]) -> str:
    low, high = f"{min(values):.0f}", f"{max(values):.0f}"
    return low if low == high else f"{low} to {high}"
