"""A generator that reads the mask again at every size: SPADE.

Park et al., "Semantic image synthesis with spatially-adaptive normalization", CVPR 2019: features of the decoder are
normalised after each layer, and then scaled and shifted voxel by voxel, by what a small network makes of the mask. So
normalisation does not wash the mask away. Here the decoder of the U-Net has such norms, which are MONAI's. The rest of
the training is that of pix2pix.
"""

from __future__ import annotations

from torch import Tensor, nn

from nnunet_tricks.tricks.synthesis.generator import WIDTH, UNetGenerator


class SpadeLayer(nn.Module):
    """A layer that doubles the size and normalises by the mask."""

    def __init__(self, before: int, after: int, condition: int, then: nn.Module) -> None:
        """Build it.

        Args:
            before: Channels that it gets.
            after: Channels that it returns.
            condition: Channels of the condition.
            then: Module after the norm.
        """
        super().__init__()
        from monai.networks.blocks.spade_norm import SPADE

        self.enlarge = nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False)
        self.norm: nn.Module = SPADE(condition, after, hidden_channels=after, norm="INSTANCE")
        self.then = then

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Features of twice the size.

        Args:
            features: (B, channels, Y, X).
            condition: Condition of the whole image.
        """
        # The norm itself brings the condition to the size of the features.
        normalised: Tensor = self.then(self.norm(self.enlarge(features), condition))
        return normalised


class SpadeGenerator(UNetGenerator):
    """The U-Net of pix2pix whose decoder is normalised by the mask."""

    def __init__(self, *, inputs: int, outputs: int, depth: int, width: int = WIDTH) -> None:
        """Build it with random weights; arguments are those of ``UNetGenerator``."""
        self.inputs = inputs
        super().__init__(inputs=inputs, outputs=outputs, depth=depth, width=width)

    def decoding(self, before: int, after: int, level: int) -> nn.Module:
        """A layer that doubles the size."""
        plain = super().decoding(before, after, level)
        then = list(plain.children())[2:]
        return SpadeLayer(before, after, self.inputs, nn.Sequential(*then))

    def decoded(self, decode: nn.Module, features: Tensor, condition: Tensor) -> Tensor:
        """What a layer of the decoder returns."""
        doubled: Tensor = decode(features, condition)
        return doubled
