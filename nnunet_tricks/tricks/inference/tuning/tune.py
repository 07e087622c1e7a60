"""Thresholds, size cuts and keep-largest for a trained model, from the predictions of its cross-validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_tricks.comparison import folders
from nnunet_tricks.tricks.inference.tuning.cases import ValidationCase, ValidationReader, validation_cases
from nnunet_tricks.tricks.inference.tuning.nested import Choice, check_folds, nested_choice, surviving
from nnunet_tricks.tricks.inference.tuning.overlap import (
    COUNTS,
    SIZES,
    THRESHOLDS,
    USUAL,
    ClassOverlap,
    Floats,
)
from nnunet_tricks.tricks.inference.tuning.settings import TunedSettings
from nnunet_tricks.tricks.inference.tuning.view_choice import ViewChoice, ViewSearch, choose_views
from nnunet_tricks.tricks.inference.tuning.workers import mapped


@dataclass(frozen=True)
class TunedStep:
    """A setting of one class.

    Attributes:
        kind: ``threshold``, ``keep largest`` or ``remove small``.
        label: The class or region.
        setting: The chosen setting in words; ``as it is`` where none is better.
        choice: What it is worth.
        survives: Whether it gains on folds that did not choose, and more than chance would among all steps.
    """

    kind: str
    label: str
    setting: str
    choice: Choice
    survives: bool


@dataclass(frozen=True)
class Tuned:
    """What tuning found.

    Attributes:
        cases: Number of cases.
        folds: Number of folds.
        before: Mean Dice of each class as it was predicted.
        steps: All settings that were tried.
        together: Mean honest gain of each class with all surviving steps, each fold with what the others chose.
        settings: What survives.
        views: What views at prediction are worth, where they were tried.
    """

    cases: int
    folds: int
    before: Mapping[str, float]
    steps: tuple[TunedStep, ...]
    together: Mapping[str, float]
    settings: TunedSettings
    views: ViewChoice | None = None


@dataclass(frozen=True)
class _Kind:
    name: str
    values: Callable[[ClassOverlap], Floats]
    usual: int
    written: Callable[[str, int], str]


KINDS = (
    _Kind("threshold", lambda overlap: overlap.by_threshold, USUAL, lambda _, at: f"{THRESHOLDS[at]:.4g}"),
    _Kind("keep largest", lambda overlap: overlap.by_count, 0, lambda label, at: f"{label}:KeepLargest{_count(at)}"),
    _Kind(
        "remove small", lambda overlap: overlap.by_size, 0, lambda label, at: f"{label}:RemoveSmall_voxels{SIZES[at]}"
    ),
)


def _count(position: int) -> str:
    return f"_count{COUNTS[position]}" if COUNTS[position] > 1 else ""


def tune(model: Path, *, search: ViewSearch | None = None, workers: int = 1, progress: bool = True) -> Tuned:
    """Choose settings on the validation of all folds, and measure them on folds that did not choose.

    Args:
        model: Model folder of at least two folds, validated with ``--npz``.
        search: Which views at prediction are tried, if any.
        workers: Processes.
        progress: Whether there are progress bars.

    Raises:
        ValueError: If there is one fold only, or probabilities are missing.
    """
    predictions = folders.find(model)
    description, plans = predictions[0].description, predictions[0].plans
    cases = validation_cases(predictions)
    reader = ValidationReader(description, plans)
    check_folds([case.fold for case in cases])
    # First, since it says what it lacks before anything is measured.
    views = choose_views(predictions, search, workers=workers, progress=progress) if search else None
    measured = mapped(reader.overlaps, cases, workers, "measure", progress)
    fold_of = [case.fold for case in cases]
    labels = list(measured[0])
    choices = {
        (kind.name, label): nested_choice(
            np.stack([kind.values(of_case[label]) for of_case in measured]), kind.usual, fold_of
        )
        for kind in KINDS
        for label in labels
    }
    survives = dict(zip(choices, surviving(list(choices.values())), strict=True))
    steps = tuple(
        TunedStep(
            kind.name,
            label,
            "as it is" if choice.chosen == kind.usual else kind.written(label, choice.chosen),
            choice,
            survives[kind.name, label],
        )
        for kind in KINDS
        for label in labels
        for choice in [choices[kind.name, label]]
    )
    kept = [step for step in steps if step.survives]
    before = np.array([[measured_case[label].by_threshold[USUAL] for label in labels] for measured_case in measured])
    gains = _together(reader, cases, kept, before, workers, progress)
    settings = settings_of(kept, description["labels"])
    return Tuned(
        len(cases),
        len(set(fold_of)),
        dict(zip(labels, before.mean(0).tolist(), strict=True)),
        steps,
        dict(zip(labels, gains.mean(0).tolist(), strict=True)),
        replace(settings, tta=views.tta) if views else settings,
        views,
    )


def settings_of(steps: Sequence[TunedStep], labels: Mapping[str, Any], *, fold: str | None = None) -> TunedSettings:
    """The settings of some steps: those that all folds together chose, or all but one."""
    thresholds: dict[str, float] = {}
    words: list[str] = []
    for step in steps:
        kind = next(kind for kind in KINDS if kind.name == step.kind)
        position = step.choice.chosen if fold is None else step.choice.by_fold[fold]
        if position == kind.usual:
            continue
        if kind.name == "threshold":
            thresholds[step.label] = float(THRESHOLDS[position])
        else:
            words.append(kind.written(step.label, position))
    return TunedSettings(dict(labels), thresholds, tuple(words))


def _together(
    reader: ValidationReader,
    cases: Sequence[ValidationCase],
    steps: Sequence[TunedStep],
    before: Floats,
    workers: int,
    progress: bool,
) -> Floats:
    """The gain of each case and class with all steps at once, (cases, classes)."""
    if not steps:
        return np.zeros_like(before)
    of_fold = {case.fold: settings_of(steps, reader.description["labels"], fold=case.fold) for case in cases}
    work = [(case, of_fold[case.fold]) for case in cases]
    return np.stack(mapped(reader.dice_with, work, workers, "measure together", progress)) - before
