r"""CC-Dice: each object is judged in its own cell, the part of the image that is nearest to it.

$\alpha L + \beta E_k[CE_k - Dice_k]$. L is nnU-Net's cross-entropy and Dice. $CE_k$ and $Dice_k$ are the same of the
cell of object k. The mean goes over the objects of an image and class, over the classes that the image has, and over
images. So a class with few objects weighs as much as one with many. Dice is not smoothed.

Bouteille et al., "Learning to look closer: a new instance-wise loss for small cerebral lesion segmentation", ISBI 2026,
for one class, with alpha and beta 1. Kundu et al., "Instance awareness of multi-class semantic segmentation loss
functions", 2026, take each class against the rest.

Every voxel is in exactly one cell. So a false positive counts once, for the object nearest to it; in ``Blob`` it counts
for each object. An image without objects is judged as a whole: Dice has no gradient there, and cross-entropy has.
With one object and one class both terms are the same.

Objects are those of ``Blob``: connected voxels of one class, or instances where the raw data set has ``instancesTr``.
Distances are measured in voxels, as in the published code, or in ``mm``. Cells belong to the full size; lower levels of
deep supervision have the first term alone, where the published code cuts cells at each level.

Where some voxels are not annotated, they are in no cell, and a slice that stands alone is cut into cells of its own
(``targets/pieces.py``). A slice without objects beside slices with objects counts in the first term only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from torch import Tensor

from nnunet_tricks.training.criterion import Prediction
from nnunet_tricks.training.planned import Planned
from nnunet_tricks.tricks.loss.cell_sums import Partition
from nnunet_tricks.tricks.loss.cross_entropy import cross_entropy
from nnunet_tricks.tricks.loss.no_smooth import PlainDice, plain_dice
from nnunet_tricks.tricks.targets.cells import cells
from nnunet_tricks.tricks.targets.pieces import MapOfKinds
from nnunet_tricks.tricks.targets.trainer import MappedLossTrainer


@dataclass(frozen=True, kw_only=True)
class CCDiceLoss:
    """Cross-entropy and Dice of the whole, and of each object's cell.

    Attributes:
        alpha: Weight of the whole.
        beta: Weight of the cells.
        batch: Whether the batch counts as one image for Dice of the whole.
    """

    with_logs: ClassVar[bool] = True

    alpha: float
    beta: float
    batch: bool

    def __call__(self, prediction: Prediction) -> Tensor:
        """The loss, a scalar."""
        if prediction.maps is None:
            return self.alpha * (cross_entropy(prediction) + PlainDice(batch=self.batch)(prediction))
        partition = Partition.of(prediction, prediction.maps)
        return self.alpha * self.whole(prediction, partition) + self.beta * cell_term(prediction, partition)

    def whole(self, prediction: Prediction, partition: Partition) -> Tensor:
        """Cross-entropy and Dice of the whole image, from the counts of its cells.

        Args:
            prediction: Logits beside their truth.
            partition: Cells of the image.
        """
        counts = prediction.over_batch(partition.whole) if self.batch else partition.whole
        return prediction.mean(prediction.decision_cross_entropy) - plain_dice(counts).mean()


def cell_term(prediction: Prediction, partition: Partition) -> Tensor:
    """The mean of cross-entropy minus Dice over the cells of objects.

    Args:
        prediction: Logits beside their truth.
        partition: Cells of the objects of the truth.

    Returns:
        A scalar; the mean cross-entropy of images without objects is part of it.
    """
    return partition.mean(-plain_dice(partition.cells), prediction.decision_cross_entropy)


class nnUNetTrainerCCDice(MappedLossTrainer):
    """nnU-Net's Dice + cross-entropy of the whole and of the cell of each object."""

    instances = True
    numbers = True

    @property
    def map_of_kinds(self) -> MapOfKinds:
        """A function that cuts images into cells."""
        return partial(cells, physical=self.parameters["CCDice"].distance == "mm")

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse weights that leave nothing to train."""
        super().check_planned(planned)
        settings = cls.parameters["CCDice"]
        if settings.alpha == settings.beta == 0:
            raise ValueError("alpha and beta of CCDice must not both be 0: it would be 0 whatever is predicted")

    def make_loss(self) -> CCDiceLoss:
        """Cross-entropy and Dice of the whole and of each cell."""
        settings = self.parameters["CCDice"]
        return CCDiceLoss(alpha=settings.alpha, beta=settings.beta, batch=self.batch_dice)
