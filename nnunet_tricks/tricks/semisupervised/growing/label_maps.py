"""The label map of a case, with what its members are certain about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from batchgenerators.utilities.file_and_folder_operations import load_pickle
from numpy.typing import NDArray

from nnunet_tricks.tricks.inference.members import read_labels, read_probabilities
from nnunet_tricks.tricks.semisupervised.growing.certain import Outputs, certain_labels, grown
from nnunet_tricks.tricks.semisupervised.growing.source import GrowSource


@dataclass(frozen=True)
class GrownLabel:
    """A label map with added labels.

    Attributes:
        array: The label map.
        properties: Geometry, as nnU-Net's reader writes it.
        predicted: From each label to the voxels predicted as it where nobody annotated.
        kept: From each label to those of them that are certain.
    """

    array: NDArray[np.uint8]
    properties: Any
    predicted: dict[int, int]
    kept: dict[int, int]


def label_map(
    source: GrowSource, outputs: Outputs, thresholds: Sequence[float], case: str, folders: Sequence[Path]
) -> GrownLabel:
    """Add labels to a case.

    Args:
        source: The data set.
        outputs: What the networks' outputs stand for.
        thresholds: Smallest mean probability of each output.
        case: Name of the case.
        folders: Folders of the members' probabilities.

    Raises:
        ValueError: If its label map and its prediction have different shapes.
    """
    labels, certain = certain_labels(
        [read_probabilities(folder / f"{case}.npz") for folder in folders], thresholds, outputs
    )
    label = source.files(case).label
    known, properties = read_labels(source.reader, label) if label else (None, None)
    try:
        array, unknown = grown(known, labels, certain, source.ignore)
    except ValueError as error:
        raise ValueError(f"case {case}: {error}: predict again with --overwrite") from None
    values = range(source.ignore)
    return GrownLabel(
        array,
        properties or load_pickle(str(folders[0] / f"{case}.pkl")),
        {value: int((labels[unknown] == value).sum()) for value in values},
        {value: int((labels[unknown & certain] == value).sum()) for value in values},
    )
