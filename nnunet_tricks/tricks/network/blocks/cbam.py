r"""CBAM: each channel is weighted by what the whole patch shows, then each voxel by what its neighbourhood shows.

Woo et al., "CBAM: convolutional block attention module", ECCV 2018, eq. 1 to 3: $x' = M_c(x) x$ and $x'' = M_s(x') x'$,
with $M_c(x) = \sigma(W_1 \delta(W_0 mean(x)) + W_1 \delta(W_0 max(x)))$ over all voxels of a channel, and $M_s$ as in
``spatial_attention.py``. Both pairs share their two layers. With sigmoids of 1 it is the planned network. The published
code has a batch norm inside $M_s$, the paper has none.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from nnunet_tricks.tricks.network.blocks.attention_trainer import AttentionTrainer, StageAttention
from nnunet_tricks.tricks.network.blocks.channel_attention import few_channels
from nnunet_tricks.tricks.network.blocks.planned_layers import PlannedLayers
from nnunet_tricks.tricks.network.blocks.spatial_attention import SpatialAttention


class MixedAttention(StageAttention):
    """A weight for each channel, then a weight for each voxel.

    Attributes:
        hidden: Number of channels between the two layers of the channels' weights.
    """

    view_name = "channel weights"

    def __init__(
        self, channels: int, kernel: tuple[int, ...], layers: PlannedLayers, *, reduction: int, size: int
    ) -> None:
        """Make both.

        Args:
            channels: Number of channels.
            kernel: Size of the planned kernel along each axis.
            layers: Kinds of layers.
            reduction: How many times fewer channels there are between the layers; one at least is left.
            size: Size of the kernel of the voxels' weights; see ``SpatialAttention``.
        """
        super().__init__()
        self.hidden = max(1, channels // reduction)
        self.squeeze = nn.Linear(channels, self.hidden)
        self.excite = nn.Linear(self.hidden, channels)
        self.voxels = SpatialAttention(kernel, layers, size=size)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, C, *spatial) -> the same shape."""
        weights = self.view(features).view(*features.shape[:2], *(1,) * (features.ndim - 2))
        weighted: Tensor = self.voxels(features * weights)
        return weighted

    def view(self, features: Tensor) -> Tensor:
        """The weights (B, C) of the channels."""
        flat = features.flatten(2)
        # Both at once: the layers are the same for means and maxima.
        seen = torch.stack([flat.mean(2), flat.max(2).values])
        mean, largest = self.excite(torch.relu(self.squeeze(seen)))
        return torch.sigmoid(mean + largest)


class nnUNetTrainerCBAM(AttentionTrainer):
    """nnU-Net with CBAM behind each stage."""

    attention_trick = "CBAM"

    @classmethod
    def make_attention(cls, channels: int, kernel: tuple[int, ...], layers: PlannedLayers) -> StageAttention:
        """CBAM with the settings of the name."""
        settings = cls.parameters["CBAM"]
        return MixedAttention(channels, kernel, layers, reduction=settings.reduction, size=settings.size)

    def attention_notes(self) -> Iterator[str]:
        """A line for stages with too few channels to reduce."""
        yield from few_channels(self.network, self.parameters["CBAM"].reduction)
