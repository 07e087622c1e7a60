"""The preprocessed cases of a training: which classes they have, and some of their images."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.comparison.diagnosis.training import Training
from nnunet_tricks.nnunet import annotated_classes, case_file
from nnunet_tricks.nnunet.classes import Classes
from nnunet_tricks.nnunet.folders import read_json
from nnunet_tricks.nnunet.plans_file import resolve

ENOUGH = 200
"""Number of training cases whose properties are read; more only as long as a class has not been met."""

LOOKED_AT = 12
"""Number of training cases whose images are read."""

LARGEST = 30_000_000
"""Voxels of an image that is read; larger ones would take seconds each."""


@dataclass(frozen=True)
class CaseClasses:
    """What a preprocessed case has.

    Attributes:
        classes: Names of its classes.
        annotated: Whether any voxel is annotated; True where the data set has no ignore label.
    """

    classes: frozenset[str]
    annotated: bool


@dataclass(frozen=True)
class FoldData:
    """The preprocessed data of a fold.

    Attributes:
        training: Training cases whose properties were read.
        validation: Validation cases whose properties were read.
        training_total: Number of training cases.
        images: Images (C, Z, Y, X) and label maps (Z, Y, X) of some training cases.
        ignore: Label of voxels that nobody annotated.
        lacking: Number of training cases that are not annotated for a class, for each class that some lack.
    """

    training: tuple[CaseClasses, ...]
    validation: tuple[CaseClasses, ...]
    training_total: int
    images: tuple[tuple[NDArray[np.float32], NDArray[np.int16]], ...]
    ignore: int | None
    lacking: Mapping[str, int]

    def share(self, name: str, cases: Sequence[CaseClasses]) -> int:
        """Number of cases with a class."""
        return sum(name in case.classes for case in cases)


def read(training: Training, variables: Mapping[str, str] = os.environ) -> FoldData | str:
    """Read the preprocessed data of a training.

    Args:
        training: The training.
        variables: The environment, which says where the data are if they are no longer where they were.

    Returns:
        The data, or a sentence on why they were not looked at.
    """
    name = training.plans.get("dataset_name")
    if not name or not training.description or not training.names:
        return "dataset.json and plans.json are not beside the folds, so it is not known which data belong to it"
    place = _place(training, str(name), variables)
    if place is None:
        return f"the preprocessed data of {name} are not here (nnUNet_preprocessed), so they were not looked at"
    try:
        return _read(training, place, variables)
    except (ValueError, OSError, KeyError) as error:
        return f"the preprocessed data of {name} were not looked at: {error}"


def _place(training: Training, name: str, variables: Mapping[str, str]) -> Path | None:
    """Folder of the preprocessed data set, where nnU-Net's variable says, or else where it was in the training."""
    folders = [Path(variables["nnUNet_preprocessed"], name)] if variables.get("nnUNet_preprocessed") else []
    if noted := training.text("preprocessed_dataset_folder_base"):
        folders.append(Path(noted))
    return next((folder for folder in folders if folder.is_dir()), None)


def _read(training: Training, place: Path, variables: Mapping[str, str]) -> FoldData:
    configuration = training.text("configuration_name") or training.folder.parent.name.rpartition("__")[2]
    folder = place / resolve(training.plans, configuration)["data_identifier"]
    present = {file.stem for file in folder.glob("*.pkl")}
    if not present:
        raise ValueError(f"{folder} has no cases")
    train, validation = _cases(training, place, present)
    classes = Classes.of(training.description)
    images = []
    for case in _spread(train, LOOKED_AT):
        image, labels = case_file.image_and_labels(folder, case)
        if image.size <= LARGEST:
            images.append((image, labels))
    return FoldData(
        _properties(folder, train, classes),
        _properties(folder, validation, classes),
        len(train),
        tuple(images),
        classes.ignore,
        _lacking(training, place, variables, train),
    )


def _lacking(training: Training, place: Path, variables: Mapping[str, str], cases: Sequence[str]) -> Mapping[str, int]:
    raw = Path(variables["nnUNet_raw"], place.name) if variables.get("nnUNet_raw") else None
    table = annotated_classes.find(raw, place, training.description)
    counts = (
        {name: sum(name in table.lacking(case) for case in cases) for name in table.classes.values} if table else {}
    )
    return {name: count for name, count in counts.items() if count}


def _cases(training: Training, place: Path, present: set[str]) -> tuple[list[str], list[str]]:
    """Training and validation cases; of the fold ``all`` every case is both."""
    file = place / "splits_final.json"
    if training.fold == "all" or not file.is_file():
        return sorted(present), sorted(present)
    folds = read_json(file)
    number = int(training.fold) if training.fold.isdecimal() else -1
    if not isinstance(folds, list) or not 0 <= number < len(folds):
        raise ValueError(f"{file} has no fold {training.fold}")
    train, validation = ([case for case in folds[number][part] if case in present] for part in ("train", "val"))
    return train, validation


def _spread(cases: Sequence[str], count: int) -> list[str]:
    """So many cases, from the whole list."""
    step = max(len(cases) / count, 1)
    return [cases[int(number * step)] for number in range(min(count, len(cases)))]


def _properties(folder: Path, cases: Sequence[str], classes: Classes) -> tuple[CaseClasses, ...]:
    known: list[CaseClasses] = []
    unmet = set(classes.values)
    for case in cases:
        if len(known) >= ENOUGH and not unmet:
            break
        properties = _of_case(case_file.properties(folder / f"{case}.pkl"), classes)
        known.append(properties)
        unmet -= properties.classes
    return tuple(known)


def _of_case(properties: Mapping[str, Any], classes: Classes) -> CaseClasses:
    locations = {_key(key): len(voxels) for key, voxels in dict(properties.get("class_locations", {})).items()}
    names = frozenset(name for name in classes.values if locations.get(classes.key(name)))
    annotated = [count for key, count in locations.items() if key.startswith(f"({case_file.ANNOTATED},")]
    return CaseClasses(names, any(annotated) if annotated else classes.ignore is None or bool(names))


def _key(key: Any) -> str:
    """A key of nnU-Net's class locations as its ``summary.json`` writes it."""
    return str(tuple(map(int, key))) if isinstance(key, tuple | list) else str(int(key))
