r"""Vision transformer with a convolutional decoder.

Images are cut into squares of P x P pixels, each a token; L layers of self-attention look at all of them at once
(Dosovitskiy et al., "An image is worth 16x16 words", ICLR 2021). The tokens of the last layer, normalised, are a
feature map at 1/P of the size. $\log_2 P$ blocks enlarge it: each doubles the size by linear interpolation, then
convolves twice, as the cascaded upsampler of TransUNet does without skip connections (Chen et al. 2021, section 3.2).

The trick paper takes ViT-B and ViT-L at P = 16 and 32. Its published code enlarges 16 times for both, so that at P = 32
its output is half as large as the truth; here one block more makes it whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log2, prod
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn

from nnunet_tricks.tricks.network.architecture.trainer import Interface, Sizes
from nnunet_tricks.tricks.network.architecture.whole import WholeNetworkTrainer

SMALL = {"embed_dim": 24, "depth": 2, "num_heads": 2, "hidden": 16}
"""What differs in small networks for checks."""

WIDTHS = (256, 128, 64, 32, 16)
"""Channels behind the blocks of the decoder; the last block always has 16, as the last one of TransUNet has."""


class CascadedUpsampler(nn.Module):
    """A decoder without skip connections: each block doubles the size.

    Examples:
        >>> import torch
        >>> CascadedUpsampler(24, 3, hidden=32, widths=(16, 8))(torch.randn(1, 24, 5, 4)).shape
        torch.Size([1, 3, 20, 16])
    """

    def __init__(self, channels: int, num_classes: int, *, hidden: int, widths: Sequence[int]) -> None:
        """Make the layers.

        Args:
            channels: Channels of the features that come in.
            num_classes: Channels of the logits.
            hidden: Channels before the first block.
            widths: Channels behind each block.
        """
        super().__init__()
        self.stem = _convolution(channels, hidden)
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
                    _convolution(incoming, outgoing),
                    _convolution(outgoing, outgoing),
                )
                for incoming, outgoing in zip((hidden, *widths), widths, strict=False)
            )
        )
        self.head = nn.Conv2d(widths[-1], num_classes, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, h, w) -> logits (B, num_classes, h 2^n, w 2^n) for n blocks."""
        return self.head(self.blocks(self.stem(features)))


class ViTUNet(nn.Module):
    """A vision transformer of timm under a convolutional decoder; takes images of any size.

    Images that are no multiple of the patch are padded with zeros at their far ends, and the logits are cropped again.

    Attributes:
        encoder: timm's network, under timm's names of its weights.
        decoder: From the tokens of the last layer to logits.

    Examples:
        >>> import torch
        >>> network = ViTUNet(3, 2, encoder="vit_tiny_patch16_224", patch=16, image_size=(32, 48), depth=1)
        >>> network(torch.randn(1, 3, 30, 41)).shape
        torch.Size([1, 2, 30, 41])
    """

    encoder: Any  # timm's types do not say what its networks have

    def __init__(
        self,
        input_channels: int,
        num_classes: int,
        *,
        encoder: str,
        patch: int,
        image_size: Sequence[int],
        dropout: float = 0,
        hidden: int = 512,
        **changes: Any,
    ) -> None:
        """Build with random weights.

        Args:
            input_channels: Channels of the images.
            num_classes: Channels of the logits.
            encoder: timm's name of the transformer, such as ``vit_base_patch16_224``.
            patch: Side of the squares that are tokens, in pixels; a power of 2 from 4 to 32.
            image_size: Height and width for which positions are learned; for other images they are interpolated.
            dropout: Share of values that is left out behind the positions and in each layer's perceptron.
            hidden: Channels before the first block of the decoder.
            **changes: What differs from timm's network, such as ``depth``.

        Raises:
            ValueError: If the patch has another side.
        """
        super().__init__()
        import timm  # takes seconds, and not every trainer needs it

        widths = decoder_widths(patch)
        self.encoder = timm.create_model(
            encoder,
            pretrained=False,
            in_chans=input_channels,
            num_classes=0,
            patch_size=patch,
            img_size=tuple(patch * ceil(side / patch) for side in image_size),
            dynamic_img_size=True,
            dynamic_img_pad=True,
            pos_drop_rate=dropout,
            proj_drop_rate=dropout,
            **changes,
        )
        for block in self.encoder.blocks:
            # timm has one rate for both; the paper's transformers drop nothing here.
            block.attn.proj_drop.p = 0.0
        self.decoder = CascadedUpsampler(self.encoder.num_features, num_classes, hidden=hidden, widths=widths)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) -> logits (B, num_classes, H, W)."""
        height, width = images.shape[2:]
        # With the norm behind the last layer, so that its weights are used and trained.
        (tokens,) = self.encoder.forward_intermediates(images, indices=1, norm=True, intermediates_only=True)
        return self.decoder(tokens)[..., :height, :width]


def decoder_widths(patch: int) -> tuple[int, ...]:
    """Channels behind each block of a decoder that enlarges ``patch`` times.

    Raises:
        ValueError: If blocks that double the size cannot do that.

    Examples:
        >>> decoder_widths(16), decoder_widths(32)
        ((256, 128, 64, 16), (256, 128, 64, 32, 16))
    """
    blocks = int(log2(patch)) if patch > 0 else 0
    if patch != 2**blocks or not 2 <= blocks <= len(WIDTHS):
        raise ValueError(f"patch must be a power of 2 from 4 to {2 ** len(WIDTHS)}, got {patch}")
    return (*WIDTHS[: blocks - 1], WIDTHS[-1])


def _convolution(incoming: int, outgoing: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(incoming, outgoing, 3, padding=1, bias=False), nn.BatchNorm2d(outgoing), nn.ReLU(inplace=True)
    )


class ViTTrainer(WholeNetworkTrainer):
    """A trainer whose network is a vision transformer; positions are learned for the patches of the plans."""

    @classmethod
    def check_given_patch(cls, theirs: tuple[int, ...], mine: tuple[int, ...], file: Path) -> None:
        """Refuse a file whose positions cannot be resampled, or would be taken for those of other patches."""
        old, new = cls._grid(theirs), cls._grid(mine)
        if old != new and (prod(old) == prod(new) or len(set(old)) > 1):
            cls._refuse_patch(theirs, mine, file)
        super().check_given_patch(theirs, mine, file)

    @classmethod
    def make_body(cls, interface: Interface, **size: Any) -> nn.Module:
        """The transformer and its decoder."""
        return ViTUNet(
            interface.channels,
            interface.classes,
            image_size=interface.patch_size,
            dropout=cls.parameters[cls.architecture].dropout,
            **size,
        )


class nnUNetTrainerViTB16(ViTTrainer):
    """nnU-Net with a ViT-B/16 in place of its planned network."""

    architecture = "ViTB16"
    sizes: ClassVar[Sizes] = {
        "full": {"encoder": "vit_base_patch16_224", "patch": 16},
        "small": {"encoder": "vit_base_patch16_224", "patch": 16, **SMALL},
    }


class nnUNetTrainerViTB32(ViTTrainer):
    """nnU-Net with a ViT-B/32 in place of its planned network."""

    architecture = "ViTB32"
    sizes: ClassVar[Sizes] = {
        "full": {"encoder": "vit_base_patch32_224", "patch": 32},
        "small": {"encoder": "vit_base_patch32_224", "patch": 32, **SMALL},
    }


class nnUNetTrainerViTL16(ViTTrainer):
    """nnU-Net with a ViT-L/16 in place of its planned network."""

    architecture = "ViTL16"
    sizes: ClassVar[Sizes] = {
        "full": {"encoder": "vit_large_patch16_224", "patch": 16},
        "small": {"encoder": "vit_large_patch16_224", "patch": 16, **SMALL},
    }


class nnUNetTrainerViTL32(ViTTrainer):
    """nnU-Net with a ViT-L/32 in place of its planned network."""

    architecture = "ViTL32"
    sizes: ClassVar[Sizes] = {
        "full": {"encoder": "vit_large_patch32_224", "patch": 32},
        "small": {"encoder": "vit_large_patch32_224", "patch": 32, **SMALL},
    }
