"""Volumes in memory, as nnU-Net's loader reads preprocessed ones, dense or with nnU-Net's ignore label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTransform
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.label_handling.label_handling import LabelManager

from nnunet_tricks.annotation import policies
from nnunet_tricks.tricks.sparse.cases import SparseCase, SparseCases
from nnunet_tricks.tricks.sparse.centres import PatchCentres
from nnunet_tricks.tricks.sparse.survey import MOST, survey

IGNORE = 3
MANAGER = LabelManager({"background": 0, "organ": 1, "core": 2, "ignore": IGNORE}, None)


class Volumes:
    """Images that are 1 everywhere, with an organ and its core in their middle."""

    def __init__(self, shapes: Sequence[tuple[int, int, int]], density: float = 1) -> None:
        self.identifiers = [f"case_{number}" for number in range(len(shapes))]
        self.density = density
        self.dense = {case: labels_of(shape) for case, shape in zip(self.identifiers, shapes, strict=True)}
        self.labels = {case: self.blanked(case) for case in self.identifiers}

    def slices(self, case: str) -> tuple[int, ...]:
        return policies.chosen("fixed", len(self.dense[case]), self.density)

    def blanked(self, case: str) -> np.ndarray:
        labels = np.full_like(self.dense[case], IGNORE)
        labels[list(self.slices(case))] = self.dense[case][list(self.slices(case))]
        return labels

    def load_case(self, case: str) -> tuple[Any, ...]:
        labels = self.labels[case][None]
        wanted = [*MANAGER.foreground_labels, [-1, *MANAGER.all_labels]]
        locations = DefaultPreprocessor._sample_foreground_locations(labels, wanted)
        return np.ones(labels.shape, np.float32), labels, None, {"class_locations": locations}


def labels_of(shape: tuple[int, int, int]) -> np.ndarray:
    grid = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    radius = np.sqrt(sum(axis**2 for axis in grid))
    return ((radius < 0.8).astype(np.int16) + (radius < 0.4)).astype(np.int16)


def as_annotated(volumes: Volumes, most: int = MOST) -> SparseCases:
    """The dense volumes with the trainer's own blanking, of the same slices."""
    sparse = {}
    for case, labels in volumes.dense.items():
        kept = np.zeros(len(labels), bool)
        kept[list(volumes.slices(case))] = True
        surveyed = survey(
            labels, np.flatnonzero(kept), axis=0, ignore=IGNORE, generator=np.random.default_rng(0), most=most
        )
        sparse[case] = SparseCase(survey=surveyed, kept=kept)
    whole = Volumes([labels.shape for labels in volumes.dense.values()])
    return SparseCases(whole, sparse, IGNORE)


def loader(
    cases: Any, patch: Sequence[int], *, batch: int = 2, initial: Sequence[int] = (), transforms: Any = None
) -> nnUNetDataLoader:
    return nnUNetDataLoader(
        cases, batch, initial or patch, patch, MANAGER, oversample_foreground_percent=0.33, transforms=transforms
    )


def ours(
    volumes: Volumes, patch: Sequence[int], table: str = "nnunet", **settings: Any
) -> tuple[nnUNetDataLoader, PatchCentres]:
    made = loader(as_annotated(volumes), patch, **settings)
    centres = PatchCentres(made, table, [1, 2])
    centres.install()
    return made, centres


def moving_only(make: Any, patch: Sequence[int]) -> BasicTransform:
    """Of a trainer's transforms those that move voxels and those that say what padding is."""
    rotation = (-0.5, 0.5)
    transforms = make(patch, rotation, None, (), False, ignore_label=IGNORE).transforms
    kinds = SpatialTransform | RemoveLabelTransform
    return ComposeTransforms([transform for transform in transforms if isinstance(transform, kinds)])


STOCK = nnUNetTrainer.get_training_transforms
