"""What must hold before means are compared: the same folds and cases, finished trainings, the same plans."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from nnunet_tricks.comparison import lengths
from nnunet_tricks.comparison.cost import record_of
from nnunet_tricks.comparison.folders import VALIDATION, Predictions
from nnunet_tricks.comparison.grouping import PredictedGroup
from nnunet_tricks.comparison.methods import Group
from nnunet_tricks.experiment.split import KEPT
from nnunet_tricks.experiment.stale import relevant, split_fault
from nnunet_tricks.nnunet.folders import Folders
from nnunet_tricks.nnunet.model import Model
from nnunet_tricks.utilities.wording import some

CHANGING = {
    "nnunetv2": "nnU-Net",
    "batchgeneratorsv2": "batchgeneratorsv2",
    "dynamic_network_architectures": "dynamic_network_architectures",
}
"""Packages whose versions change what is trained, with their names: batchgeneratorsv2 0.3.6 changed the targets."""

HARMLESS = {"torch": "PyTorch"}
"""Packages whose versions should change no more than another seed does."""


def check(models: PredictedGroup, *, folds: Collection[str] | None = None, accept: Collection[str] = ()) -> list[str]:
    """Refuse what cannot be compared.

    Args:
        models: Models of one data set.
        folds: Folds that must be there; None for all of the split file.
        accept: Differences that are allowed: ``nnunet-version``, ``plans``, ``lengths``.

    Returns:
        Footnotes on what differs and was accepted.

    Raises:
        ValueError: Naming the folders.
    """
    group = models.group
    _refuse(group, [*_folds(models, folds), *filter(None, map(unfinished, models.all_predictions))])
    faults, notes = [*_splits(models), *_labels(models)], []
    for word, faulty in (
        ("plans", _plans(models)),
        ("nnunet-version", _versions(models, CHANGING)),
        ("lengths", lengths.unnamed(models)),
    ):
        differences = list(faulty)
        if word in accept:
            notes += differences
        else:
            faults += [f"{difference} (--accept {word} compares all the same)" for difference in differences]
    _refuse(group, faults)
    if "all" in group.folds and not models.baseline[0].on_test:
        notes.append("Fold 'all' was trained on the very cases that it is measured on: not what new images will get.")
    notes += [*lengths.named(group), *lengths.ended_early(models)]
    return [*notes, *(f"{difference}." for difference in _versions(models, HARMLESS))]


def _refuse(group: Group, faults: Sequence[str]) -> None:
    if faults:
        raise ValueError(f"{group.dataset}, {group.part}: {some(faults, '; ')}")


def _folds(models: PredictedGroup, folds: Collection[str] | None) -> Iterator[str]:
    """Folds that some run lacks."""
    group = models.group
    expected = set(group.folds)
    with suppress(ValueError):
        if folds is None and expected != {"all"}:
            expected |= set(map(str, range(len(Folders.of_environment().splits(group.dataset) or []))))
    for method in group.methods:
        for run in method.runs:
            members = [prediction for prediction in models.predictions[method] if prediction.run == run]
            absent = sorted(expected - {prediction.fold for prediction in members})
            if absent:
                yield f"{members[0].model.name} has no fold {some(absent)} (-f compares some folds only)"


def unfinished(prediction: Predictions) -> str:
    """What a training, or its predictions, lack; empty if nothing."""
    place = f"{prediction.model.name}/fold_{prediction.fold}"
    if not (prediction.trained.fold_folder / "checkpoint_final.pth").is_file():
        return f"{place} is unfinished: it has no checkpoint_final.pth"
    if not prediction.folder.is_dir():
        return f"{place} has no predictions in {prediction.part}"
    if prediction.part == VALIDATION and not (prediction.folder / "summary.json").is_file():
        if prediction.trained != prediction:
            return f"{place} is unfinished: 'nnunet-tricks run' ends it"
        return f"{place} has an unfinished validation: nnUNetv2_train ... --val ends it"
    return ""


def _splits(models: PredictedGroup) -> Iterator[str]:
    """What each model has learned from, as far as its record and nnU-Net's log tell."""
    try:
        folders = Folders.of_environment()
        folders.splits(models.group.dataset)
    except ValueError:
        return
    for prediction in models.all_predictions:
        model = Model(
            replace(folders, results=prediction.model.parent.parent),
            prediction.dataset,
            prediction.trained.trainer,
            prediction.plans_name,
            prediction.configuration,
            prediction.fold,
        )
        if fault := split_fault(model, record_of(prediction), model.folders.state / prediction.dataset / KEPT):
            yield fault


def _labels(models: PredictedGroup) -> Iterator[str]:
    expected = models.baseline[0].description["labels"]
    for model, prediction in models.models.items():
        if prediction.description["labels"] != expected:
            yield f"{model} was trained with other labels in dataset.json than {models.group.baseline.name}"


def _plans(models: PredictedGroup) -> Iterator[str]:
    expected = _relevant(models.baseline[0])
    for model, prediction in models.models.items():
        own = _relevant(prediction)
        differing = sorted(key for key in expected.keys() | own if expected.get(key) != own.get(key))
        if differing:
            yield f"{model} has other plans than {models.group.baseline.name}: {some(differing)}"


def _relevant(prediction: Predictions) -> dict[str, Any]:
    return relevant(prediction.plans, prediction.configuration)


def _versions(models: PredictedGroup, packages: Mapping[str, str]) -> Iterator[str]:
    """Packages of which not all trainings had the same version.

    Args:
        models: The models.
        packages: Names of the packages, and what to call them.
    """
    for package, title in packages.items():
        trainings: dict[str, list[str]] = {}
        for prediction in models.all_predictions:
            if version := ", then ".join(versions_of(prediction, package)):
                trainings.setdefault(version, []).append(f"{prediction.model.name}/fold_{prediction.fold}")
        if len(trainings) > 1 or any(", then " in version for version in trainings):
            yield f"{title} " + ", ".join(f"{version} trained {some(names)}" for version, names in trainings.items())


def nnunet_version(prediction: Predictions) -> str:
    """The version of nnU-Net that trained a model; empty where it is not recorded."""
    return ", then ".join(versions_of(prediction, "nnunetv2"))


def versions_of(prediction: Predictions, package: str) -> list[str]:
    """The versions of a package with which a model was trained, one after the other: more than one after an update.

    Args:
        prediction: Predictions of the model.
        package: Name of the package, as pip has it.
    """
    # A validation that is done again learns nothing.
    attempts = [attempt for attempt in record_of(prediction).attempts if not attempt.command.endswith(" --val")]
    versions = [str(attempt.versions[package]) for attempt in attempts if package in attempt.versions]
    with suppress(OSError, ValueError):
        content: Mapping[str, Any] = json.loads(
            (prediction.trained.fold_folder / "debug.json").read_text(encoding="utf-8")
        )
        # nnU-Net itself writes that of torch only, our trainers the others too.
        version = str(content.get(f"{package}_version", ""))
        versions += [version] if version else []
    # What stands after a plus is how it was built, which only one of the two sources says.
    return list(dict.fromkeys(version.partition("+")[0] for version in versions))
