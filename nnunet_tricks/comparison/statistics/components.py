"""Where a difference's error comes from: other cases, and other trainings.

A value of method m, run r and case i is taken as method + case + method with case + training + rest, where a training
is one run on one fold. Folds are trained apart from each other, so each of them tells how trainings differ.

What reruns change, training and rest, is the error from trainings: a run's mean is known to scatter by both. What they
leave, method with case, is the error from cases. So each part is a plain variance with its own degrees of freedom.

A fold or a patient that weighs more than others makes a variance less certain than their number says. Degrees of
freedom are those of Satterthwaite, (expected variance)^2 / (half the variance of its estimate), for folds and groups
that scatter alike; with equal ones they are folds * (runs - 1) and groups - folds. Each method has the variance of its
own reruns; one that was trained once is taken to scatter as those that were trained again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.comparison.rounding import rounded
from nnunet_tricks.comparison.statistics.values import Array, Cases, Values

Mask = NDArray[np.bool_]
Places = NDArray[np.intp]

LEAST_FREEDOM = 2
"""With fewer degrees of freedom of trainings no verdict is given."""


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """A weighted sum of methods' means, such as trick minus baseline, with its errors.

    The last entry of each array is the mean of classes, where there are several.

    Attributes:
        value: For each class; infinite or NaN where a case is.
        by_case: Of each case, cases x classes without their mean; NaN where no method has a value.
        influence: What each group adds, groups x classes: draw groups with weights w, and w - 1 times it is what the
            value moves. The sum of its squares is the variance from cases and from their scatter between runs.
        drawn: Variance of what the value moves by when groups are drawn within their strata.
        scatter: How much of the variance from cases scatter between runs makes, by the reruns; 0 without.
        freedom_cases: Degrees of freedom of the variance from cases.
        trainings: What each method with reruns adds to the variance of the value, parts x classes; no part without.
            It has the scatter in it.
        freedom_trainings: Degrees of freedom of each part, parts x classes.
        training: Variance of a single run's mean over all folds, of all methods with reruns together; of the runs'
            difference where they belong together. NaN without reruns.
        own: The same of each method of the contrast by itself, methods x classes; of all together for one without.
        folds: How many folds of equal size say as much of trainings as those that are there, for each class.
    """

    value: Array
    by_case: Array
    influence: Array
    drawn: Array
    scatter: Array
    freedom_cases: Array
    trainings: Array
    freedom_trainings: Array
    training: Array
    own: Array
    folds: Array

    @property
    def variance_cases(self) -> Array:
        """From cases, as it would be if each had been trained for without end; NaN for a single group."""
        left = np.maximum((self.influence**2).sum(0) - self.scatter, 0.0)
        return np.where(self.freedom_cases > 0, left, np.nan)

    @property
    def has_runs(self) -> bool:
        """Whether some method was trained again."""
        return len(self.trainings) > 0

    @property
    def variance_runs(self) -> Array:
        """Of the value, from trainings; NaN where no method has a rerun."""
        return self.trainings.sum(0) if self.has_runs else np.full_like(self.value, np.nan)

    @property
    def freedom_runs(self) -> Array:
        """Degrees of freedom of that, those of all parts together; 0 without reruns."""
        return self.freedom_trainings.sum(0)


def contrast(values: Values, weights: Mapping[int, float]) -> Contrast:
    """A weighted sum of methods' means.

    Args:
        values: Of one metric.
        weights: Of the methods by their places.
    """
    arrays, together = arrays_of(values, weights)
    scale = values.scale
    with np.errstate(invalid="ignore"):
        by_case = np.sum([weight * mean_of_runs(arrays[place]) for place, weight in weights.items()], axis=0).T
        by_case = rounded(by_case, scale)
    defined = ~np.isnan(values.arrays[0][0].T)
    # Infinite less infinite: as bad as each other.
    by_case[defined & np.isnan(by_case)] = 0.0
    infinite: Mask = np.isinf(by_case).any(0) | np.any(
        [np.isinf(array).any((0, 2)) for array in arrays.values()], axis=0
    )
    counts = defined.sum(0)
    with np.errstate(invalid="ignore"):
        value = np.where(counts > 0, np.where(defined, by_case, 0.0).sum(0) / np.maximum(counts, 1), np.nan)
    finite = np.where(infinite, 0.0, np.where(defined, by_case, 0.0))
    influence, freedom = _influence(finite, defined, values.cases)
    freedom[..., _with_any(infinite)] = 0.0
    if together:
        with np.errstate(invalid="ignore"):
            differences = np.sum([weight * arrays[place] for place, weight in weights.items()], axis=0)
            models = _models_of(values, weights)
            of_models = (
                np.sum([weight * models[place] for place, weight in weights.items()], axis=0) if models else None
            )
        spreads = [_training(differences, defined, values.cases, scale, of_models)]
        factors = [1 / len(differences)]
    else:
        every_model = dict(enumerate(values.models))
        spreads = [_training(arrays[place], defined, values.cases, scale, every_model.get(place)) for place in weights]
        factors = [weight**2 / len(arrays[place]) for place, weight in weights.items()]
    known = [one for one in spreads if one]
    every = pooled(known)
    shares = _shares(spreads, factors)
    empty = np.zeros((0, len(_with_mean(value))))
    moves = _with_mean(influence)
    return Contrast(
        value=_with_mean(value),
        by_case=by_case,
        influence=moves,
        drawn=(moves**2).sum(0) - _missing(moves, values.cases),
        scatter=np.sum([factor * (one or every).rest for one, factor in zip(spreads, factors, strict=True)], axis=0),
        freedom_cases=freedom,
        trainings=np.stack([share * one.between for one, share in zip(known, shares, strict=True)]) if known else empty,
        freedom_trainings=np.stack([one.freedom for one in known]) if known else empty,
        training=every.between,
        own=np.stack([np.broadcast_to((one or every).between, moves.shape[1:]) for one in spreads]),
        folds=every.folds if known else _folds(defined, values.cases, None),
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
        freedom: Degrees of freedom, for each of them.
        folds: How many folds of equal size say as much.
    """

    between: Array
    rest: Array
    freedom: Array
    folds: Array


def pooled(noise: Sequence[Training]) -> Training:
    """How trainings differ, from several methods' reruns; without any the variance is NaN."""
    if not noise:
        return Training(np.array(np.nan), np.array(0.0), np.array(0.0), np.array(0.0))
    freedom = np.sum([one.freedom for one in noise], axis=0)
    counted = np.where(freedom > 0, freedom, 1.0)
    between = np.sum([one.between * one.freedom for one in noise], axis=0) / counted
    rest = np.sum([one.rest * one.freedom for one in noise], axis=0) / counted
    return Training(between, rest, freedom, noise[0].folds)


def training(values: Values, place: int) -> Training | None:
    """How the runs of one method differ; None if there is only one."""
    array = values.arrays[place]
    models = values.models[place] if values.models else None
    return _training(array, ~np.isnan(array[0].T), values.cases, values.scale, models)


def mean_of_runs(array: Array) -> Array:
    """Over the runs, classes x cases; NaN where the metric is not defined."""
    with np.errstate(invalid="ignore"):
        return np.asarray(array.mean(0))


def _shares(spreads: Sequence[Training | None], factors: Sequence[float]) -> list[Array]:
    """By how much the variance of each method with reruns counts: its own share, and that of those without any."""
    without = sum(factor for one, factor in zip(spreads, factors, strict=True) if not one)
    freedom = np.sum([one.freedom for one in spreads if one], axis=0)
    counted = np.where(freedom > 0, freedom, 1.0)
    return [factor + without * one.freedom / counted for one, factor in zip(spreads, factors, strict=True) if one]


def _influence(by_case: Array, defined: Mask, cases: Cases) -> tuple[Array, Array]:
    """Each group's share in what the mean moves by, and the degrees of freedom of the sum of its squares.

    A group's distance from its fold's mean is smaller than from the truth, the more so the more cases it has of the
    fold: that is made good as if groups scattered alike, whatever their size.
    """
    sums, sizes = cases.summed(by_case), cases.summed(defined.astype(np.float64))
    labels = sums.shape[1]
    influence, heavy, strata_of = np.zeros_like(sums), np.zeros_like(sums), []
    for label in range(labels):
        there, strata = _strata(sizes[:, label], cases)
        strata_of.append((there, strata))
        size, count = sizes[there, label], max(sizes[:, label].sum(), 1.0)
        influence[there, label] = _moves(sums[there, label], size, strata) / count
        heavy[there, label] = size / count
    freedom = [_freedom(heavy[there, label], strata) for label, (there, strata) in enumerate(strata_of)]
    if labels > 1:
        # Of a class that scatters more, and of one that few groups have, those groups weigh more.
        scatter = np.sqrt((influence**2).sum(0) / np.maximum((heavy**2).sum(0), 1e-300))
        weight = (heavy * (scatter if scatter.any() else 1.0)).sum(1)
        there, strata = _strata(sizes.sum(1), cases)
        freedom.append(min(_freedom(weight[there], strata), *freedom))
    return influence, np.array(freedom)


def _strata(sizes: Array, cases: Cases) -> tuple[Mask, Places]:
    """Groups that have a case, and their strata: one for all if some have a single group."""
    there = np.asarray(sizes > 0)
    strata = cases.strata[there]
    # A stratum of one says nothing about how its like differ.
    alone = bool((np.bincount(strata, minlength=1) == 1).any())
    return there, np.zeros_like(strata) if alone else strata


def _missing(influence: Array, cases: Cases) -> Array:
    """What draws within strata leave out: a stratum's own mean, which is not 0 where its groups differ in size."""
    sums = np.zeros((int(cases.strata.max()) + 1, influence.shape[1]))
    np.add.at(sums, cases.strata, influence)
    return np.asarray((sums**2 / np.maximum(np.bincount(cases.strata), 1)[:, None]).sum(0))


def _moves(sums: Array, sizes: Array, strata: Places) -> Array:
    totals = np.bincount(strata, sizes)
    means = np.bincount(strata, sums) / np.where(totals > 0, totals, 1.0)
    shares, squares = _shares_of(sizes, strata)
    left = 1 - 2 * shares + squares[strata]
    return np.asarray((sums - sizes * means[strata]) / np.sqrt(np.where(left > 0, left, 1.0)))


def _shares_of(sizes: Array, strata: Places) -> tuple[Array, Array]:
    """Of each group in its stratum, and the sum of their squares in each stratum."""
    totals = np.bincount(strata, sizes)
    shares = sizes / np.where(totals > 0, totals, 1.0)[strata]
    return shares, np.asarray(np.bincount(strata, shares**2), np.float64)


def _freedom(weights: Array, strata: Places) -> float:
    """Satterthwaite's, of the sum of squares of weighted groups' distances from their stratum's weighted mean."""
    if len(weights) and np.ptp(weights) == 0:
        return float(len(weights) - len(np.unique(strata)))
    shares, squares = _shares_of(weights, strata)
    square = squares[strata]
    left = 1 - 2 * shares + square
    if not len(weights) or not (left > 1e-12).any():
        return 0.0
    heavy = weights**2 / np.where(left > 1e-12, left, 1.0)
    # The squared norm of the quadratic form, diagonal and rest, from sums over groups.
    none, first, second = (np.bincount(strata, heavy * shares**power) for power in range(3))
    rest = squares**2 * none**2 + 2 * none * second - 4 * squares * none * first + 2 * first**2
    own = np.bincount(strata, heavy**2 * (left**2 - (square - 2 * shares) ** 2))
    norm = float((own + rest).sum())
    return float(((heavy * left).sum()) ** 2 / norm) if norm > 0 else 0.0


def _models_of(values: Values, weights: Mapping[int, float]) -> dict[int, Array]:
    """Of the runs that all methods have; empty where folds have cases of their own."""
    common = common_runs(values, weights)
    if not values.models:
        return {}
    return {place: values.models[place][[values.runs[place].index(run) for run in common]] for place in weights}


def _training(array: Array, defined: Mask, cases: Cases, scale: float, models: Array | None = None) -> Training | None:
    runs = len(array)
    if runs < 2:
        return None
    infinite = _with_any(np.asarray(np.isinf(array).any((0, 2))))
    between, rest = np.zeros(len(infinite)), np.zeros(len(infinite))
    if models is None:
        shares = _run_shares(array, defined, scale)
        of_folds = [shares[:, cases.folds == fold] for fold in range(len(cases.fold_names))]
        folds = None
    else:
        # Each fold's model predicts all cases, and is a training of its own.
        count = models.shape[1]
        of_folds = [_run_shares(models[:, fold], defined, scale) / count for fold in range(count)]
        folds = np.full(len(infinite), float(count))
    for of_fold in of_folds:
        between += (of_fold.sum(1) ** 2).sum(0) / (runs - 1)
        size = of_fold.shape[1]
        if size > 1:
            scatter = ((of_fold - of_fold.mean(1, keepdims=True)) ** 2).sum((0, 1))
            rest += size / (size - 1) * scatter / (runs - 1)
    folds = _folds(defined, cases, between) if folds is None else folds
    return Training(np.where(infinite, np.nan, between), rest, folds * (runs - 1), folds)


def _run_shares(array: Array, defined: Mask, scale: float) -> Array:
    """What each case adds to how far a run's mean is from that of all runs: runs x cases x classes and their mean."""
    with np.errstate(invalid="ignore"):
        moved = np.where(np.isfinite(array) & defined.T, array - mean_of_runs(array), 0.0)
    moved = np.where(np.isfinite(moved), rounded(moved, scale), 0.0)
    return _with_mean(np.swapaxes(moved, 1, 2) / np.maximum(defined.sum(0), 1))


def _folds(defined: Mask, cases: Cases, between: Array | None) -> Array:
    """How many folds of equal size tell as much of trainings: (sum w^2)^2 / sum w^4 for their shares w of the cases."""
    counts = np.stack([np.bincount(cases.folds, of_label, len(cases.fold_names)) for of_label in defined.T], axis=1)
    squares = (counts / np.maximum(counts.sum(0), 1)) ** 2
    if squares.shape[1] > 1:
        # Of the mean of classes each counts by how much its trainings scatter.
        scatter = np.ones(squares.shape[1]) if between is None or not between[:-1].any() else between[:-1]
        mean = (squares / np.maximum(squares.sum(0), 1e-300) * scatter).sum(1, keepdims=True)
        squares = np.concatenate([squares, mean], axis=1)
    norm = (squares**2).sum(0)
    return np.asarray(np.where(norm > 0, squares.sum(0) ** 2 / np.where(norm > 0, norm, 1.0), 1.0))


def _with_any(infinite: Mask) -> Mask:
    """Whether a class is, and their mean."""
    return np.append(infinite, infinite.any()) if len(infinite) > 1 else infinite


def _with_mean(array: Array) -> Array:
    """With the mean of classes as one more of the last axis, where there are several."""
    if array.shape[-1] < 2:
        return array
    with np.errstate(invalid="ignore"):
        return np.concatenate([array, array.mean(-1, keepdims=True)], axis=-1)
