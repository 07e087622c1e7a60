"""Result folders sorted into what is compared: one data set and part, and the ways to train, baseline first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from nnunet_tricks.catalogue.naming import IllegalName, parse
from nnunet_tricks.comparison.folders import Predictions
from nnunet_tricks.utilities.wording import some


@dataclass(frozen=True)
class Method:
    """One way to train: all its folds and runs.

    Attributes:
        trainer: Its class name, that of the first run.
        plans: Stem of the plans file.
        configuration: One of the plans'.
        predictions: Of every fold and run.
    """

    trainer: str
    plans: str
    configuration: str
    predictions: tuple[Predictions, ...]

    @property
    def name(self) -> str:
        """As nnU-Net names its folder."""
        return f"{self.trainer}__{self.plans}__{self.configuration}"

    @property
    def runs(self) -> tuple[int, ...]:
        """The repetitions that there are."""
        return tuple(sorted({one.run for one in self.predictions}))

    @property
    def folds(self) -> tuple[str, ...]:
        """Of all runs together."""
        return tuple(sorted({one.fold for one in self.predictions}))


@dataclass(frozen=True)
class Group:
    """What can be compared with each other.

    Attributes:
        dataset: Full name.
        part: ``validation``, ``test`` or the like.
        methods: The baseline first.
    """

    dataset: str
    part: str
    methods: tuple[Method, ...]

    @property
    def baseline(self) -> Method:
        """The one that all others are compared with."""
        return self.methods[0]

    @property
    def folds(self) -> tuple[str, ...]:
        """Of all methods together."""
        return tuple(sorted({fold for method in self.methods for fold in method.folds}))

    def short(self, method: Method) -> str:
        """A method's name without what is the same for all.

        Plans and configuration are left out where they do not differ.
        """
        parts = [method.trainer]
        for attribute in ("plans", "configuration"):
            if len({getattr(other, attribute) for other in self.methods}) > 1:
                parts.append(getattr(method, attribute))
        return " ".join(parts)


def grouped(predictions: Iterable[Predictions], *, baseline: str | None = None) -> list[Group]:
    """Sort predictions by data set, part, and configuration where each has several methods.

    Args:
        predictions: Of any models.
        baseline: Trainer, or name of a model's folder, to compare with; where it is not given a trainer without tricks
            if there is one, else a bare base, else the first.

    Raises:
        ValueError: If a group has no such baseline.
    """
    by_place: dict[tuple[str, str], dict[tuple[str, str, str], list[Predictions]]] = {}
    for one in dict.fromkeys(predictions):
        found = by_place.setdefault((one.dataset, one.part), {})
        found.setdefault((without_run(one.trainer), one.plans_name, one.configuration), []).append(one)
    groups = []
    for (dataset, part), found in by_place.items():
        for methods in _by_configuration([Method(*key, tuple(ones)) for key, ones in found.items()]):
            first = _baseline(methods, baseline, dataset)
            groups.append(Group(dataset, part, (first, *(method for method in methods if method is not first))))
    return groups


def _by_configuration(methods: Sequence[Method]) -> list[list[Method]]:
    """A group for each configuration and plans, if each has something to compare; else all in one."""
    sorted_: dict[tuple[str, str], list[Method]] = {}
    for method in methods:
        sorted_.setdefault((method.plans, method.configuration), []).append(method)
    return list(sorted_.values()) if all(len(group) > 1 for group in sorted_.values()) else [list(methods)]


def without_run(trainer: str) -> str:
    """The name of a trainer's first run.

    Examples:
        >>> without_run("nnUNetTrainer_5epochs_run3"), without_run("MyTrainer_run3")
        ('nnUNetTrainer_5epochs', 'MyTrainer_run3')
    """
    return _without_run(trainer)


@lru_cache(maxsize=4096)
def _without_run(trainer: str) -> str:
    try:
        return str(replace(parse(trainer), run=1))
    except IllegalName:
        return trainer


def _baseline(methods: Sequence[Method], asked: str | None, dataset: str) -> Method:
    if asked:
        fitting = [method for method in methods if asked in (method.trainer, method.name)]
        if len(fitting) != 1:
            names = some([method.name for method in (fitting or methods)])
            raise ValueError(f"--baseline {asked} is {'several' if fitting else 'none'} of {dataset}'s models: {names}")
        return fitting[0]
    return min(methods, key=lambda method: _tricks_of(method.trainer))


def _tricks_of(trainer: str) -> int:
    """0 without any trick, 1 for a bare base, 2 for everything else."""
    try:
        tricks = parse(trainer).tricks
    except IllegalName:
        return 2
    return 2 if any(not trick.info.base for trick in tricks) else len(tricks)
