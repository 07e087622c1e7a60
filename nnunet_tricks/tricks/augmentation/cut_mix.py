r"""CutMix: a box of each patch is replaced by the same box of another patch, and so is its truth.

$\tilde x = M x_i + (1 - M) x_j$ and $\tilde y = M y_i + (1 - M) y_j$ with M 0 in a box that has $1 - \lambda$ of the
voxels and the patch's proportions, $\lambda \sim Beta(\alpha, \alpha)$. Yun et al., "CutMix: Regularization strategy to
train strong classifiers with localizable features", ICCV 2019, eq. 1 and 2. There an image has one label, which is
weighed by the area of the box. Here every voxel has its own, so labels stay labels. The paper lets the box stick out of
the image. Here it lies inside the patch, so that it has the share that was drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812, its standard name
from torch import Tensor

from nnunet_tricks.tricks.augmentation.mixing import MixingTrainer


def random_box(size: Sequence[int], part: float) -> Tensor:
    """A box anywhere in a patch.

    Args:
        size: Size of the patch.
        part: Share of its voxels, from 0 to 1; sides are rounded to whole voxels, at least 1.

    Returns:
        (1, 1, *size), True inside the box.
    """
    whole = np.array(size)
    sides = np.clip(np.round(whole * part ** (1 / len(whole))), 1, whole).astype(int)
    corner = np.random.randint(0, whole - sides + 1)
    box = torch.zeros(1, 1, *size, dtype=torch.bool)
    box[0, 0][tuple(slice(low, low + side) for low, side in zip(corner, sides, strict=True))] = True
    return box


def pasted(levels: Sequence[Tensor], box: Tensor, order: Tensor) -> list[Tensor]:
    """The truth with a box of another patch.

    Args:
        levels: (B, C, *spatial) at the sizes of deep supervision; nnU-Net made each by picking voxels of the first.
        box: (1, 1, *spatial) at full size.
        order: Number of the patch that each box is from.

    Returns:
        The levels that nnU-Net would have made of the truth at full size after pasting, bit for bit.
    """
    # Picking voxels and pasting a box can be done in either order.
    picks = (F.interpolate(box.float(), size=level.shape[2:], mode="nearest-exact").bool() for level in levels)
    return [torch.where(pick, level[order], level) for pick, level in zip(picks, levels, strict=True)]


class nnUNetTrainerCutMix(MixingTrainer):
    """nnU-Net that pastes boxes from one patch of a batch into another."""

    mixing_trick = "CutMix"

    def mixed(self, batch: dict[str, Any], share: float, order: Tensor) -> tuple[dict[str, Any], Any]:
        """Patches with boxes of others, and nnU-Net's loss."""
        data, target = batch["data"], batch["target"]
        box = random_box(data.shape[2:], 1 - share).to(self.device)
        truth = pasted(target, box, order) if isinstance(target, list) else pasted([target], box, order)[0]
        return {**batch, "data": torch.where(box, data[order], data), "target": truth}, self.loss
