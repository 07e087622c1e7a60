"""Where a difference's error comes from: other cases, and other trainings.

A value of method m, run r and case i is taken as method + case + method with case + training + rest, where a training
is one run on one fold. Folds are trained apart from each other, so each of them tells how trainings differ.

What reruns change, training and rest, is the error from trainings: a run's mean is known to scatter by both. What they
leave, method with case, is the error from cases. So each part is a plain variance with its own degrees of freedom.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from nnunet_tricks.comparison.statistics.values import Array, Cases, Values

LEAST_FREEDOM = 2
"""With fewer degrees of freedom of trainings no verdict is given."""


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """A weighted sum of methods' means, such as trick minus baseline, with its errors.

    The last entry of each array is the mean of classes, where there are several.

    Attributes:
        value: For each class.
        by_case: Of each case, cases x classes without their mean; NaN where a method has none.
        influence: What each group adds, groups x classes: draw groups with weights w, and w - 1 times it is what the
            value moves. The sum of its squares is the variance from cases and from their scatter between runs.
        scatter: How much of that the cases' scatter between runs makes, by the reruns; 0 without.
        freedom_cases: Degrees of freedom of the variance from cases.
        variance_runs: Of the value, from trainings; NaN where no method has a rerun. It has the scatter in it.
        freedom_runs: Its degrees of freedom.
        training: Variance of a single run's mean over all folds; of its difference where runs belong together.
    """

    value: Array
    by_case: Array
    influence: Array
    scatter: Array
    freedom_cases: Array
    variance_runs: Array
    freedom_runs: int
    training: Array

    @property
    def variance_cases(self) -> Array:
        """From cases, as it would be if each had been trained for without end; NaN for a single group."""
        left = np.maximum((self.influence**2).sum(0) - self.scatter, 0.0)
        return np.where(self.freedom_cases > 0, left, np.nan)


def contrast(values: Values, weights: Mapping[int, float]) -> Contrast:
    """A weighted sum of methods' means.

    Args:
        values: Of one metric.
        weights: Of the methods by their places.
    """
    arrays, together = arrays_of(values, weights)
    means = {place: _mean_of_runs(array) for place, array in arrays.items()}
    by_case = np.sum([weight * means[place] for place, weight in weights.items()], axis=0).T
    defined = np.isfinite(by_case)
    counts = defined.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.where(counts > 0, np.where(defined, by_case, 0.0).sum(0) / np.maximum(counts, 1), np.nan)
    influence, freedom = _influence(by_case - value, defined, values.cases)
    if together:
        differences = np.sum([weight * arrays[place] for place, weight in weights.items()], axis=0)
        noise, factor = [_training(differences, defined, values.cases)], 1 / len(differences)
    else:
        noise = [_training(array, defined, values.cases) for array in arrays.values()]
        factor = sum(weight**2 / len(arrays[place]) for place, weight in weights.items())
    training = pooled([one for one in noise if one])
    return Contrast(
        value=_with_mean(value),
        by_case=by_case,
        influence=_with_mean(influence),
        scatter=factor * training.rest,
        freedom_cases=np.append(freedom, freedom.min()) if len(freedom) > 1 else freedom,
        variance_runs=factor * training.between if training.freedom else training.between,
        freedom_runs=training.freedom,
        training=training.between,
    )


def common_runs(values: Values, places: Iterable[int]) -> tuple[int, ...]:
    """Runs in which all of some methods shared their randomness; empty if there are fewer than two.

    Of those the differences can be taken run by run: what chance did to all is not in them.
    """
    places = list(places)
    if not all(values.shared[place] for place in places):
        return ()
    runs = sorted(set.intersection(*(set(values.runs[place]) for place in places)))
    return tuple(runs) if len(runs) > 1 else ()


def arrays_of(values: Values, weights: Mapping[int, float]) -> tuple[dict[int, Array], bool]:
    """The methods' values, and whether their runs belong together: then only the runs that all have."""
    common = common_runs(values, weights) if len(weights) > 1 else ()
    if not common:
        return {place: values.arrays[place] for place in weights}, False
    return {place: values.arrays[place][[values.runs[place].index(run) for run in common]] for place in weights}, True


@dataclass(frozen=True)
class Training:
    """How a method's runs differ.

    Attributes:
        between: Variance of a run's mean over all folds, for each class and their mean.
        rest: How much of that the cases' own scatter between runs makes.
        freedom: Degrees of freedom.
    """

    between: Array
    rest: Array
    freedom: int


def pooled(noise: list[Training]) -> Training:
    """How trainings differ, from several methods' reruns; without any the variance is NaN."""
    freedom = sum(one.freedom for one in noise)
    if not freedom:
        return Training(np.array(np.nan), np.array(0.0), 0)
    between = np.sum([one.between * one.freedom for one in noise], axis=0) / freedom
    rest = np.sum([one.rest * one.freedom for one in noise], axis=0) / freedom
    return Training(between, rest, freedom)


def training(values: Values, place: int) -> Training | None:
    """How the runs of one method differ; None if there is only one."""
    array = values.arrays[place]
    return _training(array, np.isfinite(_mean_of_runs(array)).T, values.cases)


def _mean_of_runs(array: Array) -> Array:
    """Over the runs in which it is defined: classes x cases."""
    defined = ~np.isnan(array)
    counts = defined.sum(0)
    with np.errstate(invalid="ignore"):
        return np.where(counts > 0, np.where(defined, array, 0.0).sum(0) / np.maximum(counts, 1), np.nan)


def _influence(residuals: Array, defined: Array, cases: Cases) -> tuple[Array, Array]:
    sums = cases.summed(np.where(defined, residuals, 0.0))
    present = cases.summed(defined.astype(np.float64)) > 0
    influence, freedom = np.zeros_like(sums), np.zeros(sums.shape[1])
    for label in range(sums.shape[1]):
        there = present[:, label]
        strata = cases.strata[there]
        sizes = np.bincount(strata, minlength=1)
        if (sizes == 1).any():
            # A stratum of one says nothing about how its like differ.
            strata = np.zeros_like(strata)
            sizes = np.bincount(strata, minlength=1)
        of_label = sums[there, label]
        centres = np.bincount(strata, of_label, minlength=len(sizes)) / np.maximum(sizes, 1)
        scale = np.sqrt(sizes / np.maximum(sizes - 1, 1))
        count = defined[:, label].sum()
        influence[there, label] = (of_label - centres[strata]) * scale[strata] / max(count, 1)
        freedom[label] = np.maximum(sizes - 1, 0).sum()
    return influence, freedom


def _training(array: Array, defined: Array, cases: Cases) -> Training | None:
    runs = len(array)
    if runs < 2:
        return None
    mean = _mean_of_runs(array)
    moved = np.where(np.isnan(array) | ~defined.T, 0.0, array - np.where(np.isnan(mean), 0.0, mean))
    # Runs x cases x classes: what each case adds to how far a run's mean is from that of all runs.
    shares = _with_mean(np.swapaxes(moved, 1, 2) / np.maximum(defined.sum(0), 1))
    between, rest = np.zeros(shares.shape[2]), np.zeros(shares.shape[2])
    for fold in range(len(cases.fold_names)):
        of_fold = shares[:, cases.folds == fold]
        between += (of_fold.sum(1) ** 2).sum(0) / (runs - 1)
        size = of_fold.shape[1]
        if size > 1:
            scatter = ((of_fold - of_fold.mean(1, keepdims=True)) ** 2).sum((0, 1))
            rest += size / (size - 1) * scatter / (runs - 1)
    return Training(between, rest, len(cases.fold_names) * (runs - 1))


def _with_mean(array: Array) -> Array:
    """With the mean of classes as one more of the last axis, where there are several."""
    if array.shape[-1] < 2:
        return array
    return np.concatenate([array, array.mean(-1, keepdims=True)], axis=-1)
