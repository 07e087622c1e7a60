"""Variance components of a difference: the sample of cases, and the trainings.

The model of a value of method m, run r and case i is method + case + method x case + training + rest. A training is one
run on one fold. Folds are trained independently, so each fold shows how trainings differ.

The error from trainings is what reruns change: training and rest, as both make a run's mean scatter. The error from
cases is what reruns leave unchanged: method x case. So each component is a plain variance with its own degrees of
freedom.

A fold or a patient that weighs more than others makes a variance less certain than their number suggests. Degrees of
freedom are Satterthwaite's, (expected variance)^2 / (half the variance of its estimate), for folds and groups that
scatter alike. With equal folds and groups they are folds * (runs - 1) and groups - folds. Each method has the variance
of its own reruns. A method that was trained once is assumed to scatter like those that were trained again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.catalogue import after_training
from nnunet_tricks.comparison.rounding import rounded
from nnunet_tricks.comparison.statistics.values import Array, Cases, Values, nanmean

Mask = NDArray[np.bool_]
Places = NDArray[np.intp]

LEAST_FREEDOM = 2
"""Degrees of freedom of trainings below which no verdict is given."""


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """A weighted sum of methods' means, such as trick minus baseline, with its errors.

    Where there are several classes, the last entry of each array is the mean of classes.

    Attributes:
        value: Value for each class; infinite or NaN where a case is.
        by_case: Value of each case, cases x classes without their mean; NaN where no method has a value.
        influence: Contribution of each group, groups x classes. If a resample has weights w, the value changes by the
            sum of (w - 1) times this. The sum of squares is the variance from cases, including their scatter between
            runs.
        drawn: Variance of the value's change when groups are resampled within their strata.
        scatter: Part of the variance from cases that is scatter between runs, estimated from reruns; 0 without reruns.
        freedom_cases: Degrees of freedom of the variance from cases.
        trainings: Contribution of each method with reruns to the variance of the value, parts x classes. It includes
            the scatter. There is no part without reruns.
        freedom_trainings: Degrees of freedom of each part, parts x classes.
        training: Variance of a single run's mean over all folds, pooled over the methods with reruns. For paired runs
            it is the variance of their difference. NaN without reruns.
        own: Same variance for each method of the contrast by itself, methods x classes; the pooled one for a method
            without reruns.
        folds: Number of equal folds that would tell as much about trainings as the actual folds, for each class.
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
        """Variance from cases, without their scatter between runs; NaN for a single group."""
        without_scatter = np.maximum((self.influence**2).sum(0) - self.scatter, 0.0)
        return np.where(self.freedom_cases > 0, without_scatter, np.nan)

    @property
    def has_runs(self) -> bool:
        """Whether any method was trained again."""
        return len(self.trainings) > 0

    @property
    def variance_runs(self) -> Array:
        """Variance of the value from trainings; NaN where no method has a rerun."""
        return self.trainings.sum(0) if self.has_runs else np.full_like(self.value, np.nan)

    @property
    def freedom_runs(self) -> Array:
        """Degrees of freedom of ``variance_runs``, summed over its parts; 0 without reruns."""
        return self.freedom_trainings.sum(0)


def contrast(values: Values, weights: Mapping[int, float]) -> Contrast:
    """Compute a weighted sum of methods' means, with its errors.

    Args:
        values: Values of one metric.
        weights: Weight of each method, by its index.
    """
    arrays, together = arrays_of(values, weights)
    scale = values.scale
    with np.errstate(invalid="ignore"):
        by_case = np.sum([weight * mean_of_runs(arrays[place]) for place, weight in weights.items()], axis=0).T
        by_case = rounded(by_case, scale)
    defined = ~np.isnan(values.arrays[0][0].T)
    # Infinite minus infinite: both are equally bad.
    by_case[defined & np.isnan(by_case)] = 0.0
    infinite: Mask = np.isinf(by_case).any(0) | np.any(
        [np.isinf(array).any((0, 2)) for array in arrays.values()], axis=0
    )
    value = nanmean(by_case)
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
    known = [spread for spread in spreads if spread]
    overall = pooled(known)
    shares = _shares(spreads, factors)
    empty = np.zeros((0, len(_with_mean(value))))
    moves = _with_mean(influence)
    return Contrast(
        value=_with_mean(value),
        by_case=by_case,
        influence=moves,
        drawn=(moves**2).sum(0) - _missing(moves, values.cases),
        scatter=np.sum(
            [factor * (spread or overall).rest for spread, factor in zip(spreads, factors, strict=True)], axis=0
        ),
        freedom_cases=freedom,
        trainings=np.stack([share * spread.between for spread, share in zip(known, shares, strict=True)])
        if known
        else empty,
        freedom_trainings=np.stack([spread.freedom for spread in known]) if known else empty,
        training=overall.between,
        own=np.stack([np.broadcast_to((spread or overall).between, moves.shape[1:]) for spread in spreads]),
        folds=overall.folds if known else _folds(defined, values.cases, None),
    )


def common_runs(values: Values, places: Iterable[int]) -> tuple[int, ...]:
    """Runs in which all of these methods shared their randomness or their models; empty if there are fewer than two.

    For such runs differences can be taken run by run, so that shared chance cancels.
    """
    places = list(places)
    models = {(after_training.trained(values.methods[place][0]), *values.methods[place][1:]) for place in places}
    if len(models) > 1 and not all(values.shared[place] for place in places):
        return ()
    runs = sorted(set.intersection(*(set(values.runs[place]) for place in places)))
    return tuple(runs) if len(runs) > 1 else ()


def arrays_of(values: Values, weights: Mapping[int, float]) -> tuple[dict[int, Array], bool]:
    """The methods' values, and whether their runs are paired. Paired values are those of the runs that all have."""
    common = common_runs(values, weights) if len(weights) > 1 else ()
    if not common:
        return {place: values.arrays[place] for place in weights}, False
    return {place: values.arrays[place][[values.runs[place].index(run) for run in common]] for place in weights}, True


@dataclass(frozen=True)
class TrainingVariance:
    """Variance between a method's runs.

    Attributes:
        between: Variance of a run's mean over all folds, for each class and their mean.
        rest: Part of it that comes from the scatter of single cases between runs.
        freedom: Degrees of freedom for each class and their mean.
        folds: Number of equal folds that would tell as much.
    """

    between: Array
    rest: Array
    freedom: Array
    folds: Array


def pooled(noise: Sequence[TrainingVariance]) -> TrainingVariance:
    """Variance between trainings, pooled over several methods' reruns; NaN without reruns."""
    if not noise:
        return TrainingVariance(np.array(np.nan), np.array(0.0), np.array(0.0), np.array(0.0))
    freedom = np.sum([method.freedom for method in noise], axis=0)
    counted = np.where(freedom > 0, freedom, 1.0)
    between = np.sum([method.between * method.freedom for method in noise], axis=0) / counted
    rest = np.sum([method.rest * method.freedom for method in noise], axis=0) / counted
    return TrainingVariance(between, rest, freedom, noise[0].folds)


def training_variance(values: Values, place: int) -> TrainingVariance | None:
    """Variance between the runs of one method; None if there is only one run."""
    array = values.arrays[place]
    models = values.models[place] if values.models else None
    return _training(array, ~np.isnan(array[0].T), values.cases, values.scale, models)


def mean_of_runs(array: Array) -> Array:
    """Mean over the runs, classes x cases; NaN where the metric is not defined."""
    with np.errstate(invalid="ignore"):
        return np.asarray(array.mean(0))


def _shares(spreads: Sequence[TrainingVariance | None], factors: Sequence[float]) -> list[Array]:
    """Weight of the variance of each method with reruns: its own factor, and its part of the others' factors."""
    unknown = sum(factor for spread, factor in zip(spreads, factors, strict=True) if not spread)
    freedom = np.sum([spread.freedom for spread in spreads if spread], axis=0)
    counted = np.where(freedom > 0, freedom, 1.0)
    return [
        factor + unknown * spread.freedom / counted for spread, factor in zip(spreads, factors, strict=True) if spread
    ]


def _influence(by_case: Array, defined: Mask, cases: Cases) -> tuple[Array, Array]:
    """Contribution of each group to a change of the mean, and the degrees of freedom of the sum of its squares.

    A group lies closer to its fold's mean than to the true mean, the more so the more of the fold's cases it has. The
    contributions are corrected for this, as if all groups scattered alike, whatever their size.
    """
    sums, sizes = cases.summed(by_case), cases.summed(defined.astype(np.float64))
    labels = sums.shape[1]
    influence, heavy, strata_of = np.zeros_like(sums), np.zeros_like(sums), []
    for label in range(labels):
        present, strata = _strata(sizes[:, label], cases)
        strata_of.append((present, strata))
        size, count = sizes[present, label], max(sizes[:, label].sum(), 1.0)
        influence[present, label] = _moves(sums[present, label], size, strata) / count
        heavy[present, label] = size / count
    freedom = [_freedom(heavy[present, label], strata) for label, (present, strata) in enumerate(strata_of)]
    if labels > 1:
        # Groups weigh more if their class scatters more, or if few groups have it.
        scatter = np.sqrt((influence**2).sum(0) / np.maximum((heavy**2).sum(0), 1e-300))
        weight = (heavy * (scatter if scatter.any() else 1.0)).sum(1)
        present, strata = _strata(sizes.sum(1), cases)
        freedom.append(min(_freedom(weight[present], strata), *freedom))
    return influence, np.array(freedom)


def _strata(sizes: Array, cases: Cases) -> tuple[Mask, Places]:
    """Groups that have a case, and their strata. If any stratum has a single group, all groups are one stratum."""
    present = np.asarray(sizes > 0)
    strata = cases.strata[present]
    # A stratum with one group does not show how groups differ.
    alone = bool((np.bincount(strata, minlength=1) == 1).any())
    return present, np.zeros_like(strata) if alone else strata


def _missing(influence: Array, cases: Cases) -> Array:
    """Variance that resampling within strata misses: a stratum's own mean is not 0 if its groups differ in size."""
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
    """Share of each group in its stratum, and the sum of squared shares in each stratum."""
    totals = np.bincount(strata, sizes)
    shares = sizes / np.where(totals > 0, totals, 1.0)[strata]
    return shares, np.asarray(np.bincount(strata, shares**2), np.float64)


def _freedom(weights: Array, strata: Places) -> float:
    """Satterthwaite's degrees of freedom for the sum of squared distances of weighted groups from their stratum's mean.

    The mean of a stratum is weighted as well.
    """
    if len(weights) and np.ptp(weights) == 0:
        return float(len(weights) - len(np.unique(strata)))
    shares, squares = _shares_of(weights, strata)
    square = squares[strata]
    left = 1 - 2 * shares + square
    if not len(weights) or not (left > 1e-12).any():
        return 0.0
    heavy = weights**2 / np.where(left > 1e-12, left, 1.0)
    # Squared norm of the quadratic form, off-diagonal and diagonal, from sums over groups.
    none, first, second = (np.bincount(strata, heavy * shares**power) for power in range(3))
    rest = squares**2 * none**2 + 2 * none * second - 4 * squares * none * first + 2 * first**2
    own = np.bincount(strata, heavy**2 * (left**2 - (square - 2 * shares) ** 2))
    norm = float((own + rest).sum())
    return float(((heavy * left).sum()) ** 2 / norm) if norm > 0 else 0.0


def _models_of(values: Values, weights: Mapping[int, float]) -> dict[int, Array]:
    """Values of each fold's model in the runs that all methods have; empty where folds have cases of their own."""
    common = common_runs(values, weights)
    if not values.models:
        return {}
    return {place: values.models[place][[values.runs[place].index(run) for run in common]] for place in weights}


def _training(
    array: Array, defined: Mask, cases: Cases, scale: float, models: Array | None = None
) -> TrainingVariance | None:
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
        # Each fold's model predicts all cases, and each model is one training.
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
    return TrainingVariance(np.where(infinite, np.nan, between), rest, folds * (runs - 1), folds)


def _run_shares(array: Array, defined: Mask, scale: float) -> Array:
    """Contribution of each case to the distance of a run's mean from the mean of all runs.

    Returns:
        Runs x cases x classes, with the mean of classes last where there are several.
    """
    with np.errstate(invalid="ignore"):
        moved = np.where(np.isfinite(array) & defined.T, array - mean_of_runs(array), 0.0)
    moved = np.where(np.isfinite(moved), rounded(moved, scale), 0.0)
    return _with_mean(np.swapaxes(moved, 1, 2) / np.maximum(defined.sum(0), 1))


def _folds(defined: Mask, cases: Cases, between: Array | None) -> Array:
    """Number of equal folds that tell as much about trainings: (sum w^2)^2 / sum w^4 for shares w of the cases."""
    counts = np.stack([np.bincount(cases.folds, of_label, len(cases.fold_names)) for of_label in defined.T], axis=1)
    squares = (counts / np.maximum(counts.sum(0), 1)) ** 2
    if squares.shape[1] > 1:
        # In the mean of classes each class counts by the scatter of its trainings.
        scatter = np.ones(squares.shape[1]) if between is None or not between[:-1].any() else between[:-1]
        mean = (squares / np.maximum(squares.sum(0), 1e-300) * scatter).sum(1, keepdims=True)
        squares = np.concatenate([squares, mean], axis=1)
    norm = (squares**2).sum(0)
    return np.asarray(np.where(norm > 0, squares.sum(0) ** 2 / np.where(norm > 0, norm, 1.0), 1.0))


def _with_any(infinite: Mask) -> Mask:
    """The mask with one more entry for the mean of classes, where there are several: whether any class is infinite."""
    return np.append(infinite, infinite.any()) if len(infinite) > 1 else infinite


def _with_mean(array: Array) -> Array:
    """The array with the mean of classes appended to the last axis, where there are several classes."""
    if array.shape[-1] < 2:
        return array
    with np.errstate(invalid="ignore"):
        return np.concatenate([array, array.mean(-1, keepdims=True)], axis=-1)
