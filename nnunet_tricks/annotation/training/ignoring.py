"""Whether a loss leaves out what nobody annotated."""

from __future__ import annotations

from typing import Any

import torch
from nnunetv2.training.loss.compound_losses import DC_and_BCE_loss, DC_and_CE_loss
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.utilities.label_handling.label_handling import LabelManager
from torch import Tensor

from nnunet_tricks.criterion import Criterion

KNOWN = (Criterion, DC_and_CE_loss, DC_and_BCE_loss)
"""Losses that are known to; the first stands for all losses of ours, which never see such voxels."""
SIDE = 8
TOLERANCE = 1e-3


def refuse_if_it_counts_ignored(loss: Any, manager: LabelManager, dimensions: int, device: torch.device) -> None:
    """Try a loss on a small patch, alone and beside as much that nobody annotated.

    Args:
        loss: As nnU-Net calls it.
        manager: Of the labels; it has an ignore label.
        dimensions: Of patches.
        device: Where the loss computes.

    Raises:
        ValueError: If the loss fails, or the second patch has another loss than the first.
    """
    if isinstance(loss, DeepSupervisionWrapper):
        loss = loss.loss
    if isinstance(loss, KNOWN):
        return
    name = type(loss).__name__
    generator = torch.Generator().manual_seed(0)
    shape = (2, manager.num_segmentation_heads, *[SIDE] * dimensions)
    logits, beside = (torch.randn(shape, generator=generator).to(device) for _ in range(2))
    target, ignored = (one.to(device) for one in _targets(manager, dimensions, generator))
    try:
        alone = float(loss(logits, target))
        both = float(loss(torch.cat([logits, beside], -1), torch.cat([target, ignored], -1)))
        nothing = float(loss(beside, ignored))
    except Exception as error:
        raise ValueError(f"{name} fails where some voxels are not annotated: {error}") from error
    if not abs(both - alone) <= TOLERANCE * max(1.0, abs(alone)):
        raise ValueError(
            f"{name} counts voxels that nobody annotated: with as many of them it is {both:.4g}, without {alone:.4g}; "
            "SparseSlices needs a loss that leaves them out, such as nnU-Net's own or any of 'nnunet-tricks list'"
        )
    if not torch.isfinite(torch.tensor(nothing)):
        raise ValueError(f"{name} is {nothing} in a patch without any annotated voxel; SparseSlices needs another loss")


def _targets(manager: LabelManager, dimensions: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Every class somewhere, and nothing annotated, as nnU-Net's loader hands them over."""
    spatial = [SIDE] * dimensions
    if not manager.has_regions:
        labels = torch.randint(len(manager.all_labels), (2, 1, *spatial), generator=generator, dtype=torch.int16)
        return labels, torch.full_like(labels, int(manager.ignore_label))
    regions = torch.rand((2, len(manager.foreground_regions) + 1, *spatial), generator=generator) > 0.5
    regions[:, -1] = False
    nothing = torch.zeros_like(regions)
    nothing[:, -1] = True
    return regions, nothing
