"""The generator of CycleGAN, which changes the look of an image and keeps its content.

Zhu et al., "Unpaired image-to-image translation using cycle-consistent adversarial networks", ICCV 2017, appendix 7.2:
a convolution of 7 x 7 voxels, two that halve the size, residual blocks, two transposed ones that double it again, and
one of 7 x 7, with instance norm and borders that are filled by reflection. It has no dropout: an image is always
translated alike.
"""

from __future__ import annotations

from torch import Tensor, nn

from nnunet_tricks.tricks.synthesis.generator import WIDTH, padded, small_weights

HALVINGS = 2
MULTIPLE = 2 ** (HALVINGS + 1)
"""Sides are padded to a multiple of it, so that the smallest features have more than one voxel, as norms need."""
BLOCKS, FEWER_BLOCKS = 9, 6
"""Residual blocks for crops of at least ``LARGE`` voxels, and for smaller ones."""
LARGE = 256


def blocks_for(crop: tuple[int, int]) -> int:
    """The paper's number of residual blocks.

    Args:
        crop: Size of the crops that it is trained with.

    Examples:
        >>> blocks_for((256, 320)), blocks_for((256, 128))
        (9, 6)
    """
    return BLOCKS if min(crop) >= LARGE else FEWER_BLOCKS


class ResidualBlock(nn.Module):
    """Two convolutions beside an identity."""

    def __init__(self, width: int) -> None:
        """Build it.

        Args:
            width: Number of channels.
        """
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3),
            nn.InstanceNorm2d(width),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3),
            nn.InstanceNorm2d(width),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, width, Y, X) and what the layers add to them."""
        return features + self.layers(features)


class ResNetGenerator(nn.Module):
    """Translates images with values from -1 to 1.

    Examples:
        >>> import torch
        >>> translate = ResNetGenerator(channels=2, blocks=1, width=4)
        >>> translate(torch.zeros(1, 2, 5, 18)).shape
        torch.Size([1, 2, 5, 18])
    """

    def __init__(self, *, channels: int, blocks: int, width: int = WIDTH) -> None:
        """Build it with random weights.

        Args:
            channels: Channels of the images.
            blocks: Number of residual blocks.
            width: Channels after the first convolution.
        """
        super().__init__()
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(channels, width, 7), *_then(width)]
        for level in range(HALVINGS):
            before, after = width * 2**level, width * 2 ** (level + 1)
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), *_then(after)]
        layers += [ResidualBlock(width * 2**HALVINGS) for _ in range(blocks)]
        for level in reversed(range(HALVINGS)):
            before, after = width * 2 ** (level + 1), width * 2**level
            layers += [nn.ConvTranspose2d(before, after, 3, stride=2, padding=1, output_padding=1), *_then(after)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, channels, 7), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(small_weights)

    def forward(self, images: Tensor) -> Tensor:
        """Translate images.

        Args:
            images: (B, channels, Y, X) from -1 to 1, of any size.

        Returns:
            Images of the same size, from -1 to 1.
        """
        height, width = images.shape[-2:]
        translated: Tensor = self.layers(padded(images, MULTIPLE))
        return translated[..., :height, :width]


def _then(width: int) -> list[nn.Module]:
    return [nn.InstanceNorm2d(width), nn.ReLU()]
