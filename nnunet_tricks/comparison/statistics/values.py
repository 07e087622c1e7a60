"""Rows of the long table as arrays: one array for each method, with axes for runs, classes and cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.catalogue.naming import IllegalName, parse
from nnunet_tricks.comparison.methods import without_run
from nnunet_tricks.comparison.table import MetricRow
from nnunet_tricks.comparison.undefined import alarm_of, best_of
from nnunet_tricks.utilities.wording import some

NOTHING = frozenset({"", "nan", "na", "n/a", "<na>", "none", "null"})
"""Words that programs write for an unknown group. Cases with such a word have nothing in common."""

Array = NDArray[np.float64]
MethodKey = tuple[str, str, str]
"""Trainer of the first run, plans, configuration."""


def key_of(row: MetricRow) -> MethodKey:
    """The method that a row belongs to."""
    return without_run(row.trainer), row.plans, row.configuration


def nanmean(values: Array, axis: int | tuple[int, ...] = 0) -> Array:
    """Mean over an axis of all values that are not NaN; NaN where there are none. Infinite values count.

    Unlike ``numpy.nanmean`` it does not warn where no value is defined.

    Args:
        values: Array of any shape.
        axis: Axis, or axes, to average over.

    Examples:
        >>> nan = np.nan
        >>> nanmean(np.array([[1.0, nan, nan], [3.0, 2.0, nan]]))
        array([ 2.,  2., nan])
    """
    defined = ~np.isnan(values)
    counts = defined.sum(axis)
    with np.errstate(invalid="ignore"):
        return np.where(counts > 0, np.where(defined, values, 0.0).sum(axis) / np.maximum(counts, 1), np.nan)


@dataclass(frozen=True, kw_only=True)
class Cases:
    """The cases with their folds and groups: what a bootstrap resamples.

    Attributes:
        names: Identifiers of the cases, sorted.
        fold_names: Names of the folds.
        folds: Fold of each case, as an index into ``fold_names``.
        group_names: Names of the groups.
        groups: Group of each case, as an index into ``group_names``.
        strata: Stratum of each group; groups are resampled within their stratum. The stratum is the fold, or 0 for all
            groups where folds cannot be strata.
        notes: Reasons why folds cannot be strata.
    """

    names: tuple[str, ...]
    fold_names: tuple[str, ...]
    folds: NDArray[np.intp]
    group_names: tuple[str, ...]
    groups: NDArray[np.intp]
    strata: NDArray[np.intp]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, folds: Mapping[str, str], groups: Mapping[str, str] | None) -> Cases:
        """Sort cases into folds and groups.

        Args:
            folds: Fold of each case.
            groups: Group of each case; None if each case is a group of its own.

        Raises:
            ValueError: If cases have no group; the message names them.
        """
        names = tuple(sorted(folds))
        if groups is not None:
            ungrouped = [case for case in names if groups.get(case, "").casefold() in NOTHING]
            if ungrouped:
                raise ValueError(f"the group column says nothing of {some(ungrouped)}")
        fold_names, fold_of = np.unique([folds[case] for case in names], return_inverse=True)
        group_names, group_of = np.unique([groups[case] if groups else case for case in names], return_inverse=True)
        strata, notes = np.zeros(len(group_names), np.intp), []
        strata[group_of] = fold_of
        spanning = sorted({str(group_names[group]) for group in group_of[strata[group_of] != fold_of]})
        if spanning:
            notes.append(
                f"Groups in more than one fold: {some(spanning)}. Models were trained on them and measured on them, "
                "which is a leak. For the intervals, groups are drawn from all folds together."
            )
        if spanning or np.bincount(strata).min() < 2:
            strata = np.zeros_like(strata)
        return cls(
            names=names,
            fold_names=tuple(map(str, fold_names)),
            folds=fold_of,
            group_names=tuple(map(str, group_names)),
            groups=group_of,
            strata=strata,
            notes=tuple(notes),
        )

    def summed(self, by_case: Array) -> Array:
        """Sums over the cases of each group; the cases are the first axis."""
        sums = np.zeros((len(self.group_names), *by_case.shape[1:]))
        np.add.at(sums, self.groups, by_case)
        return sums


@dataclass(frozen=True, kw_only=True)
class Values:
    """All numbers of one metric on one data set and part.

    Attributes:
        metric: Name of the metric.
        unit: Unit of the metric.
        labels: Names of the classes.
        methods: Methods that are compared.
        runs: Run numbers of each method.
        shared: Flag of each method: whether its runs share their randomness with the same runs of other such methods.
        arrays: Values of each method, runs x classes x cases. NaN where the metric is undefined for every method. Where
            it is defined for one method, no method has a gap: see ``comparison.undefined``.
        cases: Cases with their folds and groups.
        filled: Share of each method's predictions that were undefined and count as the best value, classes x cases.
        models: Values of each fold's model where all models predict all cases, as on test images: for each method
            runs x folds x classes x cases. Empty elsewhere.
        unexplained: Mask, classes x cases: a prediction is undefined although another one is better than a false alarm
            can be. The reason is unknown, so the case counts for no method and there is no verdict.
    """

    metric: str
    unit: str
    labels: tuple[str, ...]
    methods: tuple[MethodKey, ...]
    runs: tuple[tuple[int, ...], ...]
    shared: tuple[bool, ...]
    arrays: tuple[Array, ...]
    cases: Cases
    filled: tuple[Array, ...] = ()
    models: tuple[Array, ...] = ()
    unexplained: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 0), np.bool_))

    def __post_init__(self) -> None:
        """Fill gaps that differ between methods, unless ``values_of`` has filled them already."""
        if not self.filled:
            gaps = [np.isnan(array) for array in self.arrays]
            sums = [np.where(gap, 0.0, array) for array, gap in zip(self.arrays, gaps, strict=True)]
            highest = np.max([np.where(gap, -np.inf, run).max(0) for run, gap in zip(sums, gaps, strict=True)], axis=0)
            for name, value in vars(_settled(self.metric, sums, gaps, 1, highest)).items():
                object.__setattr__(self, name, value)

    @cached_property
    def scale(self) -> float:
        """The largest absolute value. A difference of a millionth of a millionth of it is rounding."""
        largest = (np.abs(array[np.isfinite(array)]).max(initial=0.0) for array in self.arrays)
        return float(max(largest, default=0.0))


def values_of(rows: Iterable[MetricRow], groups: Mapping[str, str] | None = None) -> dict[str, Values]:
    """Sort rows by metric.

    Where the models of several folds predict the same case, as on test images, the case's value is their mean.

    Args:
        rows: Rows of one data set and part; each method has the same cases.
        groups: Group of each case, such as the patient; None if each case is a group of its own.

    Returns:
        The values of each metric, in the order of the rows.

    Raises:
        ValueError: If there are no rows, if they belong to several data sets or parts, if a row occurs twice, or if a
            method or run lacks some rows.
    """
    by_metric: dict[str, dict[tuple[MethodKey, int], dict[tuple[str, str, str], float]]] = {}
    units: dict[str, str] = {}
    labels: dict[str, None] = {}
    folds: dict[str, set[str]] = {}
    origin: tuple[str, str] | None = None
    for row in rows:
        origin = origin or (row.dataset, row.part)
        if origin != (row.dataset, row.part):
            raise ValueError(
                f"statistics are of one data set and part, got {row.dataset} {row.part} beside {' '.join(origin)}"
            )
        key = key_of(row)
        numbers = by_metric.setdefault(row.metric, {}).setdefault((key, row.run), {})
        position = (row.label, row.case, row.fold)
        if position in numbers:
            raise ValueError(f"{row.metric} of {row.label} in {row.case} stands twice for {row.trainer}")
        numbers[position] = row.value
        units.setdefault(row.metric, row.unit)
        labels.setdefault(row.label)
        folds.setdefault(row.case, set()).add(row.fold)
    if origin is None:
        raise ValueError("statistics need rows, got none")
    shared = any(len(of_case) > 1 for of_case in folds.values())
    cases = Cases.of({case: "all" if shared else min(of_case) for case, of_case in folds.items()}, groups)
    values = {}
    for metric, of_metric in by_metric.items():
        measured = {label for label, _, _ in next(iter(of_metric.values()))}
        own_labels = [label for label in labels if label in measured]
        values[metric] = _arranged(metric, units[metric], own_labels, of_metric, cases)
    return values


def _is_shared(trainer: str) -> bool:
    try:
        return parse(trainer).shared
    except IllegalName:
        return False


def _arranged(
    metric: str,
    unit: str,
    labels: Sequence[str],
    by_run: Mapping[tuple[MethodKey, int], Mapping[tuple[str, str, str], float]],
    cases: Cases,
) -> Values:
    expected = set(next(iter(by_run.values())))
    label_at = {label: place for place, label in enumerate(labels)}
    case_at = {case: place for place, case in enumerate(cases.names)}
    shape = (len(labels), len(cases.names))
    sums: dict[MethodKey, dict[int, Array]] = {}
    fold_at = {fold: place for place, fold in enumerate(sorted({fold for _, _, fold in expected}))}
    several = cases.fold_names == ("all",) and len(expected) == len(fold_at) * len(labels) * len(cases.names)
    models: dict[MethodKey, dict[int, Array]] = {}
    gaps: dict[MethodKey, dict[int, Array]] = {}
    best = best_of(metric)
    predictions, highest = np.zeros(shape), np.full(shape, -np.inf)
    for (key, run), numbers in by_run.items():
        if numbers.keys() != expected:
            differing = some(sorted({f"{label} in {case}" for label, case, _ in numbers.keys() ^ expected}))
            raise ValueError(f"{metric}: {key[0]}, run {run}, does not have the same cases as the others: {differing}")
        rows = [label_at[label] for label, _, _ in numbers]
        columns = [case_at[case] for _, case, _ in numbers]
        numeric = np.fromiter(numbers.values(), np.float64, len(numbers))
        defined = ~np.isnan(numeric)
        run_sums, run_gaps, counts = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        np.add.at(run_sums, (rows, columns), np.where(defined, numeric, 0.0))
        np.add.at(run_gaps, (rows, columns), ~defined)
        np.add.at(counts, (rows, columns), 1)
        np.maximum.at(highest, (rows, columns), np.where(defined, numeric, -np.inf))
        predictions = counts
        if several:
            run_models = np.full((len(fold_at), *shape), np.nan)
            run_models[[fold_at[fold] for _, _, fold in numbers], rows, columns] = np.where(defined, numeric, best)
            models.setdefault(key, {})[run] = run_models
        sums.setdefault(key, {})[run] = run_sums
        gaps.setdefault(key, {})[run] = run_gaps
    total = np.maximum(predictions, 1)
    settled = _settled(
        metric,
        [np.stack([runs[run] for run in sorted(runs)]) for runs in sums.values()],
        [np.stack([runs[run] for run in sorted(runs)]) for runs in gaps.values()],
        total,
        highest,
    )
    return Values(
        metric=metric,
        unit=unit,
        labels=tuple(labels),
        methods=tuple(sums),
        runs=tuple(tuple(sorted(runs)) for runs in sums.values()),
        shared=tuple(_is_shared(trainer) for trainer, _, _ in sums),
        cases=cases,
        models=tuple(np.stack([runs[run] for run in sorted(runs)]) for runs in models.values()),
        **vars(settled),
    )


@dataclass(frozen=True)
class _Settled:
    arrays: tuple[Array, ...]
    filled: tuple[Array, ...]
    unexplained: NDArray[np.bool_]


def _settled(metric: str, sums: Sequence[Array], gaps: Sequence[Array], total: Array | int, highest: Array) -> _Settled:
    """Means over predictions. Undefined predictions count as ``comparison.undefined`` says.

    Args:
        metric: Name of the metric.
        sums: Sums of the defined values of each method, runs x classes x cases.
        gaps: Numbers of undefined predictions of each method, runs x classes x cases.
        total: Number of predictions that each run has of each case.
        highest: Highest value of each class and case over all methods.
    """
    measured = np.any([(gap < total).any(0) for gap in gaps], axis=0)
    undefined = np.any([(gap > 0).any(0) for gap in gaps], axis=0)
    best, alarm = best_of(metric), alarm_of(metric)
    unexplained = measured & undefined & (highest > (np.inf if alarm is None else alarm))
    defined = measured & ~unexplained
    return _Settled(
        arrays=tuple(
            np.where(defined, (defined_sum + best * gap) / total, np.nan)
            for defined_sum, gap in zip(sums, gaps, strict=True)
        ),
        filled=tuple(np.where(measured, gap.mean(0) / total, 0.0) for gap in gaps),
        unexplained=unexplained,
    )
