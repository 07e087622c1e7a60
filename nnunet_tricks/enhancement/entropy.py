r"""Instructive channels by entropy: feature maps in which many things happen count more than monotonous ones.

$E = -\sum_{i,j} P_{ij} \log_2 P_{ij}$, where $P_{ij}$ is how often value i stands at the centre of a window whose other
values have mean j. Liu et al., "Instructive feature enhancement for dichotomous medical image segmentation", MICCAI
2023, eq. 2 and algorithm 1. In 3D the window has 27 voxels.

The published code for U-Nets packs i and j into one number, 100 i + j, and takes the histogram's range from the whole
batch: in effect an entropy of i alone, which depends on the other images of the batch. ``mode="reference"`` is that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from math import isqrt, prod
from typing import Literal

import torch
from torch import Tensor

from nnunet_tricks.enhancement.maps import check_features, filtered, in_chunks, steps_from_centre
from nnunet_tricks.enhancement.selection import Score
from nnunet_tricks.enhancement.trainer import EnhancementTrainer

Mode = Literal["paper", "reference"]

MOST_BINS = 2**16
"""256 values of i times 256 of j, as in the paper's equation."""

_AT_ONCE = 2**17
"""Values; indices have eight bytes, and the smaller pieces keep them in the caches of a CPU."""

_CENTRE = 100.0
"""What the published code multiplies i with before it adds j."""


@torch.no_grad()
def entropy_score(
    features: Tensor, axes: Sequence[int] | None = None, *, bins: int = 256, mode: Mode = "paper"
) -> Tensor:
    """Entropy of a feature map's values together with the means of their neighbours, in bits.

    In float32, also under autocast and for half-precision features. Counting needs no host, and has fixed sizes.

    ``paper``: i and j fall into sqrt(bins) values each, between the least and the greatest feature of the same sample,
    so channels of small amplitude score low, as in the published code, but other samples do not matter. Neighbours
    outside the map are left out of the mean.

    ``reference``: 100 i + j falls into ``bins`` values between the least and the greatest of the whole batch.
    Neighbours outside the map count as 0, and shares are of a map that is two voxels larger along each axis, so that
    they do not add up to 1.

    Args:
        features: (B, C, *spatial), 2D or 3D.
        axes: Spatial axes along which a voxel has neighbours, all if not given.
        bins: Cells of the histogram, at most 65536; for ``paper`` a square number.
        mode: ``paper`` or ``reference``.

    Returns:
        (B, C), at most log2 of ``bins`` and of the number of voxels. 0 for a map with values that are not finite, and
        for features that are all the same. No gradient.

    Raises:
        ValueError: If the features have another shape, an axis is not there, or bins or mode are none of these.

    Examples:
        >>> flat, slope = torch.zeros(1, 1, 8, 8), torch.arange(8.0).expand(1, 1, 8, 8)
        >>> entropy_score(torch.cat([flat, slope], dim=1)).abs()
        tensor([[0., 3.]])
    """
    chosen = check_features(features, axes)
    check_bins(bins, mode)
    dimensions = features.ndim - 2
    with torch.autocast(features.device.type, enabled=False):
        steps = steps_from_centre(chosen, dimensions, features.device)
        around = (steps > 0).float() / (3 ** len(chosen) - 1)
        padding = [int(axis in chosen) for axis in range(dimensions)]
        if mode == "reference":
            mixed = [
                filtered(maps, around + _CENTRE * (steps == 0), padding=padding)
                for maps in in_chunks(features, _AT_ONCE)
            ]
            ranges = _ranges(mixed, features.shape[:2], across=(0, 1))
            total = prod(size + 2 * pad for size, pad in zip(features.shape[2:], padding, strict=True))
            entropies, done = [], 0
            for maps in mixed:
                low, high = ranges[done : done + maps.shape[1]].T
                done += maps.shape[1]
                entropies.append(_entropy(_levels(maps, low, high, bins), bins, total))
        else:
            levels = isqrt(bins)
            present = filtered(torch.ones_like(features[:1, :1], dtype=torch.float32), around, padding=padding)
            present.clamp_(min=1e-3)  # a single voxel has no neighbour, and 0 as their mean
            ranges = _ranges(in_chunks(features, _AT_ONCE), features.shape[:2], across=(1,))
            entropies, done = [], 0
            for maps in in_chunks(features, _AT_ONCE):
                low, high = ranges[done : done + maps.shape[1]].T
                done += maps.shape[1]
                neighbours = filtered(maps, around, padding=padding).div_(present)
                cells = _levels(maps, low, high, levels).mul_(levels).add_(_levels(neighbours, low, high, levels))
                entropies.append(_entropy(cells, bins, prod(features.shape[2:])))
        scores = torch.cat(entropies)
        return scores.masked_fill_(ranges.isnan().any(1), 0).view(features.shape[:2])


def check_bins(bins: int, mode: str) -> None:
    """Require a histogram that there is.

    Raises:
        ValueError: If there is none of so many bins, or no such mode.
    """
    if mode not in ("paper", "reference"):
        raise ValueError(f"mode must be 'paper' or 'reference', got '{mode}'")
    if not 2 <= bins <= MOST_BINS:
        raise ValueError(f"bins must be from 2 to {MOST_BINS}, got {bins}")
    if mode == "paper" and isqrt(bins) ** 2 != bins:
        raise ValueError(
            "bins must be a square number, as many values of the voxel as of its neighbours' mean: "
            f"{max(isqrt(bins), 2) ** 2} or {(isqrt(bins) + 1) ** 2}, got {bins}"
        )


def _ranges(chunks: Iterable[Tensor], shape: torch.Size, *, across: tuple[int, ...]) -> Tensor:
    """Least and greatest value (B * C, 2) of all maps that share a histogram; nan for maps that are not finite."""
    bounds = [torch.stack(torch.aminmax(maps.flatten(2).squeeze(0), dim=1), dim=1) for maps in chunks]
    mine = torch.cat(bounds).view(*shape, 2)
    finite = mine.isfinite().all(2, keepdim=True)
    infinity = torch.inf
    low = mine[..., :1].masked_fill(~finite, infinity).amin(across, keepdim=True)
    high = mine[..., 1:].masked_fill(~finite, -infinity).amax(across, keepdim=True)
    shared = torch.cat([low, high], dim=2).expand_as(mine)
    return shared.masked_fill(~finite, torch.nan).flatten(0, 1)


def _levels(maps: Tensor, low: Tensor, high: Tensor, levels: int) -> Tensor:
    """Which of so many equal parts of a range each value falls into, from 0; always 0 where there is no range."""
    shape = (1, -1, *[1] * (maps.ndim - 2))
    width = (high - low).masked_fill(high <= low, torch.inf)
    parts = (maps - low.view(shape)).div_(width.view(shape)).mul_(levels)
    return parts.floor_().clamp_(0, levels - 1)


def _entropy(cells: Tensor, bins: int, total: int) -> Tensor:
    """Entropy of (1, n, *spatial) cell numbers in bits, with shares of ``total``."""
    # A cell number that is not a number becomes any integer, which must stay one of a cell.
    codes = cells.flatten(2).squeeze(0).long().clamp_(0, bins - 1)
    voxels = codes.shape[1]
    if bins > 4 * voxels:  # so many counters would take more memory than the maps
        codes, bins = _ranks(codes), voxels
    counts = torch.zeros(len(codes), bins, dtype=torch.int32, device=codes.device)
    counts.scatter_add_(1, codes, counts.new_ones(()).expand_as(codes))
    shares = counts.float().div_(total)
    return -torch.linalg.vecdot(shares, shares.clamp(min=1 / total).log2_())


def _ranks(codes: Tensor) -> Tensor:
    """Equal numbers of a row keep being equal, and all become small: 0, 1, 2, ..."""
    ordered = codes.sort(dim=1).values
    changes = torch.zeros_like(ordered)
    changes[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    return changes.cumsum_(1)


class nnUNetTrainerIFEEntropy(EnhancementTrainer):
    """nnU-Net whose middle skip connections carry the channels with the highest entropy a second time."""

    trick = "IFEEntropy"

    @classmethod
    def make_score(cls, channels: int, stage: int) -> Score:
        """The score of feature maps."""
        settings = cls.parameters[cls.trick]
        check_bins(settings.bins, settings.mode)
        return partial(entropy_score, bins=settings.bins, mode=settings.mode)
