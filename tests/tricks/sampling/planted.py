"""Cases in memory with objects of known sizes, for nnU-Net's own loader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from batchgenerators.utilities.file_and_folder_operations import write_pickle
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from nnunetv2.utilities.label_handling.label_handling import LabelManager
from numpy.typing import NDArray

LABELS = LabelManager({"background": 0, "a": 1, "b": 2}, None)
IGNORING = LabelManager({"background": 0, "a": 1, "b": 2, "ignore": 3}, None)
REGIONS = LabelManager({"background": 0, "whole": [1, 2], "core": 2}, [1, 2])


class PlantedCases:
    """What nnU-Net's loader reads, from arrays; the values of an image tell which case it is from."""

    def __init__(self, labels: dict[str, NDArray[np.int16]], manager: LabelManager) -> None:
        self.labels, self.manager = labels, manager
        self.identifiers = list(labels)

    def load_case(self, identifier: str) -> tuple[Any, ...]:
        labels = self.labels[identifier]
        image = np.full((1, *labels.shape), 1 + self.identifiers.index(identifier), np.float32)
        manager = self.manager
        classes = manager.foreground_regions if manager.has_regions else manager.foreground_labels
        keys = [tuple(label) if isinstance(label, (tuple, list)) else label for label in classes]
        locations = {
            key: np.pad(np.argwhere(np.isin(labels, key)), ((0, 0), (1, 0)))
            for key in keys
            if key != manager.ignore_label
        }
        if manager.has_ignore_label:
            locations[(-1, *manager.all_labels)] = np.pad(np.argwhere(labels != manager.ignore_label), ((0, 0), (1, 0)))
        return image, labels[None], None, {"class_locations": locations}

    def write(self, folder: Path) -> None:
        """What dates the cases on disk."""
        folder.mkdir(parents=True, exist_ok=True)
        for case in self.identifiers:
            write_pickle({}, str(folder / f"{case}.pkl"))


def loader_of(
    cases: Any, size: tuple[int, ...], manager: LabelManager, *, fraction: float = 1, transforms: Any = None
) -> nnUNetDataLoader:
    """nnU-Net's loader of patches, one a batch."""
    return nnUNetDataLoader(
        cases, 1, size, size, manager, oversample_foreground_percent=fraction, transforms=transforms
    )
