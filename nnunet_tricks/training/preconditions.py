"""What must hold before a training may start, checked before nnU-Net makes a folder."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nnunetv2 import paths
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_tricks.catalogue import naming
from nnunet_tricks.catalogue.info import TrickInfo
from nnunet_tricks.catalogue.naming import TrainerName
from nnunet_tricks.nnunet.plans_file import refuse_pretrained
from nnunet_tricks.training.network_sizes import is_small
from nnunet_tricks.training.planned import Planned
from nnunet_tricks.utilities.wording import some

Fold = dict[str, list[str]]

NNUNET_FOLDS = 5
"""Folds that nnU-Net draws where there is no split file."""


class UnsuitableImages(ValueError):
    """Raised where a network does not take such images, whatever their size: with so many axes or channels."""


def check(trainer: str, plans: dict[str, Any], configuration: str, fold: int | str) -> None:
    """Refuse settings with which nnU-Net would fail later, or silently do something else.

    Args:
        trainer: Name of the trainer.
        plans: Content of the plans file.
        configuration: One of its configurations.
        fold: Fold of the split, or ``"all"``.

    Raises:
        ValueError: If the results folder is not set, the plans name pretrained weights that nobody would load, the
            configuration is not in the plans, the fold is not in the split (nnU-Net would draw a random one, which
            leaks where one official split exists), the first stage of a cascade has not been trained, or the name of
            the model's folder is too long.
    """
    for variable in ("nnUNet_preprocessed", "nnUNet_results"):
        if not _folder(variable):
            raise ValueError(f"{variable} is not set: 'export {variable}=FOLDER' before the command, with your folder")
    refuse_pretrained(plans, f"{plans.get('plans_name', 'the plans file')}.json")
    if configuration not in plans["configurations"]:
        known = ", ".join(plans["configurations"])
        raise ValueError(f"configuration '{configuration}' is not in {plans['plans_name']}.json, which has {known}")
    model = naming.model_folder(trainer, plans["plans_name"], configuration)
    if len(model.encode()) > naming.LONGEST_FOLDER:
        raise ValueError(
            f"the model's folder would be called '{model}', which has {len(model.encode())} characters, and a folder's "
            f"name has at most {naming.LONGEST_FOLDER}: give the plans or the configuration a shorter name"
        )
    split = Path(_folder("nnUNet_preprocessed")) / plans["dataset_name"] / "splits_final.json"
    folds = _folds_of(split)
    cases = _cases_of(split, folds, fold)
    previous = PlansManager(plans).get_configuration(configuration).previous_stage_name
    if previous:
        _check_first_stage(trainer, plans, configuration, previous, cases, folds, fold)


def check_networks(name: TrainerName, planned: Planned) -> None:
    """Refuse tricks that cannot be trained with the images of a configuration.

    Args:
        name: Tricks of the trainer.
        planned: Plans, configuration and labels.

    Raises:
        UnsuitableImages: If the images have another number of axes than a network takes.
        ValueError: If a package that a trick needs is missing, or patches are too small for its network.
    """
    patch = planned.configuration.patch_size
    for info in (trick.info for trick in name.tricks):
        check_packages(info)
        if not info.base and info.dimensions not in (0, len(patch)):
            raise UnsuitableImages(
                f"{info.name} is a network for {info.dimensions}D images, and the configuration has patches of "
                f"{'x'.join(map(str, patch))}: choose a configuration in {info.dimensions}D or another network "
                "('nnunet-tricks list --hook network')"
            )
        if max(patch) < info.minimum and not is_small():
            raise ValueError(
                f"{info.name} needs patches of at least {info.minimum} voxels along one axis, and those of the "
                f"configuration have {'x'.join(map(str, patch))}: plan larger ones with 'nnunet-tricks plan --patch'"
            )


def check_packages(info: TrickInfo) -> None:
    """Refuse a trick whose packages are not installed.

    Raises:
        ValueError: With the line that installs them.
    """
    missing = [package for package in info.packages if find_spec(package) is None]
    if missing:
        raise ValueError(
            f"{info.name} needs {' and '.join(missing)}, not installed here: pip install 'nnunet_tricks[{info.extra}]'"
        )


def has_checkpoint(trainer: str, plans: dict[str, Any], configuration: str, fold: int | str) -> bool:
    """Whether a fold has a checkpoint, from which a training continues, validates or predicts.

    Args:
        trainer: Name of the trainer.
        plans: Content of the plans file.
        configuration: One of its configurations.
        fold: Fold of the split, or ``"all"``.
    """
    model = naming.model_folder(trainer, plans["plans_name"], configuration)
    folder = Path(_folder("nnUNet_results")) / plans["dataset_name"] / model / f"fold_{fold}"
    return any(folder.glob("checkpoint_*.pth"))


def training_cases(split: Path, fold: int | str | None) -> list[str] | None:
    """The cases that a fold is trained on, by the split file; ``None`` where it does not say.

    Args:
        split: The split file of nnU-Net, which may be missing.
        fold: Fold of the split, ``"all"``, or ``None`` where it is not known.
    """
    if fold is None or not split.is_file():
        return None
    folds = _read(split)
    return _cases_of(split, folds, fold) if fold == "all" else list(folds[int(fold)]["train"])


def validation_cases(dataset: str, fold: int | str | None) -> list[str]:
    """The cases that a fold keeps for validation, by the split file; none where it does not say, or for ``"all"``.

    Args:
        dataset: Full name of the data set.
        fold: Fold of the split, ``"all"``, or ``None`` where it is not known.
    """
    split = Path(_folder("nnUNet_preprocessed")) / dataset / "splits_final.json"
    if fold in (None, "all") or not split.is_file():
        return []
    return list(_read(split)[int(str(fold))]["val"])


def _folder(variable: str) -> str:
    # A string or None in nnU-Net 2.7; since 2.8 an object that is true whenever the variable is there, even if empty.
    path = getattr(paths, variable)
    return os.fspath(path) if path else ""


def _folds_of(split: Path) -> list[Fold]:
    """The folds of a split file, or as many empty ones as nnU-Net draws where there is none."""
    return _read(split) if split.is_file() else [{"train": [], "val": []}] * NNUNET_FOLDS


def _cases_of(split: Path, folds: list[Fold], fold: int | str) -> list[str]:
    """The cases of a fold by the split file; nothing where there is none."""
    if fold == "all":
        return sorted({case for part in folds for cases in part.values() for case in cases})
    if not 0 <= int(fold) < len(folds):
        which = f"{split} has" if split.is_file() else f"without {split} nnU-Net draws"
        raise ValueError(f"fold {fold} is not in the split: {which} folds 0 to {len(folds) - 1}")
    return [*folds[int(fold)]["train"], *folds[int(fold)]["val"]]


def _read(split: Path) -> list[Fold]:
    try:
        folds = json.loads(split.read_text())
    except ValueError as error:
        raise ValueError(
            f"{split} is no JSON ({error}): correct or delete it, nnU-Net then draws a new split"
        ) from error
    if not (isinstance(folds, list) and folds and all({"train", "val"} <= set(part) for part in folds)):
        raise ValueError(f"{split} must hold a list of folds, each with 'train' and 'val': correct or delete it")
    return folds


def _check_first_stage(
    trainer: str,
    plans: dict[str, Any],
    configuration: str,
    previous: str,
    cases: list[str],
    folds: list[Fold],
    fold: int | str,
) -> None:
    model = Path(_folder("nnUNet_results")) / plans["dataset_name"]
    model /= naming.model_folder(trainer, plans["plans_name"], previous)
    predictions = model / "predicted_next_stage" / configuration
    predicted = {path.stem for path in predictions.iterdir()} if predictions.is_dir() else set()
    missing = [case for case in cases if case not in predicted]
    if predicted and not missing:
        return
    what = f"{len(missing)} of {len(cases)} cases ({missing[0]}, ...)" if missing and predicted else "any case"
    start = (
        f"{configuration} starts from what the same trainer predicts with {previous}, and {predictions} holds nothing "
        f"for {what}."
    )

    def command(fold: int | str) -> str:
        return f"'nnUNetv2_train {plans['dataset_name']} {previous} {fold} -tr {trainer} -p {plans['plans_name']}'"

    if fold == "all":
        raise ValueError(f"{start} First train it on all cases: {command('all')}")
    # What predicts a case for the second stage must not have learned from it: the fold that keeps it for validation.
    keeping = [number for number, part in enumerate(folds) if not missing or set(missing) & set(part["val"])]
    never = sorted(set(missing) - {case for part in folds for case in part["val"]})
    if never:
        raise ValueError(
            f"{start} No fold of the split keeps {never[0]} for validation ({len(never)} such cases), so that no first "
            "stage would predict it that has not learned from it: make a split in which each case is in the 'val' of "
            f"one fold, and first train each fold: {command(0)} and so on"
        )
    first, *others = keeping
    then = f", and so for {'folds' if len(others) > 1 else 'fold'} {some([*map(str, others)])}" if others else ""
    raise ValueError(
        f"{start} First train it on each fold, so that no case is predicted by a model that has learned from it: "
        f"{command(first)}{then}"
    )
