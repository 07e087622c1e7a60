r"""Balanced cross-entropy: foreground and background weigh in inverse proportion to their size.

$-\frac{1}{N} \sum_i w_{t_i} \log p_{i,t_i}$ with $w_c = 1 - n_c / n$ of the training fold. For two classes this is the
survey's Eq. 3, $-(\beta p \log q + (1 - \beta) (1 - p) \log(1 - q))$, with $\beta$ the share of background, as in Xie
and Tu, "Holistically-nested edge detection", ICCV 2015, eq. 2.
"""

from __future__ import annotations

from functools import partial

from nnunet_tricks.training.class_balance import VoxelCounts, times
from nnunet_tricks.training.criterion import DecisionWeights, Loss
from nnunet_tricks.training.trainer import LossTrainer
from nnunet_tricks.tricks.loss.weighted_cross_entropy import weighted_cross_entropy


def share_of_the_others(counts: VoxelCounts) -> DecisionWeights:
    """The weight of each class: the share of all annotated voxels that are not of the class.

    Args:
        counts: Voxel counts of the training fold.

    Returns:
        Weights by decision and right answer.

    Examples:
        >>> share_of_the_others(VoxelCounts(("background", "kidney", "tumour"), (900, 75, 25), 1000, False))
        ((0.1, 0.925, 0.975),)
        >>> share_of_the_others(VoxelCounts(("kidney",), (100,), 1000, True))
        ((0.1, 0.9),)
    """
    shares = [voxels / counts.annotated for voxels in counts.voxels]
    if counts.regions:
        return tuple((round(share, 12), round(1 - share, 12)) for share in shares)
    return (tuple(round(1 - share, 12) for share in shares),)


class nnUNetTrainerBalancedCE(LossTrainer):
    """nnU-Net with balanced cross-entropy in place of Dice + cross-entropy."""

    def make_loss(self) -> Loss:
        """Balanced cross-entropy, by the fold's voxels or a fixed share of background."""
        beta = self.parameters["BalancedCE"].beta
        weights = (
            times(self.decision_weights(0), (1 - beta, beta)) if beta else share_of_the_others(self.count_voxels())
        )
        return partial(weighted_cross_entropy, weights=weights, plain=True)
