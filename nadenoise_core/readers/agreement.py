"""How well rankings agree: Kendall's W, weighted kappa, Spearman's correlation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class PairAgreement:
    """Two readings of the same images.

    Attributes:
        images: that both ranked.
        same: share of images with the same rank.
        kappa: Cohen's, with quadratic weights; None where both give one same rank to all.
        spearman: correlation of the ranks; None where a reading is constant.
    """

    images: int
    same: float
    kappa: float | None
    spearman: float | None


def kendall_w(ranks: ArrayLike) -> float | None:
    """Kendall's coefficient of concordance, corrected for ties; 0 is no agreement, 1 is all.

    W = (12 sum R^2 - 3 m^2 n (n + 1)^2) / (m^2 n (n^2 - 1) - m sum(t^3 - t)), with R the sum of the mid-ranks of an
    object and t the length of each tie (Kendall and Gibbons, Rank Correlation Methods, 5th edition, chapter 6).

    Args:
        ranks: (readers, objects), in any ranking of ties.

    Returns:
        W; None where no reader tells any two objects apart.
    """
    from scipy.stats import rankdata

    middle = np.asarray(rankdata(ranks, method="average", axis=1), np.float64)
    readers, objects = middle.shape
    ties = sum(float((counts**3 - counts).sum()) for counts in (np.unique(r, return_counts=True)[1] for r in middle))
    spread = readers**2 * objects * (objects**2 - 1) - readers * ties
    if spread <= 0:
        return None
    sums = middle.sum(axis=0)
    return float((12 * (sums**2).sum() - 3 * readers**2 * objects * (objects + 1) ** 2) / spread)


def weighted_kappa(first: ArrayLike, second: ArrayLike, categories: int) -> float | None:
    """Cohen's kappa with quadratic weights (Cohen 1968): 1 - sum(w o) / sum(w e), w = (i - j)^2.

    Args:
        first, second: ranks, 1 to `categories`, of the same images.
        categories: that there are.

    Returns:
        Kappa; None where both give one same rank throughout, so that chance agrees as well.
    """
    one, other = np.asarray(first, np.int64), np.asarray(second, np.int64)
    observed: NDArray[np.float64] = np.zeros((categories, categories))
    np.add.at(observed, (one - 1, other - 1), 1.0)
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0)) / len(one)
    index = np.arange(categories)
    weights = (index[:, None] - index[None, :]) ** 2
    by_chance = float((weights * expected).sum())
    return None if by_chance == 0 else 1 - float((weights * observed).sum()) / by_chance


def pair_agreement(first: ArrayLike, second: ArrayLike) -> PairAgreement:
    """Agreement of two readings.

    Args:
        first, second: (cases, methods) ranks of the same images.
    """
    from scipy.stats import spearmanr

    one, other = np.asarray(first, np.int64), np.asarray(second, np.int64)
    methods = one.shape[1]
    one, other = one.ravel(), other.ravel()
    correlation = float(spearmanr(one, other).statistic) if np.ptp(one) and np.ptp(other) else None
    return PairAgreement(len(one), float(np.mean(one == other)), weighted_kappa(one, other, methods), correlation)
