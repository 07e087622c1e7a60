"""Result folders sorted into what is compared: one data set and part, and the ways to train, baseline first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nnunet_tricks.catalogue.naming import IllegalName, parse
from nnunet_tricks.comparison.folders import Predictions
from nnunet_tricks.comparison.methods import Group, Method, without_run
from nnunet_tricks.utilities.wording import some


@dataclass(frozen=True)
class PredictedGroup:
    """A group of methods, and the predictions of each.

    Attributes:
        group: Methods that are compared.
        predictions: Predictions of every fold and run, by method.
    """

    group: Group
    predictions: Mapping[Method, tuple[Predictions, ...]]

    @property
    def baseline(self) -> tuple[Predictions, ...]:
        """Predictions of the baseline."""
        return self.predictions[self.group.baseline]

    @property
    def all_predictions(self) -> tuple[Predictions, ...]:
        """Predictions of all methods, those of the baseline first."""
        return tuple(prediction for method in self.group.methods for prediction in self.predictions[method])

    @property
    def models(self) -> dict[str, Predictions]:
        """One of the predictions of each model, by the name of the model's folder."""
        return {prediction.model.name: prediction for prediction in self.all_predictions}


def grouped(predictions: Iterable[Predictions], *, baseline: str | None = None) -> list[PredictedGroup]:
    """Sort predictions by data set, part, and configuration where each has several methods.

    Args:
        predictions: Predictions of any models.
        baseline: Trainer, or name of a model's folder, to compare with. By default it is a trainer without tricks; if
            there is none, a bare base; else the first.

    Raises:
        ValueError: If a group has no such baseline.
    """
    by_place: dict[tuple[str, str], dict[tuple[str, str, str], list[Predictions]]] = {}
    for prediction in dict.fromkeys(predictions):
        by_method = by_place.setdefault((prediction.dataset, prediction.part), {})
        key = (without_run(prediction.trainer), prediction.plans_name, prediction.configuration)
        by_method.setdefault(key, []).append(prediction)
    groups = []
    for (dataset, part), by_method in by_place.items():
        sources = {_method(key, members): tuple(members) for key, members in by_method.items()}
        for methods in _by_configuration(list(sources)):
            first = _baseline(methods, baseline, dataset)
            ordered = (first, *(method for method in methods if method is not first))
            groups.append(
                PredictedGroup(Group(dataset, part, ordered), {method: sources[method] for method in ordered})
            )
    return groups


def _method(key: tuple[str, str, str], predictions: Sequence[Predictions]) -> Method:
    runs = {prediction.run for prediction in predictions}
    folds = {prediction.fold for prediction in predictions}
    return Method(*key, runs=tuple(sorted(runs)), folds=tuple(sorted(folds)))


def _by_configuration(methods: Sequence[Method]) -> list[list[Method]]:
    """A group for each configuration and plans, if each has something to compare; else all in one."""
    by_plans: dict[tuple[str, str], list[Method]] = {}
    for method in methods:
        by_plans.setdefault((method.plans, method.configuration), []).append(method)
    return list(by_plans.values()) if all(len(group) > 1 for group in by_plans.values()) else [list(methods)]


def _baseline(methods: Sequence[Method], name: str | None, dataset: str) -> Method:
    if name:
        fitting = [method for method in methods if name in (method.trainer, method.name)]
        if len(fitting) != 1:
            names = some([method.name for method in (fitting or methods)])
            raise ValueError(f"--baseline {name} is {'several' if fitting else 'none'} of {dataset}'s models: {names}")
        return fitting[0]
    return min(methods, key=lambda method: _tricks_of(method.trainer))


def _tricks_of(trainer: str) -> int:
    """0 without any trick, 1 for a bare base, 2 for everything else."""
    try:
        tricks = parse(trainer).tricks
    except IllegalName:
        return 2
    return 2 if any(not trick.info.base for trick in tricks) else len(tricks)
