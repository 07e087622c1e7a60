"""Which training cases have foreground, by what nnU-Net's preprocessing stored with them."""

from __future__ import annotations

import os
import pickle
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

from nnunetv2 import paths

from nnunet_tricks.training.planned import Planned
from nnunet_tricks.training.preconditions import training_cases

Locations = Mapping[Hashable, Any]
"""Some voxels (n, 1 + dimensions) of each class or region of a case."""


def foreground(locations: Locations, annotated_key: Hashable) -> dict[Hashable, Any]:
    """Voxels of the classes or regions that a case has.

    Args:
        locations: ``class_locations`` of the case.
        annotated_key: Key under which nnU-Net stores whatever is annotated, where there is an ignore label.

    Examples:
        >>> foreground({1: [(0, 2, 3)], 2: [], (-1, 0, 1, 2): [(0, 0, 0)]}, (-1, 0, 1, 2))
        {1: [(0, 2, 3)]}
    """
    # A label may be a number of NumPy, which compares with each number of a tuple.
    return {
        label: voxels
        for label, voxels in locations.items()
        if len(voxels) and not (isinstance(label, tuple) and label == annotated_key)
    }


def planned_foreground(planned: Planned) -> dict[str, dict[Hashable, Any]]:
    """Foreground of the training cases of a fold, before the trainer is made.

    Args:
        planned: Plans, configuration and fold.

    Returns:
        One entry for each preprocessed training case, empty for a case without foreground. Without a split file, these
        are all preprocessed cases: nnU-Net then draws the folds later.
    """
    data_set = Path(os.fspath(paths.nnUNet_preprocessed)) / planned.plans.dataset_name
    folder = data_set / planned.configuration.data_identifier
    cases = training_cases(data_set / "splits_final.json", planned.fold)
    files = sorted(folder.glob("*.pkl")) if cases is None else [folder / f"{case}.pkl" for case in cases]
    annotated_key = (-1, *planned.labels.all_labels)
    found = {}
    for file in files:
        if file.is_file():
            properties = pickle.loads(file.read_bytes())  # nnU-Net's own file, which it reads in the same way
            found[file.stem] = foreground(properties["class_locations"], annotated_key)
    return found
