"""Which models may label for which training, so that no validation case teaches itself.

A training of fold k is scored on the cases V_k. Whoever makes labels for this training must never have seen a label of
V_k. Otherwise what it learned from them comes back in the labels of other cases. So a model may label for fold k only
if none of its own training cases is in V_k. In an ordinary cross-validation that is fold k's own model, and the members
of the ensemble are fold k of several trainings. For a last training on all cases, which is scored on cases of no fold,
every fold may label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_tricks.annotation.labels import IGNORE
from nnunet_tricks.nnunet.folders import read_json
from nnunet_tricks.nnunet.model_folder import find_model
from nnunet_tricks.utilities.wording import some

ALL = "all"
"""Name of the training on all cases, among numbers of folds."""

Splits = Sequence[Mapping[str, Sequence[str]]]


@dataclass(frozen=True)
class Labeller:
    """A trained network.

    Attributes:
        model: Its model folder.
        fold: Its fold.
    """

    model: Path
    fold: int

    def __str__(self) -> str:
        """Name of the model folder with the fold."""
        return f"{self.model.name} fold {self.fold}"


def may_label(splits: Splits, labeller: int, fold: int) -> bool:
    """Whether a model of one fold may label for the training of another: it has seen no label that this is scored on.

    Examples:
        >>> splits = [{"train": ["b", "c"], "val": ["a"]}, {"train": ["a", "c"], "val": ["b"]}]
        >>> may_label(splits, 0, 0), may_label(splits, 1, 0)
        (True, False)
    """
    return not set(splits[labeller]["train"]) & set(splits[fold]["val"])


def labellers(
    splits: Splits, models: Sequence[Path], folds: Sequence[int], checkpoint: str, *, final: bool = False
) -> dict[str, list[Labeller]]:
    """Who labels for which training.

    Args:
        splits: Folds of the data set.
        models: Model folders.
        folds: Folds that get labels; with ``final`` those that give them.
        checkpoint: File of each fold.
        final: Whether labels are for one training on all cases.

    Returns:
        From the fold to its members; ``ALL`` is the only fold with ``final``.

    Raises:
        ValueError: If a fold is not in the split, or its model is missing.
    """
    for fold in folds:
        if not 0 <= fold < len(splits):
            raise ValueError(f"fold is {fold}, and the split has {len(splits)}: give folds from 0 to {len(splits) - 1}")
    there = {
        model: [fold for fold in range(len(splits)) if (model / f"fold_{fold}" / checkpoint).is_file()]
        for model in models
    }
    chosen = [*folds] or [*range(len(splits))]
    for model in models:
        lacking = [fold for fold in chosen if fold not in there[model]]
        if not lacking:
            continue
        present = some([str(fold) for fold in there[model]]) or "none"
        if final:
            raise ValueError(f"{model} has no fold_{lacking[0]}/{checkpoint} (there is {present}): give others with -f")
        raise ValueError(
            f"{model} has no fold_{lacking[0]}/{checkpoint} (there is {present}), and no other fold's model may label "
            f"for fold {lacking[0]}, since it was trained on cases that this fold is scored on: train it, or choose "
            "folds with -f"
        )
    if final:
        return {ALL: [Labeller(model, fold) for model in models for fold in chosen]}
    return {
        str(fold): [Labeller(model, by) for model in models for by in there[model] if may_label(splits, by, fold)]
        for fold in chosen
    }


def check_model(model: Path, checkpoint: str, dataset: str, description: Mapping[str, Any], splits: Splits) -> None:
    """Refuse a model of other data, and one that was trained before the split was changed.

    Args:
        model: Model folder.
        checkpoint: File of each fold.
        dataset: Full name of the data set.
        description: Content of its ``dataset.json``.
        splits: Its folds.

    Raises:
        ValueError: With the reason.
    """
    find_model(model)
    plans, trained = read_json(model / "plans.json"), read_json(model / "dataset.json")
    if plans["dataset_name"] != dataset:
        raise ValueError(
            f"{model} was trained on {plans['dataset_name']}, and its folds say nothing about those of {dataset}: give "
            f"models of {dataset}"
        )
    mine, theirs = (
        {name: value for name, value in content["labels"].items() if name != IGNORE}
        for content in (description, trained)
    )
    if mine != theirs:
        raise ValueError(f"{model} predicts {', '.join(theirs)}, and {dataset} has {', '.join(mine)}: train it again")
    channels = [content.get("channel_names", content.get("modality")) for content in (description, trained)]
    if channels[0] != channels[1] or description["file_ending"] != trained["file_ending"]:
        raise ValueError(f"{model} was trained on other channels or files than {dataset} has now: train it again")
    if "previous_stage" in plans["configurations"].get(model.name.rpartition("__")[2], {}):
        raise ValueError(f"{model} is the second stage of a cascade, which cannot label by itself: give another model")
    for fold, parts in enumerate(splits):
        summary = model / f"fold_{fold}" / "validation" / "summary.json"
        if not (model / f"fold_{fold}" / checkpoint).is_file() or not summary.is_file():
            continue
        validated = {
            Path(case["prediction_file"]).name.removesuffix(description["file_ending"])
            for case in read_json(summary)["metric_per_case"]
        }
        if validated != set(parts["val"]):
            odd = sorted(validated ^ set(parts["val"]))
            raise ValueError(
                f"{model} was validated in fold {fold} on other cases than splits_final.json has there, such as "
                f"{odd[0]}: the split has changed since, and nobody knows what the model has seen"
            )
