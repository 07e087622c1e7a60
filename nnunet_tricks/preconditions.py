"""What must hold before a training may start, checked before nnU-Net makes a folder."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from nnunetv2 import paths
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_tricks.planning.plans_file import refuse_pretrained

NNUNET_FOLDS = 5
"""Folds that nnU-Net draws where there is no split file."""


def check(trainer: str, plans: dict[str, Any], configuration: str, fold: int | str) -> None:
    """Refuse what nnU-Net would stumble over later, or silently do differently.

    Args:
        trainer: Name of the trainer.
        plans: Content of the plans file.
        configuration: One of its configurations.
        fold: Fold of the split, or ``"all"``.

    Raises:
        ValueError: If the results folder is not set, the plans name pretrained weights that nobody would load, the
            configuration is not in the plans, the fold is not in the split (nnU-Net would draw a random one, which
            leaks where one official split exists), or the first stage of a cascade has not been trained.
    """
    for variable in ("nnUNet_preprocessed", "nnUNet_results"):
        if not _folder(variable):
            raise ValueError(f"{variable} is not set: 'export {variable}=FOLDER' before the command, with your folder")
    refuse_pretrained(plans, f"{plans.get('plans_name', 'the plans file')}.json")
    if configuration not in plans["configurations"]:
        known = ", ".join(plans["configurations"])
        raise ValueError(f"configuration '{configuration}' is not in {plans['plans_name']}.json, which has {known}")
    cases = _cases_of(Path(_folder("nnUNet_preprocessed")) / plans["dataset_name"] / "splits_final.json", fold)
    previous = PlansManager(plans).get_configuration(configuration).previous_stage_name
    if previous:
        _check_first_stage(trainer, plans, configuration, previous, cases)


def _folder(variable: str) -> str:
    # A string or None in nnU-Net 2.7; since 2.8 an object that is true whenever the variable is there, even if empty.
    path = getattr(paths, variable)
    return os.fspath(path) if path else ""


def _cases_of(split: Path, fold: int | str) -> list[str]:
    """The cases of a fold, as far as a split file tells."""
    folds = _read(split) if split.is_file() else [{"train": [], "val": []}] * NNUNET_FOLDS
    if fold == "all":
        return sorted({case for part in folds for cases in part.values() for case in cases})
    if not 0 <= int(fold) < len(folds):
        which = f"{split} has" if split.is_file() else f"without {split} nnU-Net draws"
        raise ValueError(f"fold {fold} is not in the split: {which} folds 0 to {len(folds) - 1}")
    return [*folds[int(fold)]["train"], *folds[int(fold)]["val"]]


def _read(split: Path) -> list[dict[str, list[str]]]:
    try:
        folds = json.loads(split.read_text())
    except ValueError as error:
        raise ValueError(f"{split} is no JSON ({error}): mend or delete it, nnU-Net then draws a new split") from error
    if not (isinstance(folds, list) and folds and all({"train", "val"} <= set(part) for part in folds)):
        raise ValueError(f"{split} must hold a list of folds, each with 'train' and 'val': mend or delete it")
    return folds


def _check_first_stage(
    trainer: str, plans: dict[str, Any], configuration: str, previous: str, cases: list[str]
) -> None:
    model = Path(_folder("nnUNet_results")) / plans["dataset_name"] / f"{trainer}__{plans['plans_name']}__{previous}"
    predictions = model / "predicted_next_stage" / configuration
    there = {path.stem for path in predictions.iterdir()} if predictions.is_dir() else set()
    missing = [case for case in cases if case not in there]
    if not there or missing:
        what = f"{len(missing)} of {len(cases)} cases ({missing[0]}, ...)" if missing and there else "any case"
        raise ValueError(
            f"{configuration} starts from what the same trainer predicts with {previous}, and {predictions} holds "
            f"nothing for {what}. First train it on all cases, or each fold of a cross-validation: "
            f"'nnUNetv2_train {plans['dataset_name']} {previous} all -tr {trainer} -p {plans['plans_name']}'"
        )
