"""The U-Net of pix2pix, which draws an image for a mask.

Isola et al., "Image-to-image translation with conditional adversarial networks", CVPR 2017, section 6.1: convolutions
of 4 x 4 voxels with stride 2, up to 512 channels, skip connections, and dropout in the first layers of the decoder.
Dropout stays on when images are drawn: it is the generator's only noise. The paper's batches have one image, for which
batch norm is instance norm. Here it is instance norm for batches of any size.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH = 64
"""Channels after the first convolution."""
WIDEST = 8
"""Largest number of channels, as a multiple of ``WIDTH``."""
MOST_HALVINGS = 8
"""Halvings of a side in the paper's generator for 256 x 256."""
FEWEST_HALVINGS = 3
DROPPED = 3
"""Layers of the decoder with dropout, counted from the bottleneck."""


def halvings(sides: Sequence[int]) -> int:
    """How often patches of this size are halved: as often as all sides can be, from 3 to 8 times.

    Args:
        sides: Size of a patch in its plane.

    Examples:
        >>> halvings((256, 256)), halvings((320, 256)), halvings((96, 96)), halvings((28, 24))
        (8, 6, 5, 3)
    """
    divisor = min(side & -side for side in sides)
    return min(max(divisor.bit_length() - 1, FEWEST_HALVINGS), MOST_HALVINGS)


class AlwaysDropout(nn.Module):
    """Dropout that stays on when images are drawn."""

    def forward(self, features: Tensor) -> Tensor:
        """Half of the features, doubled."""
        return functional.dropout(features, 0.5, training=True)


class UNetGenerator(nn.Module):
    """Draws images with values from -1 to 1.

    Attributes:
        depth: Number of halvings.

    Examples:
        >>> draw = UNetGenerator(inputs=3, outputs=1, depth=4, width=4)
        >>> draw(torch.zeros(1, 3, 20, 33)).shape
        torch.Size([1, 1, 20, 33])
    """

    def __init__(self, *, inputs: int, outputs: int, depth: int, width: int = WIDTH) -> None:
        """Build it with random weights.

        Args:
            inputs: Channels of the condition.
            outputs: Channels of the image.
            depth: Number of halvings, at least 3.
            width: Channels after the first convolution.
        """
        super().__init__()
        self.depth = depth
        widths = [width * min(2**level, WIDEST) for level in range(depth)]
        self.down = nn.ModuleList(
            self.encoding(before, after, norm=0 < level < depth - 1)
            for level, (before, after) in enumerate(pairwise([inputs, *widths]))
        )
        # Each layer of the decoder but the first also gets what the encoder has at that size.
        self.up = nn.ModuleList(
            self.decoding(widths[level] * (1 if level == depth - 1 else 2), widths[level - 1], level)
            for level in range(depth - 1, 0, -1)
        )
        self.last = nn.ConvTranspose2d(2 * widths[0], outputs, 4, stride=2, padding=1)
        self.apply(small_weights)

    @staticmethod
    def encoding(before: int, after: int, *, norm: bool) -> nn.Module:
        """A layer that halves the size."""
        layers = [nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False)]
        return nn.Sequential(*layers, nn.InstanceNorm2d(after, affine=True)) if norm else layers[0]

    def decoding(self, before: int, after: int, level: int) -> nn.Module:
        """A layer that doubles the size.

        Args:
            before: Channels that it gets.
            after: Channels that it returns.
            level: Number of halvings before it, counted from 0.
        """
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False),
            nn.InstanceNorm2d(after, affine=True),
        ]
        return nn.Sequential(*layers, *([AlwaysDropout()] if level >= self.depth - DROPPED else []))

    def forward(self, condition: Tensor) -> Tensor:
        """Draw images.

        Args:
            condition: Masks and what else the image depends on, (B, channels, Y, X), of any size.

        Returns:
            Images (B, channels, Y, X) from -1 to 1.
        """
        height, width = condition.shape[-2:]
        features, skips = padded(condition, 2**self.depth), []
        whole = features
        for level, encode in enumerate(self.down):
            features = encode(functional.leaky_relu(features, 0.2) if level else features)
            skips.append(features)
        features = skips.pop()
        for decode in self.up:
            features = torch.cat([self.decoded(decode, functional.relu(features), whole), skips.pop()], 1)
        image = torch.tanh(self.last(functional.relu(features)))
        return image[..., :height, :width]

    def decoded(self, decode: nn.Module, features: Tensor, condition: Tensor) -> Tensor:
        """What a layer of the decoder returns; ``condition`` is the padded one, for layers that look at it again."""
        doubled: Tensor = decode(features)
        return doubled


def padded(images: Tensor, multiple: int) -> Tensor:
    """Images whose last rows and columns are repeated up to a multiple of voxels."""
    down, right = (-side % multiple for side in images.shape[-2:])
    return functional.pad(images, (0, right, 0, down), mode="replicate")


def small_weights(module: nn.Module) -> None:
    """The paper's first weights: normal, with a standard deviation of 0.02."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
