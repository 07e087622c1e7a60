"""Whether a loss leaves out what nobody annotated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from nnunetv2.training.loss.compound_losses import DC_and_BCE_loss, DC_and_CE_loss
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.utilities.label_handling.label_handling import LabelManager
from torch import Tensor

from nnunet_tricks.training.criterion import Criterion
from nnunet_tricks.tricks.targets.maps import AppendMaps

KNOWN = (DC_and_CE_loss, DC_and_BCE_loss)
"""Losses of nnU-Net that are known to."""
SIDE = 12
"""A multiple of ``BLOCK``."""
BLOCK = 4
"""Labels are of cubes with edges of this many voxels, so that some voxels are no border."""
AROUND = 2
"""Slices that nobody annotated, on either side of one that stands alone."""
TOLERANCE = 1e-3
SLICES_ADVICE = "SparseSlices needs a loss that leaves them out, such as nnU-Net's own or any of 'nnunet-tricks list'"

Computed = Callable[[Tensor, Tensor], tuple[float, Tensor]]
"""From logits and target to the loss and the logits' gradient, times their number."""


def refuse_if_it_counts_ignored(
    loss: Any,
    manager: LabelManager,
    dimensions: int,
    device: torch.device,
    maps: AppendMaps | None = None,
    *,
    advice: str = SLICES_ADVICE,
) -> None:
    """Try a loss on a small patch, alone and beside as much that nobody annotated, and on a slice that stands alone.

    Args:
        loss: As nnU-Net calls it.
        manager: Of the labels; it has an ignore label.
        dimensions: Of patches.
        device: Where the loss computes.
        maps: Makes the maps that the loss reads; ``None`` where it reads none.
        advice: End of the complaint: what to do about it.

    Raises:
        ValueError: If the loss fails, or what nobody annotated changes it.
    """
    if isinstance(loss, DeepSupervisionWrapper):
        loss = loss.loss
    if isinstance(loss, KNOWN):
        return
    name = type(loss.loss if isinstance(loss, Criterion) else loss).__name__
    computed = _computed(loss, device, maps)
    generator = torch.Generator().manual_seed(0)
    shape = (2, manager.num_segmentation_heads, *[SIDE] * dimensions)
    logits, beside = (torch.randn(shape, generator=generator) for _ in range(2))
    target, ignored = _targets(manager, dimensions, generator)
    wide = torch.cat([logits, beside], -1)
    try:
        alone, pull = computed(logits, target)
        both = computed(wide, torch.cat([target, ignored], -1))
        written = computed(wide, torch.cat([target, _written_over(ignored, manager, generator)], -1))
        nothing, _ = computed(beside, ignored)
    except Exception as error:
        raise ValueError(f"{name} fails where some voxels are not annotated: {error}") from error
    for found, pulls in (both, written):
        if not _close(found, alone):
            raise ValueError(
                f"{name} counts voxels that nobody annotated: with as many of them it is {found:.4g}, without "
                f"{alone:.4g}; {advice}"
            )
        if not _alike(pulls / 2, torch.cat([pull, torch.zeros_like(pull)], -1)):
            raise ValueError(
                f"{name} counts voxels that nobody annotated: with as many of them it has another gradient; {advice}"
            )
    if not torch.isfinite(torch.tensor(nothing)):
        raise ValueError(f"{name} is {nothing} in a patch without any annotated voxel; {advice}")
    if dimensions == 3 and isinstance(loss, Criterion):
        _refuse_if_a_slice_has_other_borders(name, loss, manager, device, maps, advice)


def _refuse_if_a_slice_has_other_borders(
    name: str, loss: Criterion, manager: LabelManager, device: torch.device, maps: AppendMaps | None, advice: str
) -> None:
    generator = torch.Generator().manual_seed(1)
    target, ignored = _targets(manager, 2, generator)
    logits = torch.randn(2, manager.num_segmentation_heads, SIDE, SIDE, generator=generator)
    around = torch.randn(*logits.shape[:2], 2 * AROUND, SIDE, SIDE, generator=generator)
    slices = [ignored[:, :, None]] * AROUND
    in_plane = None
    if maps is not None:
        in_plane = AppendMaps(maps.map_of_kinds, maps.layout, maps.spacing[1:], numbers=maps.numbers)
    try:
        plane, pull = _computed(loss, device, in_plane)(logits, target)
    except Exception:  # a loss for volumes only cannot be asked
        return
    volume = torch.cat([around[:, :, :AROUND], logits[:, :, None], around[:, :, AROUND:]], 2)
    found, pulls = _computed(loss, device, maps)(volume, torch.cat([*slices, target[:, :, None], *slices], 2))
    if not _close(found, plane):
        what = f"it is {found:.4g}, of the same slice as an image {plane:.4g}"
    elif not _alike(pulls[:, :, AROUND] / (2 * AROUND + 1), pull):
        what = "its gradient is not that of the same slice as an image"
    else:
        return
    raise ValueError(
        f"{name} takes voxels that nobody annotated for a border: of a slice that stands alone {what}; {advice}"
    )


def _close(found: float, expected: float) -> bool:
    return abs(found - expected) <= TOLERANCE * max(1.0, abs(expected))


def _alike(found: Tensor, expected: Tensor) -> bool:
    """Whether two gradients are; those of losses that are nearly flat are numerical noise."""
    most = float(expected.abs().max())
    return float((found - expected).abs().max()) <= 10 * TOLERANCE * max(most, TOLERANCE)


def _computed(loss: Any, device: torch.device, maps: AppendMaps | None) -> Computed:
    """The loss as a trainer computes it: with maps, and at the end of the training."""

    def compute(logits: Tensor, target: Tensor) -> tuple[float, Tensor]:
        logits = logits.to(device).requires_grad_()
        if not isinstance(loss, Criterion):
            return pulled(loss(logits, target.to(device)), logits)
        before, now = (loss.maps, loss.progress), None
        if maps is not None:
            joined = torch.stack([maps(segmentation=sample)["segmentation"] for sample in target])
            target, now = maps.layout.split(joined.to(device))
        try:
            loss.maps, loss.progress = now, 1.0
            return pulled(loss(logits, target.to(device)), logits)
        finally:
            loss.maps, loss.progress = before

    def pulled(value: Tensor, logits: Tensor) -> tuple[float, Tensor]:
        (gradient,) = torch.autograd.grad(value, logits)
        return float(value.detach()), gradient.cpu() * gradient.numel()

    return compute


def _targets(manager: LabelManager, dimensions: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Every class somewhere, and nothing annotated, as nnU-Net's loader hands them over."""
    blocks = [SIDE // BLOCK] * dimensions
    if not manager.has_regions:
        labels = torch.randint(len(manager.all_labels), (2, 1, *blocks), generator=generator, dtype=torch.int16)
        labels = _enlarged(labels)
        return labels, torch.full_like(labels, int(manager.ignore_label))
    regions = _enlarged(torch.rand((2, len(manager.foreground_regions) + 1, *blocks), generator=generator) > 0.5)
    regions[:, -1] = False
    nothing = torch.zeros_like(regions)
    nothing[:, -1] = True
    return regions, nothing


def _enlarged(blocks: Tensor) -> Tensor:
    for axis in range(2, blocks.ndim):
        blocks = blocks.repeat_interleave(BLOCK, axis)
    return blocks


def _written_over(ignored: Tensor, manager: LabelManager, generator: torch.Generator) -> Tensor:
    """Regions may hold anything where their last channel says that nobody annotated; labels have one value for it."""
    if not manager.has_regions:
        return ignored
    regions = torch.rand(ignored.shape, generator=generator) > 0.5
    regions[:, -1] = True
    return regions
