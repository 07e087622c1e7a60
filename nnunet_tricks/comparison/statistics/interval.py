"""Intervals and p values from an error that cases and an error that trainings make.

With few runs the variance of trainings is hardly known, and a bootstrap of two runs would be far too sure. So each part
keeps its own Student quantile, Cochran's solution of the Behrens-Fisher problem: half the width is
sqrt(t_c^2 V_c + t_b^2 V_b + t_t^2 V_t), for cases and for the trainings of baseline and trick. The part of the cases
is as lopsided as the bootstrap found it, stretched to Student's width (Hesterberg, "What teachers should know about the
bootstrap", American Statistician 2015). Parts are put together as Zou and Donner do ("Construction of confidence limits
about effect measures", Statistics in Medicine 2008).
How often such intervals cover the truth is in ``docs/statistics.md``.
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
"""P values end at exp(-300), so that Student's quantile of one degree of freedom can be squared."""


def limits(found: Contrast, moved: Array) -> tuple[Array, Array]:
    """Both ends of the 95 % interval, for each class.

    Args:
        found: Value and errors.
        moved: How far each draw of the bootstrap moves the value: draws x classes.
    """
    tail = (1 - LEVEL) / 2
    freedom = np.maximum(found.freedom_cases, 1)
    drawn = found.drawn
    left = np.sqrt(np.where(drawn > 0, found.variance_cases / np.where(drawn > 0, drawn, 1.0), 0.0))
    stretch = left * stdtrit(freedom, 1 - tail) / NORMAL
    ends = np.quantile(moved, [tail, 1 - tail], axis=0) * stretch
    ends = np.where(found.freedom_cases > 0, ends, np.nan)
    runs = squared_width(found.trainings, found.freedom_trainings, tail)
    ends = np.sign([[-1.0], [1.0]]) * np.sqrt(ends**2 + runs)
    return found.value + ends[0], found.value + ends[1]


def p_values(found: Contrast) -> Array:
    """Two-sided, of no difference: the level at which an interval of the same width around the value ends at 0."""
    return two_sided(
        found.value,
        variance_cases=found.variance_cases,
        freedom_cases=found.freedom_cases,
        variance_runs=found.trainings,
        freedom_runs=found.freedom_trainings,
    )


def squared_width(variances: Array, freedom: Array, tail: float | Array) -> Array:
    """Of parts that each keep their Student quantile: the sum of t^2 V.

    Args:
        variances: Parts x classes.
        freedom: Degrees of freedom of each.
        tail: Probability beyond one end.
    """
    return np.asarray((stdtrit(np.maximum(freedom, 1e-3), tail) ** 2 * variances).sum(0))


def two_sided(
    value: Array, *, variance_cases: Array, freedom_cases: Array, variance_runs: Array, freedom_runs: Array
) -> Array:
    """See ``p_values``; with one of the variances 0 it is Student's test.

    Variance and freedom of runs may have several parts, parts x classes.

    Examples:
        >>> from scipy.stats import ttest_1samp
        >>> sample = np.array([0.1, 0.3, -0.1, 0.2])
        >>> none, one = np.zeros(1), np.ones(1)
        >>> parts = {"variance_cases": sample.var(ddof=1, keepdims=True) / 4, "freedom_cases": 3 * one}
        >>> p = two_sided(sample.mean(keepdims=True), **parts, variance_runs=none, freedom_runs=one)
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


def freedom(found: Contrast) -> Array:
    """Degrees of freedom of all errors together, as Satterthwaite counts them."""
    variances = np.concatenate([found.variance_cases[None], found.trainings])
    return together(variances, np.concatenate([found.freedom_cases[None], found.freedom_trainings]))


def together(variances: Array, freedom: Array) -> Array:
    """Degrees of freedom of a sum of variances, parts x classes, as Satterthwaite counts them."""
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = (variances**2 / np.maximum(freedom, 1e-3)).sum(0)
        return np.asarray(np.where(parts > 0, variances.sum(0) ** 2 / parts, freedom[0]))


def detectable(variance_cases: Array, freedom_cases: Array, variance_runs: Array, freedom_runs: Array | int) -> Array:
    """Smallest true difference that is found with a power of 80 %.

    Args:
        variance_cases: Of each class.
        freedom_cases: Its degrees of freedom.
        variance_runs: Of each class, or parts x classes.
        freedom_runs: Of these; 0 where nothing was trained again.
    """
    tail = (1 - LEVEL) / 2
    runs = np.atleast_2d(variance_runs)
    freedom_parts = np.broadcast_to(np.asarray(freedom_runs, np.float64), runs.shape)
    runs = np.where(freedom_parts > 0, runs, 0.0)
    width = stdtrit(np.maximum(freedom_cases, 1), 1 - tail) ** 2 * variance_cases
    width = width + squared_width(runs, np.maximum(freedom_parts, 1e-3), tail)
    variances = np.concatenate([variance_cases[None], runs])
    nu = together(variances, np.concatenate([np.maximum(freedom_cases, 1.0)[None], np.maximum(freedom_parts, 1.0)]))
    return np.asarray(np.sqrt(width) + stdtrit(nu, POWER) * np.sqrt(variances.sum(0)))


def false_claim(differences: Array) -> float:
    """Probability that the better of two methods is not the better one, given paired cases and no prior knowledge.

    Student's distribution at sqrt(n) |mean| / standard deviation, as in "False Promises in Medical Imaging AI?"
    (arXiv 2505.04720); the standard deviation of the differences is the one that it makes of both methods' and their
    correlation. It knows nothing of how trainings differ.

    Args:
        differences: Of the cases.
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
