"""Rows of the long table as arrays: one for each method, of runs, classes and cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.comparison.methods import without_run
from nnunet_tricks.comparison.table import Row
from nnunet_tricks.naming import IllegalName, parse
from nnunet_tricks.wording import some

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
            absent = [case for case in names if not groups.get(case)]
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
        arrays: For each method runs x classes x cases; NaN where the metric is not defined.
        cases: The cases.
    """

    metric: str
    unit: str
    labels: tuple[str, ...]
    methods: tuple[Key, ...]
    runs: tuple[tuple[int, ...], ...]
    shared: tuple[bool, ...]
    arrays: tuple[Array, ...]
    cases: Cases


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
    of_method: dict[Key, dict[int, Array]] = {}
    for (key, run), numbers in found.items():
        if numbers.keys() != expected:
            differing = some(sorted({f"{label} in {case}" for label, case, _ in numbers.keys() ^ expected}))
            raise ValueError(f"{metric}: {key[0]}, run {run}, has not the same cases as the others: {differing}")
        sums, counts = np.zeros((len(labels), len(cases.names))), np.zeros((len(labels), len(cases.names)))
        rows = [label_at[label] for label, _, _ in numbers]
        columns = [case_at[case] for _, case, _ in numbers]
        numeric = np.fromiter(numbers.values(), np.float64, len(numbers))
        defined = ~np.isnan(numeric)
        np.add.at(sums, (rows, columns), np.where(defined, numeric, 0.0))
        np.add.at(counts, (rows, columns), defined)
        with np.errstate(invalid="ignore"):
            of_method.setdefault(key, {})[run] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return Values(
        metric=metric,
        unit=unit,
        labels=tuple(labels),
        methods=tuple(of_method),
        runs=tuple(tuple(sorted(runs)) for runs in of_method.values()),
        shared=tuple(_is_shared(trainer) for trainer, _, _ in of_method),
        arrays=tuple(np.stack([runs[run] for run in sorted(runs)]) for runs in of_method.values()),
        cases=cases,
    )
