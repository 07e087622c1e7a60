"""Plans of a dense data set, copied for one of sparse annotation, which is never planned itself.

nnU-Net's fingerprint counts the ignore label as foreground. Plans made from sparse labels would clip and scale CT by
the intensities of whatever is not annotated. Plans of the dense set also keep trainings comparable.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_tricks.annotation.selection import ChosenSlices
from nnunet_tricks.nnunet.plans_file import Plans, is_plans, read, resolve
from nnunet_tricks.utilities.files import write_atomically

FINGERPRINT = "dataset_fingerprint.json"


@dataclass(frozen=True)
class Preprocessed:
    """First files of the folder of preprocessed data, which ``nnUNetv2_preprocess`` needs.

    Attributes:
        plans: Content of each plans file, by name.
        fingerprint: File of the dense data set; trainings copy it to their results.
    """

    plans: Mapping[str, Plans]
    fingerprint: Path


def required(folder: Path) -> dict[str, Plans]:
    """All plans of a data set, by the name of their file.

    Args:
        folder: Preprocessed data of the data set.

    Raises:
        ValueError: If it has no plans or no fingerprint.
    """
    plans = {file.stem: read(file) for file in sorted(folder.glob("*.json")) if is_plans(file)}
    if not plans or not (folder / FINGERPRINT).is_file():
        number = int(folder.name[len("Dataset") :].partition("_")[0])
        raise ValueError(
            f"{folder} has no plans: first run 'nnUNetv2_plan_and_preprocess -d {number}', since a data set with fewer "
            "labels takes its plans from the whole one"
        )
    return plans


def renamed(folder: Path, name: str) -> dict[str, Plans]:
    """All plans of a data set under the name of another, by the name of their file.

    Args:
        folder: Preprocessed data of the data set.
        name: Full name of the other one.
    """
    files = [file for file in sorted(folder.glob("*.json")) if is_plans(file)]
    return {file.stem: {**read(file), "dataset_name": name} for file in files}


def fitted(plans: Plans, chosen: Mapping[str, ChosenSlices], name: str) -> tuple[Plans, list[str]]:
    """Rename plans for another data set, without configurations that would cut across its slices.

    A 2D configuration trains on slices along the first of the plans' axes. If that is not inferior-superior, each of
    its slices would hold only a few annotated lines.

    Args:
        plans: Plans of the dense data set, which are not changed.
        chosen: Annotated slices of each case.
        name: Full name of the sparse data set.

    Returns:
        The plans, and the names of the configurations that were left out.

    Raises:
        ValueError: If no configuration remains.
    """
    across = {choice.scan.axial.array_axis for choice in chosen.values()} - {int(plans["transpose_forward"][0])}
    changed = deepcopy(plans)
    changed["dataset_name"] = name
    left_out = [name for name in plans["configurations"] if across and len(resolve(plans, name)["patch_size"]) == 2]
    for configuration in left_out:
        del changed["configurations"][configuration]
    if not changed["configurations"]:
        raise ValueError(
            "the plans have only 2D configurations, and none of these is along inferior-superior: annotated slices "
            "would be lines in them"
        )
    return changed, left_out


def vanishing(plans: Plans, chosen: Mapping[str, ChosenSlices]) -> Iterator[tuple[str, int]]:
    """Count annotated slices that are lost by resampling to fewer slices, by configuration.

    Yields:
        Name of a configuration that loses slices, and their number: those to which no slice of the resampled volume is
        nearest. Cropping is not considered.
    """
    for name in plans["configurations"]:
        spacing = resolve(plans, name)["spacing"]
        if len(spacing) != 3 or "inherits_from" in plans["configurations"][name]:
            continue
        lost = 0
        for choice in chosen.values():
            volume = choice.scan.axial
            target = spacing[list(plans["transpose_forward"]).index(volume.array_axis)]
            count = max(1, round(volume.spacing / target * volume.slices))
            nearest = {int((2 * index + 1) * volume.slices / (2 * count)) for index in range(count)}
            lost += len(set(choice.slices) - nearest)
        if lost:
            yield name, lost


def write(
    folder: Path,
    plans: Mapping[str, Plans],
    description: Mapping[str, Any],
    fingerprint: Path,
    splits: list[dict[str, list[str]]] | None,
) -> None:
    """Fill the folder of preprocessed data, so that ``nnUNetv2_preprocess`` can continue from there.

    Args:
        folder: Folder of the sparse data set, which does not exist yet.
        plans: Content of each plans file, by name.
        description: Content of ``dataset.json``.
        fingerprint: File of the dense data set; trainings copy it to their results.
        splits: Folds, if any are known; otherwise nnU-Net's first training makes them.
    """
    folder.mkdir(parents=True)
    contents = {**plans, "dataset": description} | ({"splits_final": splits} if splits else {})
    for name, content in contents.items():
        write_atomically(folder / f"{name}.json", json.dumps(content, indent=4))
    write_atomically(folder / FINGERPRINT, fingerprint.read_bytes())
