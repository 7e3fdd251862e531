"""The statistics of section 2.7 against R (golden/statistics.R), and against published numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nadenoise_core.errors import BadInputError
from nadenoise_core.statistics import (
    Spread,
    bland_altman,
    bonferroni,
    compare_methods,
    friedman,
    median_interval,
    one_sample_t,
    paired_t,
    pairwise,
    pearson,
    shapiro_wilk,
    significance_marks,
    wilcoxon_signed_rank,
)

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "golden" / "statistics.json").read_text())
REFERENCE, METHOD, SNR, RANKS = (np.array(GOLDEN["data"][name]) for name in ("reference", "method", "snr", "ranks"))
NAMES = ("reference", "NUFFT", "CS", "CNN")
CLOSE = {"rel": 1e-6, "abs": 1e-12}


@pytest.mark.parametrize("name", [name for name in GOLDEN if name.startswith("wilcoxon")])
def test_wilcoxon_is_that_of_r(name: str) -> None:
    golden = GOLDEN[name]
    change = np.array(golden["data"])
    found = wilcoxon_signed_rank(change, np.zeros(len(change)))
    assert found.statistic == pytest.approx(golden["statistic"], **CLOSE)
    assert found.p == pytest.approx(golden["p"], **CLOSE)
    assert ("exact" in found.test) == ("exact" in golden["method"])
    assert ("continuity correction" in found.test) == ("continuity correction" in golden["method"])


def test_wilcoxon_says_why_it_is_exact_or_not() -> None:
    for name, words in {
        "wilcoxon_exact": "10 pairs, without ties",
        "wilcoxon_ties": "of the same size",
        "wilcoxon_zeros": "2 of 9 differences are 0",
        "wilcoxon_50": "50 pairs, not fewer than 50",
    }.items():
        change = np.array(GOLDEN[name]["data"])
        assert words in wilcoxon_signed_rank(change, np.zeros(len(change))).reason
    nothing = wilcoxon_signed_rank([1, 2, 3], [1, 2, 3])
    assert nothing.p == 1 and "nothing to test" in nothing.reason


def test_p_values_of_the_paper_are_exact_wilcoxon_times_six_pairs() -> None:
    """Of ten volunteers all change alike, all but the least, all but the second least: 0.012, 0.023, 0.035."""
    for turned, published in (((), 0.012), ((0,), 0.023), ((1,), 0.035)):
        change = np.arange(1.0, 11)
        change[list(turned)] *= -1
        p = bonferroni(wilcoxon_signed_rank(change, np.zeros(10)).p, 6)
        assert round(p, 3) == published
        assert p == pytest.approx(6 * 2 * {0.012: 1, 0.023: 2, 0.035: 3}[published] / 1024, rel=1e-12)


@pytest.mark.parametrize(
    ("bias", "lower", "upper", "published"),
    [
        (0.47, -0.34, 1.28, 0.006),  # muscle, CNN 30
        (0.15, -0.37, 0.67, 0.115),  # muscle, NUFFT 50
        (0.69, -0.45, 1.83, 0.005),  # muscle, CS 30
        (-0.84, -2.70, 1.02, 0.021),  # skin, CNN 30
        (-0.98, -4.96, 2.99, 0.159),  # skin, CNN 10
        (-0.78, -2.28, 0.72, 0.011),  # skin, CS 40
    ],
)
def test_p_of_a_bias_follows_from_the_papers_limits(bias: float, lower: float, upper: float, published: float) -> None:
    """Tables 4 and 5 give p beside bias and limits, which fix t for ten volunteers."""
    rng = np.random.default_rng(0)
    shape = rng.standard_normal(10)
    shape = (shape - shape.mean()) / shape.std(ddof=1)
    found = bland_altman(20 + bias + (upper - lower) / 2 / 1.96 * shape, np.full(10, 20.0))
    assert found.bias == pytest.approx(bias) and found.lower == pytest.approx(lower, abs=0.01)
    assert found.upper == pytest.approx(upper, abs=0.01)
    # The published numbers are rounded to 0.01 mmol/L.
    assert found.tested.p == pytest.approx(published, abs=0.0005 + 0.08 * published)


def test_limits_of_agreement_of_the_published_example() -> None:
    """Blood pressure by observer and by machine, Bland and Altman 1999: 85 subjects, mean -16.29, SD 19.61 mmHg."""
    shape = np.random.default_rng(1).standard_normal(85)
    shape = (shape - shape.mean()) / shape.std(ddof=1)
    found = bland_altman(100 - 16.29 + 19.61 * shape, np.full(85, 100.0))
    assert (found.lower, found.upper) == pytest.approx((-54.7, 22.1), abs=0.06)
    assert (found.lower_interval.low, found.lower_interval.high) == pytest.approx((-61.9, -47.5), abs=0.15)
    assert (found.upper_interval.low, found.upper_interval.high) == pytest.approx((14.9, 29.3), abs=0.15)


def test_bland_altman_is_that_of_r() -> None:
    found, golden = bland_altman(METHOD, REFERENCE), GOLDEN["bland_altman"]
    assert (found.bias, found.sd) == pytest.approx((golden["bias"], golden["sd"]), **CLOSE)
    assert [found.lower, found.upper] == pytest.approx(golden["limits"], **CLOSE)
    for name in ("bias_interval", "lower_interval", "upper_interval"):
        interval = getattr(found, name)
        assert [interval.low, interval.high] == pytest.approx(golden[name], **CLOSE)
    assert found.tested.p == pytest.approx(GOLDEN["one_sample_t"]["p"], **CLOSE)
    assert found.half_width == pytest.approx((golden["limits"][1] - golden["limits"][0]) / 2)


def test_t_tests_are_those_of_r() -> None:
    for found, name in ((one_sample_t(METHOD - REFERENCE), "one_sample_t"), (paired_t(METHOD, REFERENCE), "paired_t")):
        golden = GOLDEN[name]
        assert (found.statistic, found.p) == pytest.approx((golden["statistic"], golden["p"]), **CLOSE)
        assert found.estimate == pytest.approx(golden["estimate"], **CLOSE)


@pytest.mark.parametrize("name", [name for name in GOLDEN if name.startswith("shapiro")])
def test_shapiro_wilk_is_that_of_r(name: str) -> None:
    golden = GOLDEN[name]
    found = shapiro_wilk(golden["data"])
    assert (found.statistic, found.p) == pytest.approx((golden["statistic"], golden["p"]), **CLOSE)


def test_pearson_is_that_of_r() -> None:
    found, golden = pearson(METHOD, REFERENCE), GOLDEN["pearson"]
    assert (found.r, found.tested.statistic) == pytest.approx((golden["r"], golden["statistic"]), **CLOSE)
    assert found.tested.p == pytest.approx(golden["p"], **CLOSE)
    assert (found.interval.low, found.interval.high) == pytest.approx((golden["low"], golden["high"]), **CLOSE)


@pytest.mark.parametrize("name", ["friedman", "friedman_ties"])
def test_friedman_is_that_of_r(name: str) -> None:
    golden = GOLDEN[name]
    found = friedman(golden["data"])
    assert (found.statistic, found.p) == pytest.approx((golden["statistic"], golden["p"]), **CLOSE)


@pytest.mark.parametrize(
    ("name", "pairs"),
    [
        ("pairwise_wilcoxon", pairwise(NAMES, SNR)),
        ("pairwise_wilcoxon_ties", pairwise(NAMES, RANKS)),
        ("pairwise_t", pairwise(NAMES, RANKS, paired_t)),
    ],
)
def test_pairs_are_those_of_r(name: str, pairs: Any) -> None:
    assert [pair.p for pair in pairs] == pytest.approx(GOLDEN[name]["p"], **CLOSE)
    assert [(pair.first, pair.second) for pair in pairs][:3] == [("reference", other) for other in NAMES[1:]]
    assert all(pair.correction == "Bonferroni, 6 pairs" for pair in pairs)


def test_pairs_are_compared_after_a_significant_friedman_test_only() -> None:
    different = compare_methods(NAMES, SNR)
    assert different.overall.p < 0.05 and len(different.pairs) == 6 and "is below 0.05" in different.reason
    alike = compare_methods(NAMES, np.random.default_rng(3).standard_normal((10, 4)))
    assert alike.overall.p >= 0.05 and alike.pairs == () and "no pairs are compared" in alike.reason


def test_what_does_not_vary_is_said_and_not_nan() -> None:
    same = np.full((6, 4), 2.0)
    assert friedman(same).p == 1 and "nothing to test" in friedman(same).reason
    assert shapiro_wilk(same[:, 0]).p == 1 and one_sample_t(0 * same[:, 0]).p == 1
    assert pearson(same[:, 0], np.arange(6)).tested.p == 1
    assert one_sample_t(same[:, 0]).p == 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: wilcoxon_signed_rank([1, 2], [1]), "2 and 1 values are no pairs"),
        (lambda: bland_altman([1, np.nan, 3], [1, 2, 3]), "1 values are NaN or infinite"),
        (lambda: shapiro_wilk([1, 2]), "at least 3 values"),
        (lambda: one_sample_t([1]), "at least 2 values"),
        (lambda: pearson([1, 2], [1, 2]), "at least 3 values"),
        (lambda: friedman(SNR[:, :2]), "three methods or more, there are 2"),
        (lambda: friedman([1.0, 2.0]), "three methods or more"),
        (lambda: pairwise(NAMES[:3], SNR), "each of 3 methods"),
        (lambda: pairwise(NAMES, np.where(SNR > 20, np.inf, SNR)), "NaN or infinite"),
    ],
)
def test_what_cannot_be_tested_is_told(call: Any, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        call()


@pytest.mark.parametrize(("n", "rank"), [(6, 1), (8, 1), (9, 2), (10, 2), (12, 3), (15, 4), (20, 6), (25, 8)])
def test_the_interval_of_a_median_lies_between_the_published_ranks(n: int, rank: int) -> None:
    """The ranks of the sign test's 95 % table, e.g. Hollander and Wolfe, table A.2."""
    ordered = np.arange(1.0, n + 1)
    assert (median_interval(ordered).low, median_interval(ordered).high) == (rank, n + 1 - rank)


def test_the_interval_of_a_median_holds_it_as_often_as_it_says() -> None:
    """Of an exponential distribution, whose median is ln 2; for ten values the coverage is 1 - 2 * 11 / 1024."""
    samples = np.sort(np.random.default_rng(11).exponential(size=(20000, 10)), axis=1)
    held = np.mean([(found := median_interval(one)).low <= np.log(2) <= found.high for one in samples])
    assert held == pytest.approx(1 - 22 / 1024, abs=4 * (0.0215 * 0.9785 / 20000) ** 0.5)


def test_a_spread_is_of_the_values_that_are_there() -> None:
    spread = Spread.of([1.0, np.nan, 2.0, 3.0, 4.0, np.inf])
    assert (spread.median, spread.iqr, spread.n) == (2.5, 1.5, 4) and np.isnan(spread.interval.low)
    assert Spread.of([]).n == 0 and np.isnan(Spread.of([]).median)


def test_marks_stand_at_the_later_method_whichever_is_first_in_the_pair() -> None:
    signs = {"reference": "*", "NUFFT": "#", "CS": "+"}
    pairs = [("reference", "NUFFT", 0.01), ("CNN", "CS", 0.049), ("NUFFT", "CNN", 0.05), ("CS", "other", 0.001)]
    found = significance_marks(NAMES, signs, [*pairs, ("reference", "CNN", None)])
    assert found == {"reference": "", "NUFFT": "*", "CS": "", "CNN": "+"}
