"""Ours against the paper: where ours is worse, why, and which of the aims are reached."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scipy import stats

from nadenoise_core.statistics import ALPHA, BlandAltman
from nadenoise_core.study import paper
from nadenoise_core.study.tables import QUALITIES, AgreementRow, QualityRow, Tables

_ROUNDING = 0.005  # the paper's numbers have two digits behind the point


@dataclass(frozen=True)
class Worse:
    """A number of ours that is worse than the paper's of the same method and averages.

    Attributes:
        why: the reason, in the same words wherever it is the same.
        detail: the number that the reason rests on, if any.
    """

    table: int
    averages: int
    method: str
    what: str
    ours: float
    papers: float
    why: str
    detail: str = ""


@dataclass(frozen=True)
class Aim:
    """Something the study is to reach; `reached` is None where it could not be judged."""

    what: str
    found: str
    reached: bool | None


def worse_than_paper(tables: Tables, virtual: bool) -> tuple[Worse, ...]:
    """Numbers of Tables 2, 4 and 5 that are worse than the paper's, with an explanation each.

    Worse is a lower SNR or sharpness, a larger bias, or wider limits of agreement.
    """
    found: list[Worse] = []
    for quality in tables.quality:
        found += _worse_quality(quality, tables)
    for row in tables.agreement:
        found += _worse_agreement(row, tables, virtual)
    return tuple(found)


def aims(tables: Tables) -> tuple[Aim, ...]:
    """The aims: agreement at 30 averages as the paper's or better, and at 10 averages within its limits at 30."""
    return tuple(_aims(tables))


def _aims(tables: Tables) -> Iterator[Aim]:
    for region, number in (("muscle", 4), ("skin", 5)):
        published = paper.TABLES_4_5[region, "CNN", 30]
        at_30, at_10 = (_found(tables, region, "CNN", averages) for averages in (30, 10))
        nufft = _found(tables, region, "NUFFT", 10)
        limit = abs(published.bias)
        yield Aim(
            f"{region}, CNN at 30 averages: bias within {limit:.2f} mmol/L (Table {number})",
            "not measured" if at_30 is None else f"{at_30.bias:+.2f} mmol/L",
            None if at_30 is None else abs(at_30.bias) <= limit + _ROUNDING,
        )
        yield Aim(
            f"{region}, CNN at 30 averages: limits of agreement narrower than {2 * published.half_width:.2f} mmol/L",
            "not measured" if at_30 is None else f"{2 * at_30.half_width:.2f} mmol/L wide",
            None if at_30 is None else at_30.half_width < published.half_width,
        )
        yield Aim(
            f"{region}, CNN at 10 averages: limits of agreement within the paper's at 30 averages, "
            f"{published.lower:.2f} to {published.upper:.2f} mmol/L",
            "not measured" if at_10 is None else f"{at_10.lower:.2f} to {at_10.upper:.2f} mmol/L{_beside(nufft)}",
            None if at_10 is None else at_10.lower >= published.lower and at_10.upper <= published.upper,
        )
        rows = [row for row in tables.agreement if (row.region, row.method) == (region, "CS") and row.published]
        known = [row for row in rows if row.agreement is not None and row.published is not None]
        better = [row for row in known if not list(_worse_agreement(row, tables, False))]
        yield Aim(
            f"{region}, CS: bias and limits of agreement at least as good as the paper's",
            f"at {len(better)} of {len(known)} numbers of averages" if known else "not measured",
            len(better) == len(known) if known else None,
        )


def _found(tables: Tables, region: str, method: str, averages: int) -> BlandAltman | None:
    row = tables.find(region, method, averages)
    return None if row is None else row.agreement


def _beside(nufft: BlandAltman | None) -> str:
    """What the averages alone allow for, without a network."""
    return "" if nufft is None else f" (NUFFT of the same data: {nufft.lower:.2f} to {nufft.upper:.2f})"


def _worse_quality(row: QualityRow, tables: Tables) -> Iterator[Worse]:
    for method, published in row.published.items():
        if method == "reference":
            continue
        ours = row.spreads[method].median
        if ours < published.middle - 10 * _ROUNDING:
            within = abs(ours - published.middle) <= published.spread
            detail = "within the paper's range" if within else ""
            if row.measure == "snr" and method == "NUFFT":
                why = "that of the scan: noise and muscle of these volunteers set it, not the software"
            elif row.measure == "snr":
                why = "the network leaves more of the noise in the background" + _noiseless(tables)
            else:
                why = "tubes are softer than in the reference: fewer averages make the method smooth more"
            yield Worse(2, row.averages, method, QUALITIES[row.measure], ours, published.middle, why, detail)


def _noiseless(tables: Tables) -> str:
    """What estimated SNR would be without any noise, where that is known."""
    if "snr" not in tables.truth:
        return ""
    return f"; a noiseless image of these volunteers reads {tables.truth['snr'].median:.0f}"


def _worse_agreement(row: AgreementRow, tables: Tables, virtual: bool) -> Iterator[Worse]:
    published, ours = row.published, row.agreement
    if published is None or ours is None:
        return
    table = 4 if row.region == "muscle" else 5
    if abs(ours.bias) > abs(published.bias) + _ROUNDING:
        within = ours.bias_interval.low <= abs(published.bias) and -abs(published.bias) <= ours.bias_interval.high
        why = "within chance: the confidence interval of our bias meets the paper's bias"
        interval = f"CI {ours.bias_interval.low:.2f} to {ours.bias_interval.high:.2f}"
        why, detail = (why, interval) if within else (_why_biased(row, tables, virtual), "")
        yield Worse(table, row.averages, row.method, "bias", ours.bias, published.bias, why, detail)
    if ours.half_width > published.half_width + _ROUNDING:
        p = _variance_p(ours, published.half_width)
        why = (
            f"within chance: an F-test does not tell the variances apart, ours of {ours.n} volunteers and the "
            f"paper's of {paper.VOLUNTEERS}"
            if p >= ALPHA
            else _why_wide(row)
        )
        half_widths = ours.half_width, published.half_width
        detail = f"p {p:.2f}" if p >= ALPHA else _nufft_beside(row, tables)
        yield Worse(table, row.averages, row.method, "half width of the limits", *half_widths, why, detail)


def _variance_p(ours: BlandAltman, half_width: float) -> float:
    """Two-sided p of the F-test that differences scatter alike here and in the paper."""
    ratio = (ours.half_width / half_width) ** 2
    tail = float(stats.f.sf(ratio, ours.n - 1, paper.VOLUNTEERS - 1))
    return min(1.0, 2 * min(tail, 1 - tail))


def _why_biased(row: AgreementRow, tables: Tables, virtual: bool) -> str:
    if row.region == "skin" and virtual and row.method != "NUFFT":
        share = tables.truth["skin_share"].median if "skin_share" in tables.truth else float("nan")
        return (
            "the skin of virtual volunteers is 1.5 to 2.5 mm thin, less than a pixel, and its region, the pixels whose "
            f"centres lie in it, is {100 * share:.0f} % skin; at this noise the method takes part of so thin a line "
            "for noise. The paper's regions were drawn by hand on real skin, of which less may be lost"
        )
    if row.region == "skin" and row.method != "NUFFT":
        return "skin is thinner than a pixel: at this noise the method takes part of it for noise"
    if row.method == "NUFFT":
        return "more than chance, though NUFFT is linear in the averages: look for a drift over the scan"
    return (
        "the method changes contrast between muscle and tubes at this noise; calibration takes out a common part only"
    )


def _why_wide(row: AgreementRow) -> str:
    uneven = "; what is taken from thin skin differs between volunteers" if row.region == "skin" else ""
    return f"noise in the region and in the tubes sets most of it, and a smaller region has more{uneven}"


def _nufft_beside(row: AgreementRow, tables: Tables) -> str:
    nufft = _found(tables, row.region, "NUFFT", row.averages)
    return "" if nufft is None or row.method == "NUFFT" else f"NUFFT of the same data: {nufft.half_width:.2f}"
