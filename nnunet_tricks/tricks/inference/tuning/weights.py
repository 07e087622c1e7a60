"""Weights of an ensemble's members, learned on the folds of a cross-validation and measured on the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from nnunet_tricks import __version__
from nnunet_tricks.comparison import folders
from nnunet_tricks.nnunet.classes import Classes
from nnunet_tricks.tricks.inference.stacking import VoxelSample, fit, sample, stacked
from nnunet_tricks.tricks.inference.tuning.cases import ValidationCase, ValidationReader, validation_cases
from nnunet_tricks.tricks.inference.tuning.mixtures import Probabilities, mixture_dice
from nnunet_tricks.tricks.inference.tuning.nested import LEVEL, chance, nested_choice
from nnunet_tricks.tricks.inference.tuning.overlap import Floats
from nnunet_tricks.tricks.inference.tuning.workers import mapped
from nnunet_tricks.utilities.files import write_atomically

LEARNED = ("weighted", "stack")
"""Methods of an ensemble whose weights are learned."""

CANDIDATES = 150
"""Largest number of weights that ``weighted`` tries."""

Case = Sequence[ValidationCase]
"""The same case as each member predicted it."""


@dataclass(frozen=True)
class MemberWeights:
    """Weights of the members of an ensemble.

    Attributes:
        method: ``weighted`` or ``stack``.
        labels: ``labels`` of the ``dataset.json`` that they were learned for.
        models: Names of the model folders, in the order of the members.
        weights: Of the members; for ``stack`` empty.
        by_output: For ``stack``: for each output of the network, in their order, its name, the members' weights and a
            constant.
    """

    method: str
    labels: Mapping[str, Any]
    models: tuple[str, ...]
    weights: tuple[float, ...] = ()
    by_output: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def write(self, file: Path, measured: Mapping[str, Any]) -> None:
        """Write them, with what was measured."""
        rows = {name: [round(weight, 6) for weight in row] for name, row in self.by_output.items()}
        content = {
            "method": self.method,
            "labels": dict(self.labels),
            "models": list(self.models),
            "weights": rows or list(self.weights),
            "measured": dict(measured),
            "nnunet_tricks": __version__,
        }
        write_atomically(file, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


@dataclass(frozen=True)
class LearnedWeights:
    """What learning found.

    Attributes:
        method: ``weighted`` or ``stack``.
        cases: Number of cases.
        folds: Number of folds.
        members: Mean Dice of each model alone, over classes and cases.
        equal: That of the mean of their probabilities.
        learned: Weights that all cases together chose.
        gain: Mean gain over equal weights, each fold with the weights that the others chose.
        naive: Mean gain of ``learned`` on the cases that chose them.
        p: Probability of such a gain without an effect.
        survives: Whether there is a gain, and more than chance would give.
    """

    method: str
    cases: int
    folds: int
    members: Mapping[str, float]
    equal: float
    learned: MemberWeights
    gain: float
    naive: float
    p: float
    survives: bool

    @property
    def settings(self) -> MemberWeights:
        """The weights to use: the learned ones if they survive, else equal ones."""
        if self.survives:
            return self.learned
        models = self.learned.models
        return MemberWeights("weighted", self.learned.labels, models, (round(1 / len(models), 6),) * len(models))


def read_weights(file: Path, labels: Mapping[str, Any], count: int) -> MemberWeights:
    """Read weights for an ensemble.

    Args:
        file: As ``ensemble --learn`` wrote it.
        labels: ``labels`` of the members' ``dataset.json``.
        count: Number of members.

    Raises:
        ValueError: If it is no such file, or was made for other labels or another number of members.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{file} cannot be read: {str(error).splitlines()[0]}") from error
    keys = {"method", "labels", "models", "weights"}
    if not isinstance(content, dict) or not set(content) >= keys or content["method"] not in LEARNED:
        raise ValueError(f"{file} is no file of 'nnunet-tricks ensemble --learn': it must have {', '.join(keys)}")
    if content["labels"] != dict(labels):
        raise ValueError(f"{file} was made for the labels {content['labels']}, and these are {dict(labels)}")
    models = tuple(map(str, content["models"] or ()))
    if len(models) != count:
        raise ValueError(f"{file} has weights of {len(models)} members, and -i names {count} folders")
    if content["method"] == "weighted":
        return MemberWeights("weighted", content["labels"], models, _numbers(content["weights"], count, file))
    rows, names = content["weights"], output_names(content["labels"])
    if not isinstance(rows, dict) or set(rows) != set(names):
        raise ValueError(f"{file} must have weights for {', '.join(names)}, each with {count} numbers and a constant")
    by_output = {name: _numbers(rows[name], count + 1, file) for name in names}
    return MemberWeights("stack", content["labels"], models, by_output=by_output)


def _numbers(row: object, count: int, file: Path) -> tuple[float, ...]:
    numbers = row if isinstance(row, list) else []
    if len(numbers) != count or not all(isinstance(each, int | float) and isfinite(each) for each in numbers):
        raise ValueError(f"{file} has the weights {row}, and must have {count} finite numbers there")
    return tuple(map(float, numbers))


def output_names(labels: Mapping[str, Any]) -> list[str]:
    """Names of the network's outputs in their order.

    Args:
        labels: ``labels`` of ``dataset.json``.

    Examples:
        >>> output_names({"background": 0, "tumor": 2, "kidney": 1, "ignore": 3})
        ['background', 'kidney', 'tumor']
        >>> output_names({"background": 0, "organ": [1, 2], "tumor": [2]})
        ['organ', 'tumor']
    """
    classes = {name: value for name, value in labels.items() if name not in ("background", "ignore")}
    if any(isinstance(value, list) and len(value) > 1 for value in classes.values()):
        return list(classes)
    return ["background", *sorted(classes, key=lambda name: int(np.ravel(classes[name])[0]))]


def learn(models: Sequence[Path], method: str, *, workers: int = 1, progress: bool = True) -> LearnedWeights:
    """Learn weights on the validation of all folds, and measure them on folds that did not learn.

    ``weighted`` takes the weights of a grid with the largest mean Dice. ``stack`` minimises the cross-entropy.

    Args:
        models: Model folders of the same data set and folds, validated with ``--npz``.
        method: ``weighted`` or ``stack``.
        workers: Processes.
        progress: Whether there are progress bars.

    Raises:
        ValueError: If the models do not go together, there is one fold only, or probabilities are missing.
    """
    if method not in LEARNED:
        raise ValueError(f"--method is {method}, and --learn is for {' and '.join(LEARNED)}")
    description, plans, cases = _cases(models)
    reader = _MembersReader(ValidationReader(description, plans), method)
    fold_of = [case[0].fold for case in cases]
    labels, names = description["labels"], tuple(model.absolute().name for model in models)
    if len(set(fold_of)) < 2:
        raise ValueError(f"all cases are of fold {fold_of[0]}: weights need at least two folds")
    alone = np.stack(mapped(reader.alone, cases, workers, "measure members", progress)).mean((0, 2))
    members = dict(zip(names, alone[1:].tolist(), strict=True))
    if method == "weighted":
        grid = simplex(len(models))
        values = np.stack(mapped(reader.grid, cases, workers, "try weights", progress)).mean(2)
        choice = nested_choice(values, 0, fold_of)
        weights = MemberWeights(method, labels, names, tuple(round(float(each), 6) for each in grid[choice.chosen]))
        survives = choice.chosen != 0 and choice.gain > 0 and choice.p < LEVEL
        gains = (choice.gain, choice.naive, choice.p, survives)
        return LearnedWeights(method, len(cases), len(set(fold_of)), members, float(alone[0]), weights, *gains)
    samples = mapped(reader.sample, cases, workers, "read voxels", progress)
    regions = reader.regions
    naive = fit(samples, regions=regions)
    by_fold = {
        name: fit([each for each, fold in zip(samples, fold_of, strict=True) if fold != name], regions=regions)
        for name in sorted(set(fold_of))
    }
    work = [(case, by_fold[case[0].fold], naive) for case in cases]
    values = np.stack(mapped(reader.stacks, work, workers, "measure weights", progress)).mean(2)
    held_out = values[:, 1] - values[:, 0]
    p = p_of_folds(held_out, fold_of)
    rows = {name: tuple(map(float, row)) for name, row in zip(reader.outputs, naive, strict=True)}
    weights = MemberWeights(method, labels, names, by_output=rows)
    gain = float(held_out.mean())
    gains = (gain, float((values[:, 2] - values[:, 0]).mean()), p, gain > 0 and p < LEVEL)
    return LearnedWeights(method, len(cases), len(set(fold_of)), members, float(alone[0]), weights, *gains)


def p_of_folds(gains: Floats, folds: Sequence[str]) -> float:
    """Probability of such gains without an effect, each fold with weights that the others learned.

    The gains of one fold are tested by sign flips: its cases did not learn, so that is fair. The folds' tests depend on
    each other, since they learned from each other's cases. Twice the median of their probabilities holds however they
    depend.

    Meinshausen, Meier and Buehlmann, "p-values for high-dimensional regression", J. Am. Stat. Assoc. 104, 2009.

    Examples:
        >>> p_of_folds(np.full(40, 0.1), ["0", "1"] * 20) < 0.01
        True
    """
    of = np.array(folds)
    return min(1.0, 2 * float(np.median([chance(gains[of == name][:, None], 0) for name in sorted(set(folds))])))


def simplex(members: int) -> Floats:
    """Weights that sum to 1, on a grid as fine as ``CANDIDATES`` allows; equal ones first, then the nearest to them.

    Examples:
        >>> simplex(2)[:3].round(2).tolist()
        [[0.5, 0.5], [0.45, 0.55], [0.55, 0.45]]
    """
    steps, grid = 0, np.zeros((0, members))
    while True:
        finer = _grid(members, steps + 1)
        if len(finer) > CANDIDATES or steps == 20:
            break
        steps, grid = steps + 1, finer
    if not len(grid):
        raise ValueError(f"--learn names {members} models, and at most {CANDIDATES} can be weighted")
    equal = np.full((1, members), 1 / members)
    distance = ((grid - equal) ** 2).sum(1)
    order = [position for position in np.argsort(distance, kind="stable") if distance[position] > 1e-12]
    return np.concatenate([equal, grid[order]])


def _grid(members: int, steps: int) -> Floats:
    """All shares of ``steps`` equal parts: bars between stars."""
    rows = []
    for bars in combinations(range(steps + members - 1), members - 1):
        edges = (-1, *bars, steps + members - 1)
        rows.append([edges[at + 1] - edges[at] - 1 for at in range(members)])
    return np.array(rows, float) / steps


@dataclass(frozen=True)
class _MembersReader:
    """Reads a case of all members and measures it; travels to other processes."""

    reader: ValidationReader
    method: str

    @property
    def regions(self) -> bool:
        return bool(self.reader.description.get("regions_class_order"))

    @property
    def classes(self) -> Classes:
        return Classes.of(self.reader.description)

    @property
    def outputs(self) -> list[str]:
        """Names of the network's outputs."""
        return output_names(self.reader.description["labels"])

    def alone(self, case: Case) -> Floats:
        """Dice of equal weights and of each member, (1 + members, classes)."""
        return self._mixed(case, np.concatenate([np.ones((1, len(case))), np.eye(len(case))]))

    def grid(self, case: Case) -> Floats:
        return self._mixed(case, simplex(len(case)))

    def sample(self, case: Case) -> VoxelSample:
        members, truth = self._read(case)
        classes = self.classes
        return sample(members, truth, list(classes.values.values()), regions=self.regions, ignore=classes.ignore)

    def stacks(self, work: tuple[Case, Floats, Floats]) -> Floats:
        """Dice with equal weights, with those of the other folds, and with those of all, (3, classes)."""
        case, *weights = work
        members, truth = self._read(case)
        rows = [self._dice(members, truth, np.ones((1, len(members))))]
        for each in weights:
            pooled = stacked(members, each.tolist(), regions=self.regions)
            rows.append(self._dice([pooled], truth, np.ones((1, 1))))
        return np.concatenate(rows)

    def _mixed(self, case: Case, weights: Floats) -> Floats:
        members, truth = self._read(case)
        return self._dice(members, truth, weights)

    def _dice(self, members: Sequence[Probabilities], truth: Any, weights: Floats) -> Floats:
        classes = self.classes
        return mixture_dice(members, truth, weights, classes.values, regions=self.regions, ignore=classes.ignore)

    def _read(self, case: Case) -> tuple[list[Probabilities], Any]:
        members: list[Probabilities] = []
        for of_member in case:
            probabilities, _, truth, _ = self.reader.read(of_member)
            if members and probabilities.shape != members[0].shape:
                raise ValueError(
                    f"{of_member.probabilities} has the shape {probabilities.shape}, and that of "
                    f"{case[0].probabilities} {members[0].shape}"
                )
            members.append(probabilities)
        return members, truth


def _cases(models: Sequence[Path]) -> tuple[dict[str, Any], dict[str, Any], list[tuple[ValidationCase, ...]]]:
    """``dataset.json``, plans, and each case as each model predicted it."""
    if len(models) < 2:
        raise ValueError(f"--learn needs at least two model folders, and {len(models)} was given")
    if len({model.resolve() for model in models}) < len(models):
        raise ValueError("--learn names a model folder twice")
    found = [folders.find(model) for model in models]
    description = found[0][0].description
    for model, predictions in zip(models[1:], found[1:], strict=True):
        for key in ("labels", "regions_class_order"):
            if predictions[0].description.get(key) != description.get(key):
                raise ValueError(f"{model} has other {key} than {models[0]}: models of other labels are no ensemble")
    by_name = [{(case.case, case.fold): case for case in validation_cases(each)} for each in found]
    for model, cases in zip(models[1:], by_name[1:], strict=True):
        if differing := sorted(set(cases) ^ set(by_name[0])):
            name, fold = differing[0]
            raise ValueError(
                f"{name} of fold {fold} is a validation case of only one of {models[0]} and {model}: weights need "
                "models of the same data set, splits and folds"
            )
    return description, found[0][0].plans, [tuple(cases[name] for cases in by_name) for name in sorted(by_name[0])]
