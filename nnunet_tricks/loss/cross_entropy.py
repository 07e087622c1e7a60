r"""Cross-entropy: how surprised the network is by each voxel's class.

$-\frac{1}{N} \sum_i \log p_{i,t_i}$ over the N annotated voxels; for regions the binary cross-entropies. It is the half
of nnU-Net's default loss that is left when the Dice term is dropped, and the baseline of the trick paper, whose
published code computes the same mean.
"""

from __future__ import annotations

from torch import Tensor

from nnunet_tricks.criterion import Loss, Prediction
from nnunet_tricks.trainer import LossTrainer


def cross_entropy(prediction: Prediction) -> Tensor:
    """Mean cross-entropy of the annotated voxels, as nnU-Net computes it.

    Args:
        prediction: Logits beside their truth.

    Returns:
        A scalar, at least 0; 0 where no voxel is annotated.

    Examples:
        >>> import torch
        >>> logits, target = torch.zeros(1, 4, 8, 8), torch.zeros(1, 1, 8, 8, dtype=torch.int16)
        >>> cross_entropy(Prediction(logits, target))  # log 4
        tensor(1.3863)
    """
    return prediction.cross_entropy


class nnUNetTrainerCE(LossTrainer):
    """nnU-Net with cross-entropy alone in place of Dice + cross-entropy."""

    def make_loss(self) -> Loss:
        """Cross-entropy; the published code's is the same."""
        return cross_entropy
