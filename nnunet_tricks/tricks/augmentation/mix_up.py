r"""Mixup: patches are blended, and so are their losses.

$\tilde x = \lambda x_i + (1 - \lambda) x_j$ with $\lambda \sim Beta(\alpha, \alpha)$, trained with
$\lambda L(f(\tilde x), y_i) + (1 - \lambda) L(f(\tilde x), y_j)$. For cross-entropy this is the loss of the blended
truth, $\lambda y_i + (1 - \lambda) y_j$ (Zhang H. et al., "mixup: Beyond empirical risk minimization", ICLR 2018,
eq. 2). Overlap losses know no half labels. In this form every label stays a label, so it goes with any loss, with
regions, the ignore label, maps of the truth and all levels of deep supervision.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nnunet_tricks.training.criterion import Criterion
from nnunet_tricks.tricks.augmentation.mixing import MixingTrainer


class BlendedLoss(nn.Module):
    """The blend of a loss against two truths."""

    def __init__(self, loss: Any, share: float, order: Tensor, criterion: Criterion | None = None) -> None:
        """Set up the loss of one batch.

        Args:
            loss: Loss against one truth.
            share: Weight of a patch's own truth.
            order: Number of the patch that each patch is blended with.
            criterion: Criterion that holds maps of the truth for the loss; ``None`` if there is none.
        """
        super().__init__()
        self.loss, self.share, self.order, self.criterion = loss, share, order, criterion

    def forward(self, output: Any, target: Any) -> Tensor:
        """The loss, a scalar.

        Args:
            output: Logits, or the logits of each level.
            target: nnU-Net's target, or the target of each level.
        """
        of_others = [level[self.order] for level in target] if isinstance(target, list) else target[self.order]
        own: Tensor = self.loss(output, target)
        if self.criterion is not None and self.criterion.maps is not None:
            self.criterion.maps = self.criterion.maps[self.order]
        other: Tensor = self.loss(output, of_others)
        return self.share * own + (1 - self.share) * other


class nnUNetTrainerMixUp(MixingTrainer):
    """nnU-Net that blends the patches of a batch."""

    mixing_trick = "MixUp"

    def mixed(self, batch: dict[str, Any], share: float, order: Tensor) -> tuple[dict[str, Any], Any]:
        """Blended patches, and the loss against both truths."""
        blended = torch.lerp(batch["data"][order], batch["data"], share)
        loss = BlendedLoss(self.loss, share, order, getattr(self, "criterion", None))
        return {**batch, "data": blended}, loss
