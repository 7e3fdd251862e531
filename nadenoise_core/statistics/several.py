"""Comparisons of several methods on the same subjects: Friedman's test, and what follows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from nadenoise_core.errors import BadInputError
from nadenoise_core.statistics.one_sample import wilcoxon_signed_rank
from nadenoise_core.statistics.tested import Tested, table

ALPHA = 0.05
"""What the paper calls significant (section 2.7)."""


@dataclass(frozen=True)
class Pair:
    """Two methods compared.

    Attributes:
        first, second: the methods; differences are first minus second.
        tested: the test of this pair alone.
        p: after the correction for all pairs.
        correction: its name and the number of pairs.
    """

    first: str
    second: str
    tested: Tested
    p: float
    correction: str


@dataclass(frozen=True)
class Comparison:
    """Several methods compared: all at once, then in pairs.

    Attributes:
        overall: Friedman's test.
        pairs: tests of pairs, as the paper does them.
        reason: why there are pairs, or none.
    """

    overall: Tested
    pairs: tuple[Pair, ...]
    reason: str


def bonferroni(p: float, comparisons: int) -> float:
    """A p value multiplied by the number of comparisons, at most 1 (R: `p.adjust(p, "bonferroni")`)."""
    return min(1.0, p * comparisons)


def friedman(values: ArrayLike) -> Tested:
    """Friedman's test, corrected for ties (R: `friedman.test`).

    Args:
        values: (subjects, methods), three methods or more.

    Raises:
        BadInputError: fewer than two subjects or three methods, or values not finite.
    """
    array = np.asarray(values, np.float64)
    methods = array.shape[1] if array.ndim == 2 else 0
    if methods < 3:
        raise BadInputError(f"Friedman's test: needs three methods or more, there are {methods}; compare two in a pair")
    array = table(array, methods, "Friedman's test")
    if np.all(array == array[:, :1]):
        return Tested("Friedman", "all methods are alike in every subject: nothing to test", 0.0, 1.0, len(array))
    found = stats.friedmanchisquare(*array.T)
    reason = f"{methods} methods on the same subjects, whose values need not be normal"
    return Tested("Friedman", reason, float(found.statistic), float(found.pvalue), len(array))


def pairwise(
    names: Sequence[str], values: ArrayLike, test: Callable[[ArrayLike, ArrayLike], Tested] = wilcoxon_signed_rank
) -> tuple[Pair, ...]:
    """A paired test of every two methods, with Bonferroni's correction (R: `pairwise.wilcox.test(paired = TRUE)`).

    Args:
        names: of the methods.
        values: (subjects, methods).
        test: of two paired samples.

    Raises:
        BadInputError: the table does not fit the names, or values not finite.
    """
    array = table(values, len(names), "pairwise tests")
    chosen = list(combinations(range(len(names)), 2))
    correction = f"Bonferroni, {len(chosen)} pairs"
    tests = [test(array[:, first], array[:, second]) for first, second in chosen]
    return tuple(
        Pair(names[first], names[second], tested, bonferroni(tested.p, len(chosen)), correction)
        for (first, second), tested in zip(chosen, tests, strict=True)
    )


def compare_methods(names: Sequence[str], values: ArrayLike) -> Comparison:
    """SNR and sharpness as the paper compares them: Friedman; if significant, Wilcoxon in pairs (section 2.7).

    Args:
        names: of the methods.
        values: (subjects, methods).

    Raises:
        BadInputError: the table does not fit the names, or values not finite.
    """
    overall = friedman(table(values, len(names), "comparison of methods"))
    if overall.p < ALPHA:
        return Comparison(overall, pairwise(names, values), f"Friedman's p {overall.p:.2g} is below {ALPHA}")
    return Comparison(overall, (), f"Friedman's p {overall.p:.2g} is not below {ALPHA}: no pairs are compared")


def significance_marks(
    methods: Sequence[str], signs: Mapping[str, str], pairs: Iterable[tuple[str, str, float | None]]
) -> dict[str, str]:
    """What each method differs from significantly, as tables mark it.

    A pair is marked at the later of its two methods, by the sign of the earlier one.

    Args:
        methods: of the table, in its order.
        signs: of methods that others are told to differ from.
        pairs: (one method, another, p after correction); those of unknown methods or without p are left out.

    Returns:
        By method, signs in the order of the pairs; empty where it differs from none before it.
    """
    place = {method: index for index, method in enumerate(methods)}
    marks = dict.fromkeys(methods, "")
    for one, other, p in pairs:
        if p is None or p >= ALPHA or not {one, other} <= set(place):
            continue
        earlier, later = sorted((one, other), key=place.__getitem__)
        marks[later] += signs.get(earlier, "")
    return marks
