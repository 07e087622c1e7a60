"""Intervals and p values that combine the error from cases with the error from trainings.

With few runs the variance of trainings is hardly known, and a bootstrap of two runs would be far too narrow. So each
part keeps its own Student quantile, which is Cochran's solution of the Behrens-Fisher problem: half the width is
sqrt(t_c^2 V_c + t_b^2 V_b + t_t^2 V_t), for cases and for the trainings of baseline and trick. The part from cases
keeps the asymmetry of the bootstrap and is stretched to Student's width (Hesterberg, "What teachers should know about
the bootstrap", American Statistician 2015). Parts are combined as by Zou and Donner ("Construction of confidence limits
about effect measures", Statistics in Medicine 2008).
``docs/statistics.md`` says how often such intervals cover the truth.
"""

from __future__ import annotations

import numpy as np
from scipy.special import stdtr, stdtrit

from nnunet_tricks.comparison.statistics.components import Contrast
from nnunet_tricks.comparison.statistics.model import LEVEL
from nnunet_tricks.comparison.statistics.values import Array

NORMAL = 1.959963984540054
POWER = 0.8
HALVINGS = 200
LEAST_LOG = 300.0
"""Smallest p value is exp(-300), so that Student's quantile of one degree of freedom can be squared."""


def limits(difference: Contrast, moved: Array) -> tuple[Array, Array]:
    """Both ends of the 95 % interval, for each class.

    Args:
        difference: Value and errors.
        moved: Change of the value by each draw of the bootstrap: draws x classes.
    """
    tail = (1 - LEVEL) / 2
    freedom = np.maximum(difference.freedom_cases, 1)
    drawn = difference.drawn
    shrinkage = np.sqrt(np.where(drawn > 0, difference.variance_cases / np.where(drawn > 0, drawn, 1.0), 0.0))
    stretch = shrinkage * stdtrit(freedom, 1 - tail) / NORMAL
    ends = np.quantile(moved, [tail, 1 - tail], axis=0) * stretch
    ends = np.where(difference.freedom_cases > 0, ends, np.nan)
    runs = squared_width(difference.trainings, difference.freedom_trainings, tail)
    ends = np.sign([[-1.0], [1.0]]) * np.sqrt(ends**2 + runs)
    return difference.value + ends[0], difference.value + ends[1]


def p_values(difference: Contrast) -> Array:
    """Two-sided p values of no difference: the level at which an interval of the same width ends at 0."""
    return two_sided(
        difference.value,
        variance_cases=difference.variance_cases,
        freedom_cases=difference.freedom_cases,
        variance_runs=difference.trainings,
        freedom_runs=difference.freedom_trainings,
    )


def squared_width(variances: Array, freedom: Array, tail: float | Array) -> Array:
    """Squared half width from parts that each keep their Student quantile: the sum of t^2 V.

    Args:
        variances: Variance of each part, parts x classes.
        freedom: Degrees of freedom of each part.
        tail: Probability beyond one end.
    """
    return np.asarray((stdtrit(np.maximum(freedom, 1e-3), tail) ** 2 * variances).sum(0))


def two_sided(
    value: Array, *, variance_cases: Array, freedom_cases: Array, variance_runs: Array, freedom_runs: Array
) -> Array:
    """Two-sided p values, as ``p_values`` gives them. If one of the variances is 0, this is Student's test.

    Variance and degrees of freedom of runs may have several parts, parts x classes.

    Examples:
        >>> from scipy.stats import ttest_1samp
        >>> sample = np.array([0.1, 0.3, -0.1, 0.2])
        >>> parts = {"variance_cases": sample.var(ddof=1, keepdims=True) / 4, "freedom_cases": np.array([3.0])}
        >>> p = two_sided(sample.mean(keepdims=True), **parts, variance_runs=np.zeros(1), freedom_runs=np.ones(1))
        >>> bool(np.isclose(p[0], ttest_1samp(sample, 0).pvalue))
        True
    """
    parts, freedom_parts = np.atleast_2d(variance_runs), np.atleast_2d(freedom_runs)
    low, high = np.full(value.shape, -LEAST_LOG), np.zeros(value.shape)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        tail = np.exp(middle) / 2
        width = stdtrit(freedom_cases, tail) ** 2 * variance_cases + squared_width(parts, freedom_parts, tail)
        outside = width >= value**2
        low, high = np.where(outside, middle, low), np.where(outside, high, middle)
        if (high - low).max() < 1e-12:
            break
    p = np.exp(high)
    variance = variance_cases + parts.sum(0)
    p = np.where(variance > 0, p, np.where(value == 0, 1.0, 0.0))
    return np.where(np.isfinite(value + variance), p, np.nan)


def freedom(difference: Contrast) -> Array:
    """Satterthwaite's degrees of freedom of all errors together."""
    variances = np.concatenate([difference.variance_cases[None], difference.trainings])
    return satterthwaite(variances, np.concatenate([difference.freedom_cases[None], difference.freedom_trainings]))


def satterthwaite(variances: Array, freedom: Array) -> Array:
    """Satterthwaite's degrees of freedom of a sum of variances, parts x classes."""
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = (variances**2 / np.maximum(freedom, 1e-3)).sum(0)
        return np.asarray(np.where(parts > 0, variances.sum(0) ** 2 / parts, freedom[0]))


def detectable(variance_cases: Array, freedom_cases: Array, variance_runs: Array, freedom_runs: Array | int) -> Array:
    """Smallest true difference that is detected with a power of 80 %.

    Args:
        variance_cases: Variance from cases, for each class.
        freedom_cases: Degrees of freedom of that variance.
        variance_runs: Variance from trainings, for each class or parts x classes.
        freedom_runs: Degrees of freedom of that variance; 0 where nothing was trained again.
    """
    tail = (1 - LEVEL) / 2
    runs = np.atleast_2d(variance_runs)
    freedom_parts = np.broadcast_to(np.asarray(freedom_runs, np.float64), runs.shape)
    runs = np.where(freedom_parts > 0, runs, 0.0)
    width = stdtrit(np.maximum(freedom_cases, 1), 1 - tail) ** 2 * variance_cases
    width = width + squared_width(runs, np.maximum(freedom_parts, 1e-3), tail)
    variances = np.concatenate([variance_cases[None], runs])
    nu = satterthwaite(
        variances, np.concatenate([np.maximum(freedom_cases, 1.0)[None], np.maximum(freedom_parts, 1.0)])
    )
    return np.asarray(np.sqrt(width) + stdtrit(nu, POWER) * np.sqrt(variances.sum(0)))


def false_claim(differences: Array) -> float:
    """Probability that the method with the better mean is not truly better, given paired cases and no prior knowledge.

    Student's distribution at sqrt(n) |mean| / standard deviation, as in "False Promises in Medical Imaging AI?"
    (arXiv 2505.04720). That paper derives the standard deviation of the differences from both methods' standard
    deviations and their correlation. The result ignores how trainings differ.

    Args:
        differences: Difference of each case.
    """
    count = len(differences)
    if count < 2:
        return float("nan")
    if not np.isfinite(differences).all():
        return float("nan")
    deviation = differences.std(ddof=1)
    if np.ptp(differences) == 0:
        return 0.5 if differences[0] == 0 else 0.0
    return float(stdtr(count - 1, -np.sqrt(count) * abs(differences.mean()) / deviation))
