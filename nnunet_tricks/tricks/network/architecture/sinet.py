r"""SINetV2: a network for objects that hide in their surroundings, with any number of classes.

Fan et al., "Concealed object detection", IEEE TPAMI 44, 2022, sections 3.2 to 3.4. Features of a Res2Net at 1/8, 1/16
and 1/32 of the size go through three parts:

- Texture enhancement (TEM): four branches with growing receptive fields, joined to 32 channels; at each of the sizes.
- Neighbour connection decoder (NCD): joins the three and yields the first, coarse logits at 1/8.
- Group-reversal attention (GRA): from deep to shallow, three blocks each. They show a stage what the logits so far
  leave out, $1 - \sigma(z)$, between 1, 4 and 32 groups of its channels, and the stage corrects the logits.

The original segments one kind of object, and $\sigma(z)$ is its probability. Here each class, or region, has logits and
a reversed guide of its own: C guides stand behind each group where the original has one. With one class the network
computes what the published one does from the same weights. These are 24.93 million; the published 26.98 million hold a
classifier of ImageNet that is not used. With a label map the background is a class as well, and guides are one minus
the sigmoid of softmax logits.

The original trains all four outputs, enlarged to full size, with equal weights. So does this one with deep supervision.

The IFE paper enhances what the three stages of group-reversal attention see, not what the decoder sees; a convolution
makes 32 channels of it again. Its ratios are 0.75, 0.75 and 1, from shallow to deep.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import torch
import torch.nn.functional as F  # noqa: N812, its standard name
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from torch import Tensor, nn

from nnunet_tricks.tricks.network.architecture.trainer import ArchitectureTrainer, Interface, Sizes
from nnunet_tricks.tricks.network.enhancement.places import Place
from nnunet_tricks.tricks.network.enhancement.selection import Enhancement
from nnunet_tricks.tricks.supervision.levels import equal_weights

BACKBONE = "res2net50d"
"""timm's name of the Res2Net-50 (26w, 4s) with three small convolutions first, "v1b", that the paper takes."""

CHANNELS = 32
"""Channels of everything behind the backbone."""

GROUPS = (1, 4, 32)
"""Into how many groups of channels the three blocks of a stage put their guides."""

OUTPUTS = 4
"""How many outputs are trained: those of the three stages, shallow to deep, and of the decoder."""


class TextureEnhancement(nn.Module):
    """Joins four receptive fields: 1 x 1, and 3, 5 and 7 with dilated convolutions behind them.

    Examples:
        >>> TextureEnhancement(48)(torch.randn(2, 48, 6, 7)).shape
        torch.Size([2, 32, 6, 7])
    """

    def __init__(self, channels: int) -> None:
        """Make the layers.

        Args:
            channels: Channels of the features that come in.
        """
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(_convolution(channels, CHANNELS, 1), *(_wide(side) if side > 1 else ()))
            for side in (1, 3, 5, 7)
        )
        self.join = _convolution(len(self.branches) * CHANNELS, CHANNELS, 3)
        self.shortcut = _convolution(channels, CHANNELS, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, h, w) -> (B, 32, h, w), not negative."""
        joined = self.join(torch.cat([branch(features) for branch in self.branches], dim=1))
        return torch.relu(joined + self.shortcut(features))


class NeighborConnection(nn.Module):
    """The neighbour connection decoder: features gate the next larger ones, then all are joined (eq. 1).

    Examples:
        >>> shallow, middle, deep = (torch.randn(2, 32, side, side) for side in (8, 4, 2))
        >>> NeighborConnection(3)(shallow, middle, deep).shape
        torch.Size([2, 3, 8, 8])
    """

    def __init__(self, num_classes: int) -> None:
        """Make the layers.

        Args:
            num_classes: Channels of the logits.
        """
        super().__init__()
        self.deep_gate = _convolution(CHANNELS, CHANNELS, 3)
        self.middle_gate = _convolution(CHANNELS, CHANNELS, 3)
        self.gated_gate = _convolution(CHANNELS, CHANNELS, 3)
        self.deep = _convolution(CHANNELS, CHANNELS, 3)
        self.joined = _convolution(2 * CHANNELS, 2 * CHANNELS, 3)
        self.join_two = _convolution(2 * CHANNELS, 2 * CHANNELS, 3)
        self.join_three = _convolution(3 * CHANNELS, 3 * CHANNELS, 3)
        self.last = _convolution(3 * CHANNELS, 3 * CHANNELS, 3)
        self.head = nn.Conv2d(3 * CHANNELS, num_classes, 1)

    def forward(self, shallow: Tensor, middle: Tensor, deep: Tensor) -> Tensor:
        """Features at 1/8, 1/16 and 1/32 of the size, 32 channels each -> logits at 1/8."""
        deep_up = _corners(deep, middle)
        gated_middle = self.deep_gate(deep_up) * middle
        gates = self.gated_gate(_corners(gated_middle, shallow)) * self.middle_gate(_corners(middle, shallow))
        joined = self.join_two(torch.cat([gated_middle, self.deep(deep_up)], dim=1))
        joined = self.join_three(torch.cat([gates * shallow, self.joined(_corners(joined, shallow))], dim=1))
        return self.head(self.last(joined))


class GroupReversal(nn.Module):
    """A block of group-reversal attention: guides between groups of channels (eq. 2 and 3).

    Examples:
        >>> features, guides = GroupReversal(2, groups=4)(torch.zeros(1, 32, 5, 5), torch.ones(1, 2, 5, 5))
        >>> features.shape, guides.shape
        (torch.Size([1, 32, 5, 5]), torch.Size([1, 2, 5, 5]))
    """

    def __init__(self, guides: int, *, groups: int) -> None:
        """Make the layers.

        Args:
            guides: Number of guides, one for each class.
            groups: Number of groups of channels.
        """
        super().__init__()
        self.groups = groups
        self.mix = nn.Conv2d(CHANNELS + groups * guides, CHANNELS, 3, padding=1)
        self.score = nn.Conv2d(CHANNELS, guides, 3, padding=1)

    def forward(self, features: Tensor, guides: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, 32, h, w) and guides (B, C, h, w) -> both, corrected."""
        features = features + torch.relu(self.mix(interleaved(features, guides, self.groups)))
        return features, guides + self.score(features)


class ReversalStage(nn.Module):
    """The three blocks of one size: corrects logits by what they leave out.

    Examples:
        >>> ReversalStage(2)(torch.zeros(1, 32, 5, 5), torch.ones(1, 2, 5, 5)).shape
        torch.Size([1, 2, 5, 5])
    """

    def __init__(self, num_classes: int) -> None:
        """Make the layers.

        Args:
            num_classes: Channels of the logits.
        """
        super().__init__()
        self.blocks = nn.ModuleList(GroupReversal(num_classes, groups=groups) for groups in GROUPS)

    def forward(self, features: Tensor, logits: Tensor) -> Tensor:
        """Features (B, 32, h, w) and logits (B, C, h, w) -> better logits."""
        guides = 1 - torch.sigmoid(logits)
        for block in self.blocks:
            features, guides = block(features, guides)
        return logits + guides


class SINetV2(nn.Module):
    """SINetV2 over a Res2Net-50 of timm; takes images of any size.

    Attributes:
        encoder: timm's network, under timm's names of its weights; its features at 1/8, 1/16 and 1/32 of the size.
        textures: Texture enhancement of the three, shallow to deep.
        reversal_inputs: What the stages of group-reversal attention see of these; does nothing. The IFE paper puts its
            enhancement here, and leaves the decoder's input as it is.
        connection: The neighbour connection decoder.
        stages: The stages of group-reversal attention, shallow to deep.
        deep_supervision: Whether the network returns all its outputs.

    Examples:
        >>> network = SINetV2(3, 2, layers=(1, 1, 1, 1), channels=(8, 8, 8, 8))
        >>> network(torch.randn(2, 3, 33, 47)).shape
        torch.Size([2, 2, 33, 47])
    """

    encoder: Any  # timm's types do not say what its networks have

    def __init__(
        self, input_channels: int, num_classes: int, *, deep_supervision: bool = False, **changes: Any
    ) -> None:
        """Build with random weights.

        Args:
            input_channels: Channels of the images.
            num_classes: Channels of the logits.
            deep_supervision: Whether the network returns all its outputs.
            **changes: What differs from timm's network, such as ``layers``.
        """
        super().__init__()
        import timm  # takes seconds, and not every trainer needs it

        self.encoder = timm.create_model(
            BACKBONE, pretrained=False, features_only=True, out_indices=(2, 3, 4), in_chans=input_channels, **changes
        )
        channels: Sequence[int] = self.encoder.feature_info.channels()
        self.textures = nn.ModuleList(TextureEnhancement(count) for count in channels)
        self.reversal_inputs = nn.ModuleList(nn.Identity() for _ in channels)
        self.connection = NeighborConnection(num_classes)
        self.stages = nn.ModuleList(ReversalStage(num_classes) for _ in channels)
        self.deep_supervision = deep_supervision

    @property
    def decoder(self) -> SINetV2:
        """Itself: nnU-Net switches deep supervision on and off here."""
        return self

    def ife_places(self) -> Sequence[Place]:
        """The textures that the stages see, shallow to deep."""
        return [
            Place(f"texture at 1/{2**depth}", CHANNELS, partial(self._enhance, stage))
            for stage, depth in enumerate((3, 4, 5))
        ]

    def _enhance(self, stage: int, enhancement: Enhancement) -> None:
        if enhancement.count:
            back = nn.Conv2d(CHANNELS + enhancement.count, CHANNELS, 3, padding=1)
            self.reversal_inputs[stage] = nn.Sequential(enhancement, back)

    def inside(self, size: Sequence[int]) -> tuple[int, ...]:
        """Size to which images are padded: none needs it."""
        return tuple(size)

    def forward(self, images: Tensor) -> Tensor | list[Tensor]:
        """Images (B, C, H, W) -> logits (B, num_classes, H, W).

        Returns:
            Logits, or with deep supervision four of them at full size, the best first: of the stages from shallow to
            deep, and of the decoder.
        """
        features = [texture(maps) for texture, maps in zip(self.textures, self.encoder(images), strict=True)]
        logits = self.connection(*features)
        outputs = [logits]
        for stage, prepare, maps in reversed(list(zip(self.stages, self.reversal_inputs, features, strict=True))):
            logits = stage(prepare(maps), resized(logits, maps))
            outputs.insert(0, logits)
        if not self.deep_supervision:
            return resized(logits, images)
        return [resized(output, images) for output in outputs]


def interleaved(features: Tensor, guides: Tensor, groups: int) -> Tensor:
    """Channels in groups, with all guides behind each group.

    Args:
        features: (B, C, h, w).
        guides: (B, G, h, w).
        groups: Number of groups; divides C.

    Returns:
        (B, C + groups * G, h, w).

    Examples:
        >>> features = torch.tensor([1.0, 2, 3, 4]).view(1, 4, 1, 1)
        >>> interleaved(features, torch.tensor([-1.0, -2]).view(1, 2, 1, 1), groups=2).flatten().tolist()
        [1.0, 2.0, -1.0, -2.0, 3.0, 4.0, -1.0, -2.0]
    """
    grouped = torch.unflatten(features, 1, (groups, -1))
    return torch.cat([grouped, guides.unsqueeze(1).expand(-1, groups, -1, -1, -1)], dim=2).flatten(1, 2)


def resized(logits: Tensor, like: Tensor) -> Tensor:
    """Logits at the size of other maps, by linear interpolation between the centres of pixels."""
    return F.interpolate(logits, size=like.shape[2:], mode="bilinear", align_corners=False)


def _corners(features: Tensor, like: Tensor) -> Tensor:
    # The published decoder aligns corners, and its reversal stages centres of pixels: published weights expect that.
    return F.interpolate(features, size=like.shape[2:], mode="bilinear", align_corners=True)


def _convolution(incoming: int, outgoing: int, kernel: int | tuple[int, int], *, dilation: int = 1) -> nn.Sequential:
    """Convolution that keeps the size, and batch norm; the paper has no activation behind them."""
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (dilation * (sides[0] // 2), dilation * (sides[1] // 2))
    return nn.Sequential(
        nn.Conv2d(incoming, outgoing, sides, padding=padding, dilation=dilation, bias=False), nn.BatchNorm2d(outgoing)
    )


def _wide(side: int) -> tuple[nn.Module, ...]:
    """A receptive field of ``side`` in two steps, then one of 3 with gaps of ``side``."""
    return (
        _convolution(CHANNELS, CHANNELS, (1, side)),
        _convolution(CHANNELS, CHANNELS, (side, 1)),
        _convolution(CHANNELS, CHANNELS, 3, dilation=side),
    )


class nnUNetTrainerSINetV2(ArchitectureTrainer):
    """nnU-Net with SINetV2 in place of its planned network; its four outputs weigh alike in the loss."""

    architecture = "SINetV2"
    sizes: ClassVar[Sizes] = {
        "full": {},
        "small": {"layers": (1, 1, 1, 1), "channels": (8, 16, 16, 16), "stem_width": 8, "block_args": {"scale": 2}},
    }

    @classmethod
    def make_network(cls, interface: Interface, **size: Any) -> nn.Module:
        """SINetV2."""
        return SINetV2(interface.channels, interface.classes, deep_supervision=interface.deep_supervision, **size)

    def _get_deep_supervision_scales(self) -> list[list[float]] | None:
        """All outputs have full size."""
        if not self.enable_deep_supervision:
            return None
        return [[1.0] * len(self.configuration_manager.patch_size)] * OUTPUTS

    def _build_loss(self) -> nn.Module:
        built = super()._build_loss()
        if isinstance(built, DeepSupervisionWrapper):
            built.weight_factors = equal_weights(built.weight_factors, OUTPUTS)
        return built
