"""What must hold before means are compared: the same folds and cases, finished trainings, the same plans."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from nnunet_tricks.comparison.folders import VALIDATION, Predictions
from nnunet_tricks.comparison.methods import Group
from nnunet_tricks.experiment.folders import Folders
from nnunet_tricks.naming import IllegalName, parse
from nnunet_tricks.planning.plans_file import resolve
from nnunet_tricks.wording import some

SPLIT = re.compile(r"This split has (\d+) training and (\d+) validation cases")
VERSION_KEYS = ("nnunetv2_version",)
SHARED = ("transpose_forward", "image_reader_writer", "foreground_intensity_properties_per_channel")
"""What stands in plans outside of the configurations, and changes the images."""


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
    for word, differences in (("plans", list(_plans(group))), ("nnunet-version", list(_versions(group)))):
        if word in accept:
            notes += differences
        else:
            faults += [f"{difference} (--accept {word} compares all the same)" for difference in differences]
    _refuse(group, faults)
    if "all" in group.folds and not group.baseline.predictions[0].on_test:
        notes.append("Fold 'all' was trained on the very cases that it is measured on: not what new images will get.")
    return [*notes, *_lengths(group)]


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
    """Validation cases are compared by name elsewhere; what nnU-Net's log tells is how many it trained on."""
    try:
        splits = Folders.of_environment().splits(group.dataset) or []
    except ValueError:
        return
    for one in _every(group):
        if not one.fold.isdecimal() or int(one.fold) >= len(splits):
            continue
        expected = tuple(len(splits[int(one.fold)][part]) for part in ("train", "val"))
        told = _told_split(one)
        if told and told != expected:
            yield (
                f"{one.model.name}/fold_{one.fold} was trained on {told[0]} and validated on {told[1]} cases, the "
                f"split file now has {expected[0]} and {expected[1]}"
            )


def _told_split(one: Predictions) -> tuple[int, int] | None:
    """Numbers of training and validation cases in the log that was written last."""
    for log in sorted(one.fold_folder.glob("training_log_*.txt"), reverse=True):
        told = SPLIT.findall(log.read_text(encoding="utf-8", errors="replace"))
        if told:
            return int(told[-1][0]), int(told[-1][1])
    return None


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
    """What of its plans a model has used: others may have been added since."""
    plans = one.plans
    return {key: plans.get(key) for key in SHARED} | resolve(plans, one.configuration)


def _versions(group: Group) -> Iterator[str]:
    versions: dict[str, list[str]] = {}
    for one in _every(group):
        version = nnunet_version(one)
        if version:
            versions.setdefault(version, []).append(f"{one.model.name}/fold_{one.fold}")
    if len(versions) > 1:
        yield "nnU-Net " + ", ".join(f"{version} trained {some(names)}" for version, names in versions.items())


def nnunet_version(one: Predictions) -> str:
    """The version of nnU-Net that trained a model; empty where the training has not written it down."""
    with suppress(OSError, ValueError):
        content: Mapping[str, Any] = json.loads((one.fold_folder / "debug.json").read_text(encoding="utf-8"))
        return next((str(content[key]) for key in VERSION_KEYS if key in content), "")
    return ""


def _every(group: Group) -> Iterator[Predictions]:
    for method in group.methods:
        yield from method.predictions


def _models(group: Group) -> dict[str, Predictions]:
    return {one.model.name: one for one in _every(group)}
