r"""nnU-Net's loss with a weight for each voxel, from maps of the data set.

A raw data set may have a folder ``weightsTr`` with a map for each case, named as its label map. With weights w it is
$\frac{\sum_i w_i CE_i}{\sum_i w_i} - \frac{2 \sum w p g + s}{\sum w p + \sum w g + s}$ over the annotated voxels.
Where all weights are alike, it is nnU-Net's loss, and a weight of 0 does what the ignore label does. Border maps for
separating cells (Ronneberger et al., "U-Net", MICCAI 2015) and an annotator's confidence are such weights. Cases
without a map weigh 1 everywhere.

Maps are cropped, resampled, warped and mirrored with their images, linearly (``targets/weights.py``). With ``binary``
weights above 0.5 become 1 and others 0 after that, so that a mask stays one. At lower levels of deep supervision a
voxel has the mean weight of those that it stands for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from nnunet_tricks.training.criterion import Prediction
from nnunet_tricks.training.planned import Planned
from nnunet_tricks.training.trainer import LossTrainer, MakeTransforms
from nnunet_tricks.tricks.loss.cross_entropy import cross_entropy
from nnunet_tricks.tricks.loss.dice import dice_score, nnunet_dice
from nnunet_tricks.tricks.targets import weights
from nnunet_tricks.tricks.targets.maps import Layout
from nnunet_tricks.tricks.targets.weights import WithWeights

MIXING = ("MixUp", "CopyPaste", "GANAug")
"""Tricks that bring voxels of other cases into a patch, or of none."""


@dataclass(frozen=True, kw_only=True)
class WeightedDiceCE:
    """nnU-Net's loss, in which each voxel counts as much as its weight says.

    Attributes:
        batch: Whether the batch counts as one image for Dice.
    """

    with_logs: ClassVar[bool] = True

    batch: bool

    def __call__(self, prediction: Prediction) -> Tensor:
        """The loss, a scalar."""
        if prediction.weights is None:
            return cross_entropy(prediction) + nnunet_dice(prediction, batch=self.batch)
        counts, total = prediction.counts_and_entropy(batch=self.batch)
        return total / prediction.sum_of_weights - dice_score(counts).mean()


class nnUNetTrainerWeightMap(LossTrainer):
    """nnU-Net with a weight for each voxel in its loss."""

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse tricks that mix cases; CutMix claims the targets itself."""
        super().check_planned(planned)
        mixing = [trick.info.name for trick in cls.trainer_name.switched if trick.info.name in MIXING]
        if mixing:
            raise ValueError(
                f"{mixing[0]} brings voxels of other cases into a patch, whose weights are not those of their place: "
                "take it or WeightMap out of the name"
            )

    @classmethod
    def check_fresh(cls, planned: Planned) -> None:
        """Preprocess the maps, and refuse those that are no weights of their cases."""
        super().check_fresh(planned)
        weights.prepare(planned.plans, planned.configuration, planned.dataset_json, print)

    def make_loss(self) -> WeightedDiceCE:
        """nnU-Net's loss with weights."""
        return WeightedDiceCE(batch=self.batch_dice)

    def get_tr_and_val_datasets(self) -> Any:
        """nnU-Net's cases, with weights as a further channel of their images where the data set has some."""
        cases, folder = super().get_tr_and_val_datasets(), self._weights_folder
        if folder is None:
            self._log_plainly(f"WARNING: WeightMap changes nothing: the data set has no {weights.FOLDER}")
            return cases
        return tuple(weights.WeightedCases(part, folder) for part in cases)

    def training_transforms(self, make: MakeTransforms) -> MakeTransforms:
        """Transforms that move the weights with the image, and append them to the target."""
        return self._with_weights(super().training_transforms(make))

    def validation_transforms(self, make: MakeTransforms) -> MakeTransforms:
        """As ``training_transforms``, for validation patches."""
        return self._with_weights(super().validation_transforms(make))

    def _with_weights(self, make: MakeTransforms) -> MakeTransforms:
        return WithWeights(make, binary=self.parameters["WeightMap"].binary) if self._weights_folder else make

    @cached_property
    def _weights_folder(self) -> Path | None:
        """Folder of the preprocessed maps; ``None`` where the data set has none."""
        return weights.prepare(self.plans_manager, self.configuration_manager, self.dataset_json, self._log_plainly)

    @property
    def _layout(self) -> Layout:
        return Layout(
            classes=len(self.class_names) - (0 if self.has_regions else 1),
            regions=self.has_regions,
            ignore=self.label_manager.ignore_label is not None,
        )

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """nnU-Net's step on a target without weights, which the loss has for this step."""
        try:
            return super().train_step(self._without_weights(batch))
        finally:
            self.criterion.weights = None

    def validation_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """As ``train_step``, without learning."""
        try:
            return super().validation_step(self._without_weights(batch))
        finally:
            self.criterion.weights = None

    def _without_weights(self, batch: dict[str, Any]) -> dict[str, Any]:
        levels = batch["target"] if isinstance(batch["target"], list) else [batch["target"]]
        if levels[0].shape[1] == self._layout.channels:
            return batch
        full, maps = self._layout.split(levels[0].to(self.device, non_blocking=True))
        self.criterion.weights = maps[:, 0]
        return {**batch, "target": [full, *levels[1:]] if isinstance(batch["target"], list) else full}
