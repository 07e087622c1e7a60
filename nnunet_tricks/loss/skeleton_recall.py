r"""Skeleton recall: thin objects are to be found along their whole length.

nnU-Net's Dice and cross-entropy, and $w (1 - \frac{\sum_i s_c(i) p_{ic} + \epsilon}{\sum_i s_c(i) + \epsilon})$, the
mean over the foreground classes or regions, with the widened skeleton s of the truth. Kirchhoff et al., "Skeleton
recall loss for connectivity conserving and resource efficient segmentation of thin tubular structures", ECCV 2024.

The skeleton is made once per patch by the workers that augment, class by class, where the authors thin the union of all
classes. What a patch lacks has no skeleton and costs nothing; so do the lower levels of deep supervision, which have
nnU-Net's own terms alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from nnunet_tricks.criterion import Prediction
from nnunet_tricks.loss.cross_entropy import cross_entropy
from nnunet_tricks.loss.dice import nnunet_dice
from nnunet_tricks.targets.maps import MapOfMask
from nnunet_tricks.targets.skeleton import tubed_skeleton
from nnunet_tricks.targets.trainer import MappedLossTrainer

SMOOTH = 1e-5


@dataclass(frozen=True, kw_only=True)
class SkeletonRecall:
    """nnU-Net's loss and the skeleton's recall.

    Attributes:
        weight: Of the recall term.
        batch: Whether the batch counts as one image for Dice.
    """

    weight: float
    batch: bool

    def __call__(self, prediction: Prediction) -> Tensor:
        """The loss, a scalar."""
        loss = cross_entropy(prediction) + nnunet_dice(prediction, batch=self.batch)
        if prediction.maps is None:
            return loss
        return loss + self.weight * (1 - skeleton_recall(prediction, prediction.maps))


def skeleton_recall(prediction: Prediction, skeletons: Tensor) -> Tensor:
    """The share of the skeletons that is predicted.

    Args:
        prediction: Logits beside their truth.
        skeletons: (B, foreground classes or regions, *spatial), 1 on the skeleton.

    Returns:
        A scalar in [0, 1], the mean over images and classes; 1 for a class without a skeleton.
    """
    probabilities = prediction.probabilities[:, -skeletons.shape[1] :]
    found = (probabilities * skeletons).flatten(2).sum(2)
    return ((found + SMOOTH) / (skeletons.flatten(2).sum(2) + SMOOTH)).mean()


class nnUNetTrainerSkeletonRecall(MappedLossTrainer):
    """nnU-Net with the recall of the truth's skeleton added to its loss."""

    @property
    def map_of_mask(self) -> MapOfMask:
        """Widened skeletons."""
        return tubed_skeleton

    def make_loss(self) -> SkeletonRecall:
        """nnU-Net's Dice and cross-entropy, and the skeleton's recall."""
        return SkeletonRecall(weight=self.parameters["SkeletonRecall"].weight, batch=self.batch_dice)
