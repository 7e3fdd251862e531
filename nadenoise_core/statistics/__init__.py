"""The statistics of the paper's section 2.7, with R's choices; every result says which test ran and why."""

from nadenoise_core.statistics.agreement import BlandAltman, Correlation, bland_altman, pearson
from nadenoise_core.statistics.one_sample import one_sample_t, paired_t, shapiro_wilk, wilcoxon_signed_rank
from nadenoise_core.statistics.several import (
    ALPHA,
    Comparison,
    Pair,
    bonferroni,
    compare_methods,
    friedman,
    pairwise,
    significance_marks,
)
from nadenoise_core.statistics.spread import Spread, median_interval
from nadenoise_core.statistics.tested import Interval, Tested

__all__ = [
    "ALPHA",
    "BlandAltman",
    "Comparison",
    "Correlation",
    "Interval",
    "Pair",
    "Spread",
    "Tested",
    "bland_altman",
    "bonferroni",
    "compare_methods",
    "friedman",
    "median_interval",
    "one_sample_t",
    "paired_t",
    "pairwise",
    "pearson",
    "shapiro_wilk",
    "significance_marks",
    "wilcoxon_signed_rank",
]
