r"""Full-size deep supervision: every level has to explain the truth at full size.

$\frac{1}{L} \sum_{l < L} loss(U z_l, y)$ with $z_0$ the output at full size, U enlargement by linear interpolation and
y the truth at full size. nnU-Net shrinks the truth instead, so small objects are lost at low levels. The trick paper's
text trains the decoder's last three levels this way. Its published code does something else (see
``UniformDeepSupervision``).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812, its standard name
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from torch import Tensor, nn

from nnunet_tricks.training.trainer import TrickTrainer
from nnunet_tricks.tricks.supervision.levels import equal_weights


class FullSizeSupervision(DeepSupervisionWrapper):
    """The weighted sum of a loss over outputs that are all enlarged to the size of the first."""

    def forward(self, outputs: list[Tensor], targets: list[Tensor]) -> Tensor:
        """The loss, a scalar.

        Args:
            outputs: Logits (B, C, *spatial) of each level, full size first.
            targets: nnU-Net's targets; only the first one, at full size, is used.
        """
        terms = [
            weight * self.loss(enlarged(logits, targets[0].shape[2:]), targets[0])
            for weight, logits in zip(self.weight_factors, outputs, strict=True)
            if weight
        ]
        return sum(terms[1:], start=terms[0])


def enlarged(logits: Tensor, size: tuple[int, ...]) -> Tensor:
    """Logits at another size, by linear interpolation between the centres of voxels.

    Args:
        logits: (B, C, *spatial), 2D or 3D.
        size: Spatial size of the result.

    Returns:
        (B, C, *size), at least float32; the same tensor where it has this size already.
    """
    if logits.shape[2:] == size:
        return logits
    mode = "bilinear" if len(size) == 2 else "trilinear"
    # The gradient of a voxel is a sum over many enlarged ones; half precision would round each of them.
    precise = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
    return F.interpolate(precise, size=size, mode=mode, align_corners=False)


class nnUNetTrainerFullSizeDeepSupervision(TrickTrainer):
    """nnU-Net whose outputs of different size are all compared with the truth at full size."""

    def _build_loss(self) -> nn.Module:
        built = super()._build_loss()
        if not isinstance(built, DeepSupervisionWrapper):
            return built
        levels = self.parameters["FullSizeDeepSupervision"].levels
        return FullSizeSupervision(built.loss, equal_weights(built.weight_factors, levels))
