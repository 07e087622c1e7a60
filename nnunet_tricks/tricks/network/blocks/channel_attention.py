r"""Squeeze-and-excitation: each channel is weighted by what the whole patch shows.

Hu et al., "Squeeze-and-excitation networks", CVPR 2018, eq. 2 to 4: $z_c$ is the mean of channel c over all voxels,
$s = \sigma(W_2 \delta(W_1 z))$ with ReLU $\delta$ and sigmoid $\sigma$, and $y_c = s_c x_c$. $W_1$ makes C / r values
of C. With sigmoids of 1 it is the planned network. The mean goes over all spatial axes, in 3D over three; the layer of
that name in nnU-Net's library takes two of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from nnunet_tricks.tricks.network.blocks.attention_trainer import AttentionTrainer, StageAttention
from nnunet_tricks.tricks.network.blocks.planned_layers import PlannedLayers


class SqueezeExcitation(StageAttention):
    """A weight from 0 to 1 for each channel of each image.

    Attributes:
        hidden: Number of channels between the two layers.
    """

    view_name = "channel weights"

    def __init__(self, channels: int, *, reduction: int) -> None:
        """Make both layers.

        Args:
            channels: Number of channels.
            reduction: How many times fewer channels there are between the layers; one at least is left.
        """
        super().__init__()
        self.hidden = max(1, channels // reduction)
        self.squeeze = nn.Linear(channels, self.hidden)
        self.excite = nn.Linear(self.hidden, channels)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, C, *spatial) -> the same shape."""
        return features * self.view(features).view(*features.shape[:2], *(1,) * (features.ndim - 2))

    def view(self, features: Tensor) -> Tensor:
        """The weights (B, C) of the channels."""
        return torch.sigmoid(self.excite(torch.relu(self.squeeze(features.flatten(2).mean(2)))))


class nnUNetTrainerSqueezeExcitation(AttentionTrainer):
    """nnU-Net with squeeze-and-excitation behind each stage."""

    attention_trick = "SqueezeExcitation"

    @classmethod
    def make_attention(cls, channels: int, kernel: tuple[int, ...], layers: PlannedLayers) -> StageAttention:
        """Squeeze-and-excitation with the reduction that the name says."""
        return SqueezeExcitation(channels, reduction=cls.parameters["SqueezeExcitation"].reduction)

    def attention_notes(self) -> Iterator[str]:
        """A line for stages with too few channels to reduce."""
        yield from few_channels(self.network, self.parameters["SqueezeExcitation"].reduction)


def few_channels(network: nn.Module, reduction: int) -> Iterator[str]:
    """Lines for the log on stages with fewer channels than the reduction divides by.

    Args:
        network: Network with attention.
        reduction: How many times fewer channels there should be between two layers.
    """
    layers = (getattr(module, "squeeze", None) for module in network.modules())
    few = sorted(
        {layer.in_features for layer in layers if isinstance(layer, nn.Linear) and layer.in_features < reduction}
    )
    if few:
        yield (
            f"stages of {' and '.join(map(str, few))} channels cannot be reduced {reduction} times: a single value is "
            "between their two layers"
        )
