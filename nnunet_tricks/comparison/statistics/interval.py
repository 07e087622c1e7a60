"""Intervals and p values from an error that cases and an error that trainings make.

With few runs the variance of trainings is hardly known, and a bootstrap of two runs would be far too sure. So each part
keeps its own Student quantile, Cochran's solution of the Behrens-Fisher problem: half the width is
sqrt(t_c^2 V_c + t_r^2 V_r). The part of the cases is as lopsided as the bootstrap found it, stretched to Student's
width (Hesterberg, "What teachers should know about the bootstrap", American Statistician 2015); both are put together
as Zou and Donner do ("Construction of confidence limits about effect measures", Statistics in Medicine 2008).
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
    drawn = (found.influence**2).sum(0)
    left = np.sqrt(np.where(drawn > 0, found.variance_cases / np.where(drawn > 0, drawn, 1.0), 0.0))
    stretch = left * stdtrit(freedom, 1 - tail) / NORMAL
    ends = np.quantile(moved, [tail, 1 - tail], axis=0) * stretch
    ends = np.where(found.freedom_cases > 0, ends, np.nan)
    if found.freedom_runs:
        runs = stdtrit(found.freedom_runs, 1 - tail) ** 2 * found.variance_runs
        ends = np.sign([[-1.0], [1.0]]) * np.sqrt(ends**2 + runs)
    return found.value + ends[0], found.value + ends[1]


def p_values(found: Contrast) -> Array:
    """Two-sided, of no difference: the level at which an interval of the same width around the value ends at 0."""
    return two_sided(
        found.value,
        variance_cases=found.variance_cases,
        freedom_cases=found.freedom_cases,
        variance_runs=found.variance_runs if found.freedom_runs else np.zeros_like(found.value),
        freedom_runs=np.full_like(found.value, max(found.freedom_runs, 1)),
    )


def two_sided(
    value: Array, *, variance_cases: Array, freedom_cases: Array, variance_runs: Array, freedom_runs: Array
) -> Array:
    """See ``p_values``; with one of the variances 0 it is Student's test.

    Examples:
        >>> from scipy.stats import ttest_1samp
        >>> sample = np.array([0.1, 0.3, -0.1, 0.2])
        >>> none, one = np.zeros(1), np.ones(1)
        >>> parts = {"variance_cases": sample.var(ddof=1, keepdims=True) / 4, "freedom_cases": 3 * one}
        >>> p = two_sided(sample.mean(keepdims=True), **parts, variance_runs=none, freedom_runs=one)
        >>> bool(np.isclose(p[0], ttest_1samp(sample, 0).pvalue))
        True
    """
    low, high = np.full(value.shape, -LEAST_LOG), np.zeros(value.shape)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        tail = np.exp(middle) / 2
        width = stdtrit(freedom_cases, tail) ** 2 * variance_cases + stdtrit(freedom_runs, tail) ** 2 * variance_runs
        outside = width >= value**2
        low, high = np.where(outside, middle, low), np.where(outside, high, middle)
        if (high - low).max() < 1e-12:
            break
    p = np.exp(high)
    p = np.where(variance_cases + variance_runs > 0, p, np.where(value == 0, 1.0, 0.0))
    return np.where(np.isfinite(value + variance_cases + variance_runs), p, np.nan)


def freedom(found: Contrast) -> Array:
    """Degrees of freedom of both errors together, as Satterthwaite counts them."""
    cases, runs = found.variance_cases, found.variance_runs if found.freedom_runs else np.zeros_like(found.value)
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = cases**2 / np.maximum(found.freedom_cases, 1) + runs**2 / max(found.freedom_runs, 1)
        together = (cases + runs) ** 2 / parts
    return np.where(parts > 0, together, found.freedom_cases)


def detectable(variance_cases: Array, freedom_cases: Array, variance_runs: Array, freedom_runs: int) -> Array:
    """Smallest true difference that is found with a power of 80 %."""
    tail = (1 - LEVEL) / 2
    known = freedom_runs > 0
    runs = variance_runs if known else np.zeros_like(variance_cases)
    width = stdtrit(np.maximum(freedom_cases, 1), 1 - tail) ** 2 * variance_cases
    width = width + (stdtrit(max(freedom_runs, 1), 1 - tail) ** 2 * runs if known else 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = variance_cases**2 / np.maximum(freedom_cases, 1) + runs**2 / max(freedom_runs, 1)
        nu = np.where(parts > 0, (variance_cases + runs) ** 2 / parts, 1.0)
    return np.sqrt(width) + stdtrit(nu, POWER) * np.sqrt(variance_cases + runs)


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
    deviation = differences.std(ddof=1)
    if deviation == 0:
        return 0.5 if differences[0] == 0 else 0.0
    return float(stdtr(count - 1, -np.sqrt(count) * abs(differences.mean()) / deviation))
