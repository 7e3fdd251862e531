"""The statistics of the paper's section 2.7, with R's choices; every result says which test ran and why."""

from nadenoise_core.statistics.agreement import BlandAltman, Correlation, Interval, bland_altman, pearson
from nadenoise_core.statistics.one_sample import one_sample_t, paired_t, shapiro_wilk, wilcoxon_signed_rank
from nadenoise_core.statistics.several import (
    ALPHA,
    Comparison,
    Pair,
    bonferroni,
    compare_methods,
    compare_ranks,
    conover,
    friedman,
    pairwise,
)
from nadenoise_core.statistics.tested import Tested

__all__ = [
    "ALPHA",
    "BlandAltman",
    "Comparison",
    "Correlation",
    "Interval",
    "Pair",
    "Tested",
    "bland_altman",
    "bonferroni",
    "compare_methods",
    "compare_ranks",
    "conover",
    "friedman",
    "one_sample_t",
    "paired_t",
    "pairwise",
    "pearson",
    "shapiro_wilk",
    "wilcoxon_signed_rank",
]
