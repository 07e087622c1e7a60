r"""Non-local attention behind atrous spatial pyramid pooling.

$z = NonLocal(ASPP(x))$. The survey (Wang, Lei et al., "Medical image segmentation using deep learning: a survey", 2022)
names the two together. Here the pyramid compares voxels at a few distances, and the attention behind it all of them,
whatever their distance, by what the pyramid has made of them. See ``aspp`` and ``non_local``, whose settings it has.
The attention begins as identity, so at first the network is that of ``ASPP``.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from nnunet_tricks.tricks.network.blocks.aspp import AtrousTrainer
from nnunet_tricks.tricks.network.blocks.bottleneck import Bottleneck
from nnunet_tricks.tricks.network.blocks.non_local import NonLocalAttention, cap_notes, cell_size


class nnUNetTrainerNonLocalASPP(AtrousTrainer):
    """nnU-Net with atrous spatial pyramid pooling and non-local attention behind the deepest stage."""

    bottleneck_trick = "NonLocalASPP"

    @classmethod
    def make_bottleneck(cls, place: Bottleneck) -> nn.Module:
        """The pyramid, then the attention."""
        tokens = cls.parameters["NonLocalASPP"].tokens
        cell_size(place.size, tokens)
        attention = NonLocalAttention(place.channels, place.layers, tokens=tokens)
        return nn.Sequential(super().make_bottleneck(place), attention)

    def bottleneck_notes(self, place: Bottleneck) -> Iterator[str]:
        """Which rates do not fit, and whether voxels look at cells."""
        yield from super().bottleneck_notes(place)
        yield from cap_notes(place.size, self.parameters["NonLocalASPP"].tokens)
