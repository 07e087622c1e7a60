"""Tests of paired differences. They judge the trained models only and know nothing about how trainings differ."""

from __future__ import annotations

import numpy as np

from nnunet_tricks.comparison.statistics.bootstrap import SmallIntegers, blocks
from nnunet_tricks.comparison.statistics.values import Array


def wilcoxon(differences: Array) -> float:
    """P value of Wilcoxon's signed rank test, two-sided. Zeros are left out; if all are zero, p is 1.

    Args:
        differences: Differences of independent groups, without NaN.
    """
    from scipy import stats

    if not differences.size:
        return float("nan")
    if not differences.any():
        return 1.0
    infinite = np.isinf(differences)
    if infinite.any():
        # For ranks any number beyond all others will do.
        beyond = 2 * np.abs(differences[~infinite]).max(initial=1.0)
        differences = np.where(infinite, np.sign(differences) * beyond, differences)
    return float(stats.wilcoxon(differences).pvalue)


def permutation(sums: Array, signs: SmallIntegers, *, exact: bool) -> Array:
    """P values of permutation tests of paired data, two-sided.

    A p value is the share of sign changes that make the mean at least as large as observed.

    Args:
        sums: Differences summed by group, groups x tests; 0 where a group has none.
        signs: Signs of each draw, draws x groups.
        exact: Whether ``signs`` are all possible ones. If not, the observed signs count as one more draw.
    """
    # Single precision is fast. A mean that is as large as observed except for rounding counts too.
    largest = np.abs(sums).max(0, initial=0.0)
    scaled = (sums / np.where(largest > 0, largest, 1.0)).astype(np.float32)
    least = np.abs(scaled.sum(0, dtype=np.float64)) - 1e-5 * np.abs(scaled).sum(0)
    extreme = np.zeros(sums.shape[1])
    for block in blocks(*signs.shape):
        extreme += (np.abs(signs[block].astype(np.float32) @ scaled) >= least).sum(0)
    return np.asarray(extreme / len(signs) if exact else (extreme + 1) / (len(signs) + 1), np.float64)


def t_test(differences: Array) -> float:
    """P value of the paired t-test over cases, two-sided. The IFE paper sets its stars by it."""
    from scipy.special import stdtr

    count = len(differences)
    if count < 2:
        return float("nan")
    if not np.isfinite(differences).all():
        return float("nan")
    deviation = differences.std(ddof=1)
    if np.ptp(differences) == 0:
        return 1.0 if differences[0] == 0 else 0.0
    return float(2 * stdtr(count - 1, -abs(differences.mean()) * np.sqrt(count) / deviation))
