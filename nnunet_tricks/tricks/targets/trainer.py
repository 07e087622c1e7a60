"""The trainer that losses with maps beside the truth build on."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import nnunetv2.paths

from nnunet_tricks.training import voxel_sizes
from nnunet_tricks.training.trainer import LossTrainer, MakeTransforms
from nnunet_tricks.training.voxel_sizes import CurrentEdges, MeasuredCases
from nnunet_tricks.tricks.targets.instances import coloured_cases
from nnunet_tricks.tricks.targets.maps import AppendMaps, Layout, WithMaps
from nnunet_tricks.tricks.targets.pieces import MapOfKinds


class MappedLossTrainer(LossTrainer):
    """A trainer whose loss reads maps; the workers that augment make them from the augmented truth.

    The maps travel as further channels of the target at full size, and are taken off before nnU-Net sees the target.
    The loss finds them as ``Prediction.maps`` at full size, and ``None`` at the lower levels of deep supervision.

    Attributes:
        per_decision: Whether there is one map for each decision (see ``Prediction.decisions``) and not for each
            foreground class.
        instances: Whether objects that touch are separated where the raw data set has ``instancesTr``.
        numbers: Whether maps hold numbers of things, see ``map_of_annotated``.
    """

    per_decision: ClassVar[bool] = False
    instances: ClassVar[bool] = False
    numbers: ClassVar[bool] = False

    @property
    @abstractmethod
    def map_of_kinds(self) -> MapOfKinds:
        """The function that makes a map: one of a module or a partial of it, since it is pickled for the workers."""

    @property
    def layout(self) -> Layout:
        """Layout of the target's channels."""
        return Layout(
            classes=len(self.class_names) - (0 if self.has_regions else 1),
            regions=self.has_regions,
            ignore=self.label_manager.ignore_label is not None,
            per_decision=self.per_decision,
        )

    @property
    def maps_of_truth(self) -> AppendMaps:
        """The transform that makes the maps."""
        return AppendMaps(self.map_of_kinds, self.layout, self._edges, numbers=self.numbers)

    @cached_property
    def _edges(self) -> CurrentEdges:
        """Edges of a voxel: planned ones, or those of the case that is loaded."""
        return CurrentEdges(self.configuration_manager.spacing)

    def training_transforms(self, make: MakeTransforms) -> MakeTransforms:
        """Transforms of which the last one appends the maps, after those of all other tricks."""
        return WithMaps(super().training_transforms(make), self.maps_of_truth, instances=self.instances)

    def validation_transforms(self, make: MakeTransforms) -> MakeTransforms:
        """As ``training_transforms``, for validation patches."""
        return WithMaps(super().validation_transforms(make), self.maps_of_truth, instances=self.instances)

    def get_tr_and_val_datasets(self) -> Any:
        """nnU-Net's cases, with colours of instances where the raw data set has some and the trick asks for them."""
        cases = super().get_tr_and_val_datasets()
        if not voxel_sizes.as_planned(self.configuration_manager):
            self.print_to_log_file(
                "images are not resampled to one spacing: distances are measured in the voxels of each case",
                add_timestamp=False,
            )
            transposed = self.plans_manager.transpose_forward
            cases = tuple(MeasuredCases(part, self._edges, transposed) for part in cases)
        if not self.instances:
            return cases
        folder = Path(self.preprocessed_dataset_folder)
        folder = folder.with_name(f"{folder.name}_instances")
        root = nnunetv2.paths.nnUNet_raw
        raw = None if root is None else Path(root) / self.plans_manager.dataset_name
        return tuple(coloured_cases(self, part, raw, folder, self.print_to_log_file) for part in cases)

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """nnU-Net's step on a target without maps; the loss has them already."""
        return super().train_step(self._without_maps(batch))

    def validation_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """As ``train_step``, without learning."""
        return super().validation_step(self._without_maps(batch))

    def _without_maps(self, batch: dict[str, Any]) -> dict[str, Any]:
        levels = batch["target"] if isinstance(batch["target"], list) else [batch["target"]]
        full, self.criterion.maps = self.layout.split(levels[0].to(self.device, non_blocking=True))
        return {**batch, "target": [full, *levels[1:]] if isinstance(batch["target"], list) else full}
