"""What must hold before means are compared: the same folds and cases, finished trainings, the same plans."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from nnunet_tricks.catalogue.naming import IllegalName, parse
from nnunet_tricks.comparison.folders import VALIDATION, Predictions
from nnunet_tricks.comparison.methods import Group
from nnunet_tricks.experiment.record import Record
from nnunet_tricks.experiment.split import KEPT
from nnunet_tricks.experiment.stale import relevant, split_fault
from nnunet_tricks.nnunet.folders import STATE, Folders
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


def check(group: Group, *, folds: Collection[str] | None = None, accept: Collection[str] = ()) -> list[str]:
    """Refuse what cannot be compared.

    Args:
        group: Models of one data set.
        folds: Those that were asked for; if None, all of the split file.
        accept: What may differ: ``nnunet-version``, ``plans``.

    Returns:
        Footnotes on what differs and was accepted.

    Raises:
        ValueError: Naming the folders.
    """
    _refuse(group, [*_folds(group, folds), *filter(None, map(unfinished, _every(group)))])
    faults, notes = [*_splits(group), *_labels(group)], []
    for word, differences in (("plans", list(_plans(group))), ("nnunet-version", list(_versions(group, CHANGING)))):
        if word in accept:
            notes += differences
        else:
            faults += [f"{difference} (--accept {word} compares all the same)" for difference in differences]
    _refuse(group, faults)
    if "all" in group.folds and not group.baseline.predictions[0].on_test:
        notes.append("Fold 'all' was trained on the very cases that it is measured on: not what new images will get.")
    return [*notes, *_lengths(group), *(f"{difference}." for difference in _versions(group, HARMLESS))]


def _lengths(group: Group) -> Iterator[str]:
    """What the names say of the trainings' lengths; that of a trainer with a name of its own is not known."""
    lengths: dict[int, list[str]] = {}
    for method in group.methods:
        with suppress(IllegalName):
            lengths.setdefault(parse(method.trainer).epochs, []).append(group.short(method))
    if len(lengths) > 1:
        listed = "; ".join(f"{epochs} epochs: {some(names)}" for epochs, names in sorted(lengths.items()))
        yield f"Trained for different lengths, which can make more of a difference than a trick. {listed}."


def _refuse(group: Group, faults: Sequence[str]) -> None:
    if faults:
        raise ValueError(f"{group.dataset}, {group.part}: {some(faults, '; ')}")


def _folds(group: Group, asked: Collection[str] | None) -> Iterator[str]:
    expected = set(group.folds)
    with suppress(ValueError):
        if asked is None and expected != {"all"}:
            expected |= set(map(str, range(len(Folders.of_environment().splits(group.dataset) or []))))
    for method in group.methods:
        for run in method.runs:
            there = {one.fold for one in method.predictions if one.run == run}
            absent = sorted(expected - there)
            if absent:
                trainer = next(one.model.name for one in method.predictions if one.run == run)
                yield f"{trainer} has no fold {some(absent)} (-f compares some folds only)"


def unfinished(one: Predictions) -> str:
    """What a training, or its predictions, lack; empty if nothing."""
    if not (one.fold_folder / "checkpoint_final.pth").is_file():
        return f"{one.model.name}/fold_{one.fold} is unfinished: it has no checkpoint_final.pth"
    if not one.folder.is_dir():
        return f"{one.model.name}/fold_{one.fold} has no predictions in {one.part}"
    if one.part == VALIDATION and not (one.folder / "summary.json").is_file():
        return f"{one.model.name}/fold_{one.fold} has an unfinished validation: nnUNetv2_train ... --val ends it"
    return ""


def _splits(group: Group) -> Iterator[str]:
    """What each model has learned from, as far as its record and nnU-Net's log tell."""
    try:
        folders = Folders.of_environment()
        folders.splits(group.dataset)
    except ValueError:
        return
    for one in _every(group):
        model = Model(replace(folders, results=one.model.parent.parent), *_names(one))
        states = model.folders.state
        record = Record.read(states / one.dataset / one.model.name / one.fold_folder.name / "train")
        if fault := split_fault(model, record, states / one.dataset / KEPT):
            yield fault


def _names(one: Predictions) -> tuple[str, str, str, str, str]:
    return one.dataset, one.trainer, one.plans_name, one.configuration, one.fold


def _labels(group: Group) -> Iterator[str]:
    expected = group.baseline.predictions[0].description["labels"]
    for model, one in _models(group).items():
        if one.description["labels"] != expected:
            yield f"{model} was trained with other labels in dataset.json than {group.baseline.name}"


def _plans(group: Group) -> Iterator[str]:
    expected = _relevant(group.baseline.predictions[0])
    for model, one in _models(group).items():
        relevant = _relevant(one)
        differing = sorted(key for key in expected.keys() | relevant if expected.get(key) != relevant.get(key))
        if differing:
            yield f"{model} has other plans than {group.baseline.name}: {some(differing)}"


def _relevant(one: Predictions) -> dict[str, Any]:
    return relevant(one.plans, one.configuration)


def _versions(group: Group, packages: Mapping[str, str]) -> Iterator[str]:
    """Packages of which not all trainings had the same version.

    Args:
        group: The models.
        packages: Their names, and what to call them.
    """
    for package, called in packages.items():
        versions: dict[str, list[str]] = {}
        for one in _every(group):
            if found := ", then ".join(versions_of(one, package)):
                versions.setdefault(found, []).append(f"{one.model.name}/fold_{one.fold}")
        if len(versions) > 1 or any(", then " in version for version in versions):
            yield f"{called} " + ", ".join(f"{version} trained {some(names)}" for version, names in versions.items())


def nnunet_version(one: Predictions) -> str:
    """The version of nnU-Net that trained a model; empty where nobody has written it down."""
    return ", then ".join(versions_of(one, "nnunetv2"))


def versions_of(one: Predictions, package: str) -> list[str]:
    """The versions of a package with which a model was trained, one after the other: more than one after an update.

    Args:
        one: Predictions of the model.
        package: As pip calls it.
    """
    states = one.model.parent.parent / STATE
    record = Record.read(states / one.dataset / one.model.name / one.fold_folder.name / "train")
    # A validation that is done again learns nothing.
    attempts = [attempt for attempt in record.attempts if not attempt.command.endswith(" --val")]
    found = [str(attempt.versions[package]) for attempt in attempts if package in attempt.versions]
    with suppress(OSError, ValueError):
        content: Mapping[str, Any] = json.loads((one.fold_folder / "debug.json").read_text(encoding="utf-8"))
        # nnU-Net itself writes that of torch only, our trainers the others too.
        told = str(content.get(f"{package}_version", ""))
        found += [told] if told else []
    # What stands after a plus is how it was built, which only one of the two sources says.
    return list(dict.fromkeys(version.partition("+")[0] for version in found))


def _every(group: Group) -> Iterator[Predictions]:
    for method in group.methods:
        yield from method.predictions


def _models(group: Group) -> dict[str, Predictions]:
    return {one.model.name: one for one in _every(group)}
