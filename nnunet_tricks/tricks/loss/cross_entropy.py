r"""Cross-entropy: how surprised the network is by each voxel's class.

$-\frac{1}{N} \sum_i \log p_{i,t_i}$ over the N annotated voxels; for regions the binary cross-entropies. It is
nnU-Net's default loss without the Dice term. It is also the baseline of the trick paper, whose published code computes
the same mean.

Label smoothing (Szegedy et al., "Rethinking the Inception architecture", CVPR 2016, section 7) takes the share
$\epsilon$ of the truth from the true class and spreads it over all C classes alike, so that no answer is ever quite
right: $(1 - \epsilon) CE - \frac{\epsilon}{C} \sum_c \log p_c$. Each region is a question with two answers.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor

from nnunet_tricks.training.criterion import Loss, Prediction
from nnunet_tricks.training.trainer import LossTrainer


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


def smoothed_cross_entropy(prediction: Prediction, *, smooth: float) -> Tensor:
    """Mean cross-entropy of the annotated voxels against a softened truth.

    Args:
        prediction: Logits beside their truth.
        smooth: Share of the truth that is spread over all classes, in [0, 1].

    Returns:
        A scalar, at least 0; 0 where no voxel is annotated.

    Examples:
        >>> import torch
        >>> logits = torch.tensor([2.0, 0.0]).view(1, 2, 1, 1)
        >>> smoothed_cross_entropy(Prediction(logits, torch.zeros(1, 1, 1, 1)), smooth=0.1)  # 0.1269 + 0.05 * 2
        tensor(0.2269)
    """
    if prediction.regions:
        # -log(1 - p) + log p is the logit of p.
        truth = 2 * prediction.decisions.to(prediction.logits.dtype) - 1
        spread = truth * prediction.logits / 2
    else:
        spread = -prediction.log_probabilities.mean(1, keepdim=True) - prediction.decision_cross_entropy
    if prediction.annotated is not None:
        spread = spread * prediction.annotated[:, None]
    return prediction.mean(prediction.decision_cross_entropy + smooth * spread)


class nnUNetTrainerCE(LossTrainer):
    """nnU-Net with cross-entropy alone in place of Dice + cross-entropy."""

    def make_loss(self) -> Loss:
        """Cross-entropy, plain or smoothed."""
        smooth = self.parameters["CE"].smooth
        return partial(smoothed_cross_entropy, smooth=smooth) if smooth else cross_entropy
