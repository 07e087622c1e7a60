"""The trainer that tricks with parts in nnU-Net's planned network build on."""

from __future__ import annotations

from math import prod
from typing import Any

from torch import nn

from nnunet_tricks.training.planned import Planned
from nnunet_tricks.training.trainer import TrickTrainer
from nnunet_tricks.tricks.network.blocks.planned_layers import deepest_size, sides


class PlannedNetworkTrainer(TrickTrainer):
    """A trainer with parts in the planned network; depth and strides of the plans stay."""

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse a deepest stage of one voxel where its norm layers compare voxels with each other."""
        super().check_planned(planned)
        require_voxels(cls.planned_network(planned), planned)


def require_voxels(network: Any, planned: Planned) -> None:
    """Refuse plans with one voxel in the deepest stage, where its norm layer would be left with nothing.

    nnU-Net's planned network cannot be trained with them either, and says so only after it has made a folder.

    Args:
        network: The network with all tricks of the name; ``None`` where it is not known.
        planned: Plans, configuration and labels.

    Raises:
        ValueError: If instance norm sees a single voxel, or batch norm a single one of a single patch.
    """
    encoder: Any = getattr(network, "encoder", None)
    strides = getattr(encoder, "strides", None)  # networks of other kinds check their own
    patch = planned.configuration.patch_size
    if strides is None or prod(deepest_size(patch, strides)) > 1:
        return
    alone: list[type[nn.Module]] = [nn.modules.instancenorm._InstanceNorm]
    alone += [nn.modules.batchnorm._BatchNorm] if planned.batch_size == 1 else []
    # An encoder of timm has no stages of nnU-Net's, and checks its own layers.
    parts = [*list(getattr(encoder, "stages", ()))[-1:], getattr(network.decoder, "bottleneck", None)]
    norms = (layer for part in parts if part is not None for layer in part.modules() if isinstance(layer, tuple(alone)))
    if norm := next(norms, None):
        raise ValueError(
            f"the deepest stage of the network must have at least 2 voxels, and a patch of {sides(patch)} has 1 there, "
            f"which {type(norm).__name__} cannot normalise: plan larger patches with 'nnunet-tricks plan --patch', or "
            "use another norm such as LayerNorm"
        )
