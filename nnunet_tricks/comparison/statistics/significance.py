"""Tests of paired differences. They judge the models that were trained: how trainings differ is unknown to them."""

from __future__ import annotations

import numpy as np

from nnunet_tricks.comparison.statistics.bootstrap import Small, blocks
from nnunet_tricks.comparison.statistics.values import Array


def wilcoxon(differences: Array) -> float:
    """Wilcoxon's signed rank test, two-sided; zeros are left out, and 1 if there is nothing else.

    Args:
        differences: Of independent groups, without NaN.
    """
    from scipy import stats

    if not differences.size:
        return float("nan")
    if not differences.any():
        return 1.0
    endless = np.isinf(differences)
    if endless.any():
        # Ranks only ask that it is beyond all others.
        beyond = 2 * np.abs(differences[~endless]).max(initial=1.0)
        differences = np.where(endless, np.sign(differences) * beyond, differences)
    return float(stats.wilcoxon(differences).pvalue)


def permutation(sums: Array, signs: Small, *, exact: bool) -> Array:
    """Permutation test of paired data: the share of sign changes that make a mean at least as large, two-sided.

    Args:
        sums: Differences summed by group, groups x tests; 0 where a group has none.
        signs: Draws x groups.
        exact: Whether ``signs`` are all that there are; else the observed one counts as one more.
    """
    # In single precision, which is fast: what is as large as observed but for rounding counts too.
    largest = np.abs(sums).max(0, initial=0.0)
    scaled = (sums / np.where(largest > 0, largest, 1.0)).astype(np.float32)
    least = np.abs(scaled.sum(0, dtype=np.float64)) - 1e-5 * np.abs(scaled).sum(0)
    extreme = np.zeros(sums.shape[1])
    for block in blocks(*signs.shape):
        extreme += (np.abs(signs[block].astype(np.float32) @ scaled) >= least).sum(0)
    return np.asarray(extreme / len(signs) if exact else (extreme + 1) / (len(signs) + 1), np.float64)


def t_test(differences: Array) -> float:
    """The paired t-test over cases, two-sided, with which the IFE paper sets its stars."""
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
