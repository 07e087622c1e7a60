r"""Distance map penalty: cross-entropy counts up to twice as much next to a border.

$-\frac{1}{N} \sum_i (1 + \Phi_i) \log p_{i,t_i}$ over the N annotated voxels. $\Phi$ is 1 on the border and falls to 0
where a class, or the background, is farthest from it: the inverted distance, as a share of the largest one on the same
side. Caliva et al., "Distance map loss penalty term for semantic segmentation", MIDL 2019.

The map is made for each patch at full size. Lower levels of deep supervision, and patches of one class only, have plain
cross-entropy. Un-annotated voxels are no border, and a slice that stands alone has a map of its own
(``targets/pieces.py``).
"""

from __future__ import annotations

from functools import partial

from torch import Tensor

from nnunet_tricks.training.criterion import Prediction
from nnunet_tricks.tricks.loss.compound import Sum
from nnunet_tricks.tricks.loss.dice import nnunet_dice
from nnunet_tricks.tricks.targets.closeness import closeness
from nnunet_tricks.tricks.targets.pieces import MapOfKinds
from nnunet_tricks.tricks.targets.trainer import MappedLossTrainer


def distance_penalty(prediction: Prediction) -> Tensor:
    """Mean cross-entropy, in which a voxel weighs one plus its closeness to a border.

    Args:
        prediction: Logits beside their truth; ``maps`` holds the closeness for each decision.

    Returns:
        A scalar, at least 0.

    Examples:
        >>> import torch
        >>> logits, target = torch.zeros(1, 2, 8, 8), torch.zeros(1, 1, 8, 8, dtype=torch.int16)
        >>> distance_penalty(Prediction(logits, target, maps=torch.ones(1, 1, 8, 8)))  # 2 log 2
        tensor(1.3863)
    """
    if prediction.maps is None:
        return prediction.cross_entropy
    return prediction.mean((1 + prediction.maps) * prediction.decision_cross_entropy)


class nnUNetTrainerDistancePenaltyCE(MappedLossTrainer):
    """nnU-Net with cross-entropy under the distance penalty in place of Dice + cross-entropy."""

    per_decision = True

    @property
    def map_of_kinds(self) -> MapOfKinds:
        """Closeness to a border."""
        return closeness

    def make_loss(self) -> Sum:
        """Cross-entropy under the distance penalty."""
        return Sum((distance_penalty,))


class nnUNetTrainerDiceDistancePenaltyCE(nnUNetTrainerDistancePenaltyCE):
    """nnU-Net with cross-entropy under the distance penalty in place of the plain one."""

    def make_loss(self) -> Sum:
        """nnU-Net's Dice term and cross-entropy under the distance penalty."""
        return Sum((distance_penalty, partial(nnunet_dice, batch=self.batch_dice)))
