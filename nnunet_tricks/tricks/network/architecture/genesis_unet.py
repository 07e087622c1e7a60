"""The 3D U-Net of Model Genesis, which is also the 3D baseline of the trick paper.

Four levels of 64, 128, 256 and 512 channels, each two convolutions with batch norm and ReLU; the first of both has half
as many channels on the way down. Between levels stand maximum pooling and transposed convolutions that keep the
number of channels. Zhou et al., "Models Genesis", Medical Image Analysis 67, 2021. The trick paper has one input
channel and 19.07 million weights.

Weights have the names that they have in the published checkpoint (``down_tr64.ops.0.conv1.weight``), so it fits. The
published network normalises by the patch at hand in prediction, too. Here batch norm is what it is elsewhere, with
running averages in prediction; the checkpoint has them.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool3d

from nnunet_tricks.tricks.network.architecture.trainer import Interface, Sizes
from nnunet_tricks.tricks.network.architecture.whole import WholeNetworkTrainer

LEVELS = (64, 128, 256, 512)
"""Channels of the levels, full resolution first; the names of the layers hold them."""

MULTIPLE = 2 ** (len(LEVELS) - 1)
"""The sides of a patch are multiples of this."""


class GenesisUNet3D(nn.Module):
    """The 3D U-Net of Model Genesis, with logits for any number of classes.

    Examples:
        >>> network = GenesisUNet3D(1, 3, shrink=16)
        >>> network(torch.randn(1, 1, 8, 16, 24)).shape
        torch.Size([1, 3, 8, 16, 24])
        >>> list(network.state_dict())[0]
        'down_tr64.ops.0.conv1.weight'
    """

    def __init__(self, input_channels: int, num_classes: int, *, shrink: int = 1) -> None:
        """Build with random weights.

        Args:
            input_channels: Channels of the images; 1 in the published checkpoint.
            num_classes: Channels of the logits.
            shrink: By how much fewer channels each level has, for tests; names of layers stay.
        """
        super().__init__()
        widths = [level // shrink for level in LEVELS]
        incoming = input_channels
        for level, width in zip(LEVELS, widths, strict=True):
            self.add_module(f"down_tr{level}", _Level(incoming, width))
            incoming = width
        for level, width in reversed(list(zip(LEVELS[:-1], widths[:-1], strict=True))):
            self.add_module(f"up_tr{level}", _UpwardLevel(incoming, width))
            incoming = width
        self.out_tr = _Output(incoming, num_classes)

    @property
    def encoder(self) -> nn.ModuleDict:
        """The levels on the way down as ``stages``, full resolution first; the network holds them by other names."""
        return nn.ModuleDict({"stages": nn.ModuleList(self.get_submodule(f"down_tr{level}") for level in LEVELS)})

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, X, Y, Z) -> logits (B, num_classes, X, Y, Z).

        Raises:
            ValueError: If a side of the images is no multiple of 8.
        """
        if any(side % MULTIPLE for side in images.shape[2:]):
            raise ValueError(f"sides of images must be multiples of {MULTIPLE}, got {tuple(images.shape[2:])}")
        features = self.get_submodule(f"down_tr{LEVELS[0]}")(images)
        skips = [features]
        for level in LEVELS[1:]:
            features = self.get_submodule(f"down_tr{level}")(max_pool3d(features, 2))
            skips.append(features)
        for level, skip in zip(reversed(LEVELS[:-1]), reversed(skips[:-1]), strict=True):
            features = self.get_submodule(f"up_tr{level}")(features, skip)
        return self.out_tr(features)


class _Unit(nn.Module):
    """Convolution, batch norm and ReLU."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(incoming, outgoing, 3, padding=1)
        self.bn1 = nn.BatchNorm3d(outgoing)

    def forward(self, features: Tensor) -> Tensor:
        return torch.relu(self.bn1(self.conv1(features)))


class _Level(nn.Module):
    """Convolves twice."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        super().__init__()
        self.ops = nn.Sequential(_Unit(incoming, outgoing // 2), _Unit(outgoing // 2, outgoing))

    def forward(self, features: Tensor) -> Tensor:
        return self.ops(features)


class _UpwardLevel(nn.Module):
    """Enlarges, joins what came from the same level on the way down, and convolves twice."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        super().__init__()
        self.ops = nn.Sequential(_Unit(incoming + outgoing, outgoing), _Unit(outgoing, outgoing))
        self.up_conv = nn.ConvTranspose3d(incoming, incoming, 2, stride=2)

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        return self.ops(torch.cat([self.up_conv(features), skip], dim=1))


class _Output(nn.Module):
    """Logits."""

    def __init__(self, incoming: int, num_classes: int) -> None:
        super().__init__()
        self.final_conv = nn.Conv3d(incoming, num_classes, 1)

    def forward(self, features: Tensor) -> Tensor:
        return self.final_conv(features)


class nnUNetTrainerGenesisUNet3D(WholeNetworkTrainer):
    """nnU-Net with the 3D U-Net of Model Genesis in place of its planned network."""

    architecture = "GenesisUNet3D"
    sizes: ClassVar[Sizes] = {"full": {}, "small": {"shrink": 16}}

    @classmethod
    def make_body(cls, interface: Interface, **size: Any) -> nn.Module:
        """The U-Net."""
        return GenesisUNet3D(interface.channels, interface.classes, **size)
