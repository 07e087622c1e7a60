"""Random logits with targets in every layout that nnU-Net hands to a loss."""

from __future__ import annotations

from typing import NamedTuple

import torch
from nnunetv2.training.loss.compound_losses import DC_and_BCE_loss, DC_and_CE_loss
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from torch import Tensor

from nnunet_tricks.training.criterion import Criterion, Loss
from nnunet_tricks.tricks.targets.maps import AppendMaps, Layout, MapOfKinds

MODES = ("labels", "labels+ignore", "regions", "regions+ignore")
CLASSES = 3
IGNORE = CLASSES
REGIONS = 2
"""As many as the trainers' data sets of the fixture ``loss_of`` have."""


class Case(NamedTuple):
    """Logits, nnU-Net's target for them, and how the criterion reads it."""

    logits: Tensor
    target: Tensor
    regions: bool
    ignore_label: int | None

    def criterion(self, loss: Loss) -> Criterion:
        return Criterion(loss, regions=self.regions, ignore_label=self.ignore_label)

    @property
    def annotated(self) -> Tensor:
        """(B, *spatial), bool."""
        if self.ignore_label is None:
            return torch.ones_like(self.logits[:, 0], dtype=torch.bool)
        return ~self.target[:, -1] if self.regions else self.target[:, 0] != self.ignore_label


def make(
    mode: str,
    *,
    spatial: tuple[int, ...] = (6, 5, 4),
    batch: int = 2,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Case:
    """A case of a label mode; a third of the voxels is ignored where the mode has an ignore label."""
    random = torch.Generator().manual_seed(seed)
    regions, ignore = mode.startswith("regions"), mode.endswith("ignore")
    logits = torch.randn(batch, REGIONS if regions else CLASSES, *spatial, generator=random, dtype=dtype)
    labels = torch.randint(CLASSES, (batch, 1, *spatial), generator=random)
    ignored = torch.rand(labels.shape, generator=random) < 1 / 3
    if regions:
        # Nested regions, as whole tumour > tumour core.
        target = torch.cat([labels > region for region in range(REGIONS)], 1)
        target = torch.cat([target & ~ignored, ignored], 1) if ignore else target
    else:
        target = (labels.masked_fill(ignored, IGNORE) if ignore else labels).to(torch.int16)
    return Case(logits.requires_grad_(), target, regions, (IGNORE if ignore else None))


def all_ignored(case: Case) -> Case:
    """The same logits, and nothing annotated."""
    target = torch.zeros_like(case.target) if case.regions else torch.full_like(case.target, IGNORE)
    if case.regions:
        target[:, -1] = True
    return case._replace(target=target)


def maps_of(case: Case, map_of_kinds: MapOfKinds, layout: Layout, spacing: tuple[float, ...] = ()) -> Tensor:
    """What the loader makes of the truth, (B, maps, *spatial)."""
    append = AppendMaps(map_of_kinds, layout, spacing or (1.0,) * (case.logits.ndim - 2))
    joined = [append(segmentation=target)["segmentation"] for target in case.target]
    return layout.split(torch.stack(joined))[1]


def nnunet_loss(case: Case, *, batch_dice: bool) -> torch.nn.Module:
    """nnU-Net's default loss, put together as its trainer does."""
    dice = {"batch_dice": batch_dice, "smooth": 1e-5, "ddp": False, "do_bg": case.regions}
    if case.regions:
        ignore = case.ignore_label is not None
        return DC_and_BCE_loss({}, dice, use_ignore_label=ignore, dice_class=MemoryEfficientSoftDiceLoss)
    return DC_and_CE_loss(dice, {}, ignore_label=case.ignore_label, dice_class=MemoryEfficientSoftDiceLoss)
