"""Refuse losses that do not leave out voxels that nobody annotated."""

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
"""Losses of nnU-Net that are known to leave them out."""
SIDE = 12
"""Voxels along each side of the patch that is tried, a multiple of ``BLOCK``."""
BLOCK = 4
"""Voxels along each side of the cubes of one label, large enough that some voxels are no border."""
AROUND = 2
"""Slices that nobody annotated, on either side of one that stands alone."""
TOLERANCE = 1e-3
SLICES_ADVICE = "SparseSlices needs a loss that leaves them out, such as nnU-Net's own or any of 'nnunet-tricks list'"

Computed = Callable[[Tensor, Tensor], tuple[float, Tensor]]
"""A function from logits and target to the loss and its gradient by the logits, times the number of logits."""


def refuse_if_it_counts_ignored(
    loss: Any,
    manager: LabelManager,
    dimensions: int,
    device: torch.device,
    maps: AppendMaps | None = None,
    *,
    advice: str = SLICES_ADVICE,
) -> None:
    """Try a loss on a small patch, alone and beside as many voxels that nobody annotated, and on a single slice.

    Args:
        loss: Loss as nnU-Net calls it.
        manager: nnU-Net's manager of the labels, with an ignore label.
        dimensions: Number of a patch's dimensions, 2 or 3.
        device: Device on which the loss computes.
        maps: Transform that makes the maps of the loss; ``None`` where it reads none.
        advice: End of the error message: what to do about it.

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
    except Exception as error:  # the loss may be anybody's, so it may fail in any way; all of them refuse it
        raise ValueError(f"{name} fails where some voxels are not annotated: {error}") from error
    for beside_ignored, pulls in (both, written):
        if not _close(beside_ignored, alone):
            raise ValueError(
                f"{name} counts voxels that nobody annotated: with as many of them it is {beside_ignored:.4g}, without "
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
    except (AssertionError, IndexError, RuntimeError, ValueError):
        # What torch raises for tensors with too few axes: a loss for volumes only has no value for an image.
        return
    volume = torch.cat([around[:, :, :AROUND], logits[:, :, None], around[:, :, AROUND:]], 2)
    stacked, pulls = _computed(loss, device, maps)(volume, torch.cat([*slices, target[:, :, None], *slices], 2))
    if not _close(stacked, plane):
        difference = f"it is {stacked:.4g}, of the same slice as an image {plane:.4g}"
    elif not _alike(pulls[:, :, AROUND] / (2 * AROUND + 1), pull):
        difference = "its gradient is not that of the same slice as an image"
    else:
        return
    raise ValueError(
        f"{name} takes voxels that nobody annotated for a border: of a slice that stands alone {difference}; {advice}"
    )


def _close(value: float, expected: float) -> bool:
    return abs(value - expected) <= TOLERANCE * max(1.0, abs(expected))


def _alike(gradient: Tensor, expected: Tensor) -> bool:
    """Whether two gradients are alike; where a loss is nearly flat, gradients are numerical noise."""
    most = float(expected.abs().max())
    return float((gradient - expected).abs().max()) <= 10 * TOLERANCE * max(most, TOLERANCE)


def _computed(loss: Any, device: torch.device, maps: AppendMaps | None) -> Computed:
    """The loss as a trainer computes it, with maps, and with the weights that it has at the end of the training."""

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
    """A target with every class and one with nothing annotated, as nnU-Net's loader hands them over."""
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
    """The un-annotated target with other content: regions may hold anything there, labels have one value for it."""
    if not manager.has_regions:
        return ignored
    regions = torch.rand(ignored.shape, generator=generator) > 0.5
    regions[:, -1] = True
    return regions
