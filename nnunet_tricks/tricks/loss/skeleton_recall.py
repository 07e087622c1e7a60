r"""Skeleton recall: thin objects must be found along their whole length.

nnU-Net's Dice and cross-entropy, and $w (1 - \frac{\sum_i s_c(i) p_{ic} + \epsilon}{\sum_i s_c(i) + \epsilon})$, the
mean over the foreground classes or regions, with the widened skeleton s of the truth. Kirchhoff et al., "Skeleton
recall loss for connectivity conserving and resource efficient segmentation of thin tubular structures", ECCV 2024.

The workers that augment make the skeleton once per patch, class by class; the authors thin the union of all classes. A
class that is absent from a patch has no skeleton and costs nothing. Lower levels of deep supervision have nnU-Net's own
terms alone. The skeleton of a slice that stands alone is that of its plane. An object that is cut by un-annotated
voxels has a skeleton as far as the middle of the object is known (``targets/skeleton.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from nnunet_tricks.training.criterion import Prediction
from nnunet_tricks.tricks.loss.cross_entropy import cross_entropy
from nnunet_tricks.tricks.loss.dice import dice_score, nnunet_dice
from nnunet_tricks.tricks.targets.pieces import MapOfKinds
from nnunet_tricks.tricks.targets.skeleton import tubed_skeleton
from nnunet_tricks.tricks.targets.trainer import MappedLossTrainer

SMOOTH = 1e-5


@dataclass(frozen=True, kw_only=True)
class SkeletonRecall:
    """nnU-Net's loss and the skeleton's recall.

    Attributes:
        weight: Weight of the recall term.
        batch: Whether the batch counts as one image for Dice.
    """

    with_logs: ClassVar[bool] = True

    weight: float
    batch: bool

    def __call__(self, prediction: Prediction) -> Tensor:
        """The loss, a scalar."""
        loss = cross_entropy(prediction)
        if prediction.maps is None:
            return loss + nnunet_dice(prediction, batch=self.batch)
        counts, covered = prediction.counts_and_mapped(prediction.maps, batch=self.batch)
        # A class without a skeleton has a recall of 1.
        recall = (covered + SMOOTH) / (prediction.maps.flatten(2).sum(2) + SMOOTH)
        return loss - dice_score(counts).mean() + self.weight * (1 - recall.mean())


class nnUNetTrainerSkeletonRecall(MappedLossTrainer):
    """nnU-Net with the recall of the truth's skeleton added to its loss."""

    @property
    def map_of_kinds(self) -> MapOfKinds:
        """Widened skeletons."""
        return tubed_skeleton

    def make_loss(self) -> SkeletonRecall:
        """nnU-Net's Dice and cross-entropy, and the skeleton's recall."""
        return SkeletonRecall(weight=self.parameters["SkeletonRecall"].weight, batch=self.batch_dice)
