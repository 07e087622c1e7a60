"""Labels of the training cases, compared with those of dataset.json.

A voxel with a label that dataset.json does not have belongs to no class. nnU-Net's own loss fails at the first patch
that shows one; overlap losses would learn from it as from nothing at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nnunetv2.utilities.label_handling.label_handling import LabelManager

from nnunet_tricks.utilities.wording import some


def check_consecutive(manager: LabelManager, data_set: str) -> None:
    """Refuse label maps of which a network cannot have one channel for each label.

    Args:
        manager: nnU-Net's manager of the labels.
        data_set: Name of the data set.

    Raises:
        ValueError: If labels are not 0, 1, 2, ... without a gap. Regions may unite any labels.
    """
    labels = [int(label) for label in manager.all_labels]
    if not manager.has_regions and labels != list(range(len(labels))):
        raise ValueError(
            f"dataset.json of {data_set} has the labels {_sentence(labels)}; nnU-Net needs 0, 1, 2, ... without a gap: "
            f"change the label maps to 0 to {len(labels) - 1}, and dataset.json with them"
        )


def check_cases(voxels: Mapping[str, Mapping[int, int]], manager: LabelManager, data_set: str) -> None:
    """Refuse cases with labels that dataset.json does not have.

    Args:
        voxels: Case -> label -> number of voxels, as ``voxel_counts.by_case`` gives them.
        manager: nnU-Net's manager of the labels.
        data_set: Name of the data set.

    Raises:
        ValueError: If there is one; names the first case.
    """
    known = {int(label) for label in manager.all_labels}
    if manager.ignore_label is not None:
        known.add(int(manager.ignore_label))
    stray = {case: sorted(set(labels) - known) for case, labels in sorted(voxels.items())}
    wrong = [case for case, labels in stray.items() if labels]
    if not wrong:
        return
    first = wrong[0]
    strays = _sentence(f"{label} ({voxels[first][label]} voxels)" for label in stray[first])
    others = f", and {len(wrong) - 1} more cases have such labels" if len(wrong) > 1 else ""
    raise ValueError(
        f"case '{first}' has label {strays}, which dataset.json of {data_set} does not have{others}; it has "
        f"{_sentence(sorted(known))}: correct the label maps or dataset.json, and preprocess again"
    )


def _sentence(values: Iterable[Any]) -> str:
    return some([str(value) for value in values])
