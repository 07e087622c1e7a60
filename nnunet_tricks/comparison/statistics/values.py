"""Rows of the long table as arrays: one for each method, of runs, classes and cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.catalogue.naming import IllegalName, parse
from nnunet_tricks.comparison.methods import without_run
from nnunet_tricks.comparison.table import Row
from nnunet_tricks.comparison.undefined import alarm_of, best_of
from nnunet_tricks.utilities.wording import some

NOTHING = frozenset({"", "nan", "na", "n/a", "<na>", "none", "null"})
"""What programs write for a group that they do not know: those cases have nothing in common."""

Array = NDArray[np.float64]
Key = tuple[str, str, str]
"""Trainer of the first run, plans, configuration."""


def key_of(row: Row) -> Key:
    """The method that a row belongs to."""
    return without_run(row.trainer), row.plans, row.configuration


@dataclass(frozen=True, kw_only=True)
class Cases:
    """What is drawn anew in a bootstrap.

    Attributes:
        names: Of the cases, sorted.
        fold_names: Of the folds.
        folds: Of each case, as a place in ``fold_names``.
        group_names: Of the groups.
        groups: Of each case, as a place in ``group_names``.
        strata: Of each group: groups are drawn within their stratum. The fold, or 0 where that is not possible.
        notes: Why it is not possible.
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
            folds: Of each case.
            groups: Of each case; None if each stands for itself.

        Raises:
            ValueError: Naming cases that have no group.
        """
        names = tuple(sorted(folds))
        if groups is not None:
            absent = [case for case in names if groups.get(case, "").casefold() in NOTHING]
            if absent:
                raise ValueError(f"the group column says nothing of {some(absent)}")
        fold_names, fold_of = np.unique([folds[case] for case in names], return_inverse=True)
        group_names, group_of = np.unique([groups[case] if groups else case for case in names], return_inverse=True)
        strata, notes = np.zeros(len(group_names), np.intp), []
        strata[group_of] = fold_of
        spanning = sorted({str(group_names[group]) for group in group_of[strata[group_of] != fold_of]})
        if spanning:
            notes.append(
                f"Groups in more than one fold: {some(spanning)}. They were trained on and measured on, which is a "
                "leak; for the intervals groups are drawn from all folds together."
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
        metric: Its name.
        unit: Its unit.
        labels: Names of classes.
        methods: What was compared.
        runs: Numbers of each method's runs.
        shared: Whether each method shared its randomness, run by run, with others that did.
        arrays: For each method runs x classes x cases; NaN where the metric is not defined for any method. Where it is
            for one, no method has a gap: see ``undefined``.
        cases: The cases.
        filled: For each method classes x cases: the share of its predictions that were undefined and count as the best
            value.
        models: Where several folds' models predict all cases, as on test images, the values of each, for each method
            runs x folds x classes x cases; else empty.
        unexplained: Classes x cases: whether a prediction is undefined beside one that is better than a false alarm
            can be, so that nobody knows why. It counts for no method, and no word is given.
    """

    metric: str
    unit: str
    labels: tuple[str, ...]
    methods: tuple[Key, ...]
    runs: tuple[tuple[int, ...], ...]
    shared: tuple[bool, ...]
    arrays: tuple[Array, ...]
    cases: Cases
    filled: tuple[Array, ...] = ()
    models: tuple[Array, ...] = ()
    unexplained: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 0), np.bool_))

    def __post_init__(self) -> None:
        """Settle gaps that differ between methods, where rows have not been settled already."""
        if not self.filled:
            gaps = [np.isnan(array) for array in self.arrays]
            sums = [np.where(gap, 0.0, array) for array, gap in zip(self.arrays, gaps, strict=True)]
            highest = np.max([np.where(gap, -np.inf, one).max(0) for one, gap in zip(sums, gaps, strict=True)], axis=0)
            for name, value in vars(_settled(self.metric, sums, gaps, 1, highest)).items():
                object.__setattr__(self, name, value)

    @cached_property
    def scale(self) -> float:
        """The largest size of a value: what differs by a millionth of a millionth of it, differs by rounding."""
        largest = (np.abs(array[np.isfinite(array)]).max(initial=0.0) for array in self.arrays)
        return float(max(largest, default=0.0))


def values_of(rows: Iterable[Row], groups: Mapping[str, str] | None = None) -> dict[str, Values]:
    """Sort rows by metric.

    Where several folds' models predict the same case, as on test images, their mean is the case's value.

    Args:
        rows: Of one data set and part; each method has the same cases.
        groups: Of each case, such as the patient; None if each case stands for itself.

    Returns:
        The values of each metric, in the order of the rows.

    Raises:
        ValueError: If there are no rows, they are of several data sets or parts, one stands there twice, or a method or
            run lacks some.
    """
    found: dict[str, dict[tuple[Key, int], dict[tuple[str, str, str], float]]] = {}
    units: dict[str, str] = {}
    labels: dict[str, None] = {}
    folds: dict[str, set[str]] = {}
    place: tuple[str, str] | None = None
    for row in rows:
        place = place or (row.dataset, row.part)
        if place != (row.dataset, row.part):
            raise ValueError(
                f"statistics are of one data set and part, got {row.dataset} {row.part} beside {' '.join(place)}"
            )
        key = key_of(row)
        numbers = found.setdefault(row.metric, {}).setdefault((key, row.run), {})
        where = (row.label, row.case, row.fold)
        if where in numbers:
            raise ValueError(f"{row.metric} of {row.label} in {row.case} stands twice for {row.trainer}")
        numbers[where] = row.value
        units.setdefault(row.metric, row.unit)
        labels.setdefault(row.label)
        folds.setdefault(row.case, set()).add(row.fold)
    if place is None:
        raise ValueError("statistics need rows, got none")
    shared = any(len(of_case) > 1 for of_case in folds.values())
    cases = Cases.of({case: "all" if shared else min(of_case) for case, of_case in folds.items()}, groups)
    made = {}
    for metric, of_metric in found.items():
        here = [label for label in labels if any(label == where[0] for where in next(iter(of_metric.values())))]
        made[metric] = _arranged(metric, units[metric], here, of_metric, cases)
    return made


def _is_shared(trainer: str) -> bool:
    try:
        return parse(trainer).shared
    except IllegalName:
        return False


def _arranged(
    metric: str,
    unit: str,
    labels: Sequence[str],
    found: Mapping[tuple[Key, int], Mapping[tuple[str, str, str], float]],
    cases: Cases,
) -> Values:
    expected = set(next(iter(found.values())))
    label_at = {label: place for place, label in enumerate(labels)}
    case_at = {case: place for place, case in enumerate(cases.names)}
    shape = (len(labels), len(cases.names))
    sums: dict[Key, dict[int, Array]] = {}
    fold_at = {fold: place for place, fold in enumerate(sorted({fold for _, _, fold in expected}))}
    several = cases.fold_names == ("all",) and len(expected) == len(fold_at) * len(labels) * len(cases.names)
    models: dict[Key, dict[int, Array]] = {}
    gaps: dict[Key, dict[int, Array]] = {}
    best = best_of(metric)
    predictions, highest = np.zeros(shape), np.full(shape, -np.inf)
    for (key, run), numbers in found.items():
        if numbers.keys() != expected:
            differing = some(sorted({f"{label} in {case}" for label, case, _ in numbers.keys() ^ expected}))
            raise ValueError(f"{metric}: {key[0]}, run {run}, has not the same cases as the others: {differing}")
        rows = [label_at[label] for label, _, _ in numbers]
        columns = [case_at[case] for _, case, _ in numbers]
        numeric = np.fromiter(numbers.values(), np.float64, len(numbers))
        there = ~np.isnan(numeric)
        of_run, gaps_of_run, counts = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        np.add.at(of_run, (rows, columns), np.where(there, numeric, 0.0))
        np.add.at(gaps_of_run, (rows, columns), ~there)
        np.add.at(counts, (rows, columns), 1)
        np.maximum.at(highest, (rows, columns), np.where(there, numeric, -np.inf))
        predictions = counts
        if several:
            of_models = np.full((len(fold_at), *shape), np.nan)
            of_models[[fold_at[fold] for _, _, fold in numbers], rows, columns] = np.where(there, numeric, best)
            models.setdefault(key, {})[run] = of_models
        sums.setdefault(key, {})[run] = of_run
        gaps.setdefault(key, {})[run] = gaps_of_run
    total = np.maximum(predictions, 1)
    settled = _settled(
        metric,
        [np.stack([of[run] for run in sorted(of)]) for of in sums.values()],
        [np.stack([of[run] for run in sorted(of)]) for of in gaps.values()],
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
        models=tuple(np.stack([of[run] for run in sorted(of)]) for of in models.values()),
        **vars(settled),
    )


@dataclass(frozen=True)
class _Settled:
    arrays: tuple[Array, ...]
    filled: tuple[Array, ...]
    unexplained: NDArray[np.bool_]


def _settled(metric: str, sums: Sequence[Array], gaps: Sequence[Array], total: Array | int, highest: Array) -> _Settled:
    """Means of predictions with those that are undefined as ``comparison.undefined`` counts them.

    Args:
        metric: Its name.
        sums: For each method of what is defined, runs x classes x cases.
        gaps: For each method how many predictions are undefined.
        total: How many predictions each run has of each case.
        highest: The highest value of each class and case, of all methods.
    """
    there = np.any([(gap < total).any(0) for gap in gaps], axis=0)
    undefined = np.any([(gap > 0).any(0) for gap in gaps], axis=0)
    best, alarm = best_of(metric), alarm_of(metric)
    unexplained = there & undefined & (highest > (np.inf if alarm is None else alarm))
    defined = there & ~unexplained
    return _Settled(
        arrays=tuple(np.where(defined, (of + best * gap) / total, np.nan) for of, gap in zip(sums, gaps, strict=True)),
        filled=tuple(np.where(there, gap.mean(0) / total, 0.0) for gap in gaps),
        unexplained=unexplained,
    )
