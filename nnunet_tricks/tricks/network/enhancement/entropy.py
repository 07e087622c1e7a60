r"""Instructive channels by entropy: feature maps with much texture count more than monotonous ones.

$E = -\sum_{i,j} P_{ij} \log_2 P_{ij}$, where $P_{ij}$ is how often value i stands at the centre of a window whose other
values have mean j. Liu et al., "Instructive feature enhancement for dichotomous medical image segmentation", MICCAI
2023, eq. 2 and algorithm 1. In 3D the window has 27 voxels.

``mode="reference"`` is the published code for U-Nets. It packs i and j into one number, 100 i + j, and takes the
histogram's range from the whole batch. In effect this is an entropy of i alone that depends on the other images of the
batch. ``mode="unique"`` is the published code for DeepLabV3+ and SINetV2: it counts how often 100 i + j is exactly the
same number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import product
from math import isqrt, prod
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812, its standard name
from torch import Tensor

from nnunet_tricks.tricks.network.enhancement.maps import check_features, filtered, in_chunks, window, without_autocast
from nnunet_tricks.tricks.network.enhancement.selection import Score
from nnunet_tricks.tricks.network.enhancement.trainer import EnhancementTrainer

Mode = Literal["paper", "reference", "unique"]

MOST_BINS = 2**16
"""256 values of i times 256 of j, as in the paper's equation."""

_AT_ONCE = 2**16
"""Values or counters that are computed at a time; what is made of them is a few times larger, and fits into the caches
of a CPU."""

SPARSE = 4
"""Cells for each voxel above which cells are not counted one by one: counters would take more memory than maps."""

_CENTRE = 100.0
"""Factor by which the published code multiplies i before it adds j."""


@torch.no_grad()
def entropy_score(
    features: Tensor, axes: Sequence[int] | None = None, *, bins: int = 256, mode: Mode = "paper"
) -> Tensor:
    """Entropy of a feature map's values together with the means of their neighbours, in bits.

    Computed in float32, also under autocast and for half-precision features. Counting needs no host and has fixed
    sizes.

    ``paper``: i and j fall into sqrt(bins) values each, between the least and the greatest feature of the same sample.
    So channels of small amplitude score low, as in the published code, but other samples do not matter. Neighbours
    outside the map are left out of the mean.

    ``reference``: 100 i + j falls into ``bins`` values between the least and the greatest of the whole batch.
    Neighbours outside the map count as 0. Shares are of a map that is two voxels larger along each axis, so they do not
    add up to 1.

    ``unique``: each value of 100 i + j has a cell of its own, and ``bins`` means nothing. Nearly all floating-point
    numbers differ, so many channels score alike; what is equal depends on rounding. Shares are as for ``reference``.

    Args:
        features: (B, C, *spatial), 2D or 3D.
        axes: Spatial axes along which a voxel has neighbours, all if not given.
        bins: Cells of the histogram, at most 65536; for ``paper`` a square number.
        mode: ``paper``, ``reference`` or ``unique``.

    Returns:
        (B, C), at most log2 of the number of voxels and, but for ``unique``, of ``bins``. 0 for a map with values that
        are not finite, and for features that are all the same, but for ``unique``. No gradient.

    Raises:
        ValueError: If the features have another shape, an axis is not there, or bins or mode are none of these.

    Examples:
        >>> flat, slope = torch.zeros(1, 1, 8, 8), torch.arange(8.0).expand(1, 1, 8, 8)
        >>> entropy_score(torch.cat([flat, slope], dim=1))
        tensor([[0., 3.]])
    """
    chosen = check_features(features, axes)
    check_bins(bins, mode)
    with without_autocast(features.device):
        entropies, low = _ENTROPIES[mode](features, chosen, bins)
        return entropies.masked_fill_(low.isnan(), 0).view(features.shape[:2])


def check_bins(bins: int, mode: str) -> None:
    """Refuse histograms that do not exist.

    Raises:
        ValueError: If there is no such mode, or none of its histograms has so many bins.
    """
    if mode not in _ENTROPIES:
        raise ValueError(f"mode must be 'paper', 'reference' or 'unique', got '{mode}'")
    if not 2 <= bins <= MOST_BINS:
        raise ValueError(f"bins must be from 2 to {MOST_BINS}, got {bins}")
    if mode == "paper" and isqrt(bins) ** 2 != bins:
        raise ValueError(
            "bins must be a square number, as many values of the voxel as of its neighbours' mean: "
            f"{max(isqrt(bins), 2) ** 2} or {(isqrt(bins) + 1) ** 2}, got {bins}"
        )


def _joint(features: Tensor, axes: tuple[int, ...], bins: int) -> tuple[Tensor, Tensor]:
    """The paper's entropy, of i and j in a histogram of two axes.

    Args:
        features: (B, C, *spatial).
        axes: Spatial axes along which a voxel has neighbours.
        bins: Cells of the histogram, a square number.

    Returns:
        The entropy and the least value of each of B * C maps; the value is nan for a map that is not finite.
    """
    padding, values = _padding(features, axes), _values_at_once(features, bins)
    kernel = _kernel(features, axes, centre=0.0)
    present = filtered(torch.ones_like(features[:1, :1], dtype=torch.float32), kernel, padding=padding)
    present.clamp_(min=1e-3)  # a single voxel has no neighbour, and 0 as their mean
    low, high = _ranges(in_chunks(features, values), features.shape[:2], across=(1,))
    entropies, levels, voxels = [], isqrt(bins), prod(features.shape[2:])
    for maps, least, greatest in _with(in_chunks(features, values), low, high):
        neighbours = filtered(maps, kernel, padding=padding).div_(present)
        cells = _parts(maps, least, greatest, levels).floor_().mul_(levels)
        cells.add_(_parts(neighbours, least, greatest, levels))
        entropies.append(_entropy(cells, bins, voxels))
    return torch.cat(entropies), low


def _packed(features: Tensor, axes: tuple[int, ...], bins: int) -> tuple[Tensor, Tensor]:
    """The entropy of the published code for U-Nets, of 100 i + j in one histogram; as ``_joint``."""
    padding, values = _padding(features, axes), _values_at_once(features, bins)
    kernel = _kernel(features, axes, centre=_CENTRE)
    mixed = [filtered(maps, kernel, padding=padding) for maps in in_chunks(features, values)]
    low, high = _ranges(mixed, features.shape[:2], across=(0, 1))
    total = _padded_voxels(features, padding)
    entropies = [
        _entropy(_parts(maps, least, greatest, bins), bins, total) for maps, least, greatest in _with(mixed, low, high)
    ]
    return torch.cat(entropies), low


def _unique(features: Tensor, axes: tuple[int, ...], bins: int) -> tuple[Tensor, Tensor]:
    """The entropy of the published code for other networks, of equal values of 100 i + j; as ``_joint``."""
    padding, values = _padding(features, axes), _values_at_once(features, bins)
    low, _ = _ranges(in_chunks(features, values), features.shape[:2], across=())
    voxels, total = prod(features.shape[2:]), _padded_voxels(features, padding)
    entropies = [_entropy(_ranks(_as_published(maps, padding)), voxels, total) for maps in in_chunks(features, values)]
    return torch.cat(entropies), low


_ENTROPIES = {"paper": _joint, "reference": _packed, "unique": _unique}


def _padding(features: Tensor, axes: tuple[int, ...]) -> list[int]:
    """Voxels around a map, along each spatial axis, that windows of its voxels reach."""
    return [int(axis in axes) for axis in range(features.ndim - 2)]


def _kernel(features: Tensor, axes: tuple[int, ...], *, centre: float) -> Tensor:
    """A window that sums ``centre`` times a voxel and the mean of its neighbours."""
    around = (1 / (3 ** len(axes) - 1),) * len(axes)
    return window(axes, features.ndim - 2, (centre, *around), features.device)


def _padded_voxels(features: Tensor, padding: Sequence[int]) -> int:
    """Voxels of a map and of what lies around it, which the published code takes shares of."""
    # A list, since the compiler takes no generator.
    return prod([size + 2 * pad for size, pad in zip(features.shape[2:], padding, strict=True)])


def _values_at_once(features: Tensor, bins: int) -> int:
    """Values to compute at a time: as many maps as keep both their values and their counters few."""
    voxels = prod(features.shape[2:])
    return _AT_ONCE * voxels // max(voxels, min(bins, SPARSE * voxels))


def _ranges(chunks: Iterable[Tensor], shape: torch.Size, *, across: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Least and greatest value of the maps that share a histogram, for each of B * C maps; nan for one not finite.

    Args:
        chunks: Maps, some at a time.
        shape: B and C.
        across: Axes of the shape along which a histogram is shared.
    """
    rows = [maps.flatten(2) for maps in chunks]
    low = torch.cat([row.amin(2).flatten() for row in rows]).view(shape)
    high = torch.cat([row.amax(2).flatten() for row in rows]).view(shape)
    broken = ~(low.isfinite() & high.isfinite())
    low = low.masked_fill(broken, torch.inf).amin(across, keepdim=True)
    high = high.masked_fill(broken, -torch.inf).amax(across, keepdim=True)
    return low.masked_fill(broken, torch.nan).flatten(), high.masked_fill(broken, torch.nan).flatten()


def _with(chunks: Iterable[Tensor], low: Tensor, high: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Some maps at a time, with their ranges in a shape that fits them."""
    done = 0
    for maps in chunks:
        shape = (*maps.shape[:2], *[1] * (maps.ndim - 2))
        here = slice(done, done + shape[0] * shape[1])
        done = here.stop
        yield maps, low[here].view(shape), high[here].view(shape)


def _parts(maps: Tensor, low: Tensor, high: Tensor, count: int) -> Tensor:
    """The place of each value in a range of ``count`` parts, from 0 to count - 1; 0 where the range is empty."""
    scale = torch.where(high > low, count / (high - low), 0)
    return (maps - low).mul_(scale).clamp_(0, count - 1)


def _as_published(maps: Tensor, padding: Sequence[int]) -> Tensor:
    """100 i + j of each voxel, (B * C, voxels), summed in the published code's order: equality depends on it."""
    around = F.pad(maps, [side for pad in reversed(padding) for side in (pad, pad)])
    shifts = product(*(range(1 + 2 * pad) for pad in padding))
    size = maps.shape[2:]
    whole = [slice(None)] * 2
    parts = [whole + [slice(at, at + edge) for at, edge in zip(shift, size, strict=True)] for shift in shifts]
    windows = torch.stack([around[tuple(part)] for part in parts], dim=2)
    neighbours = (windows.sum(2) - maps).div_(max(len(parts) - 1, 1))
    return (_CENTRE * maps + neighbours).flatten(2).flatten(0, 1)


def _entropy(cells: Tensor, bins: int, total: int) -> Tensor:
    """Entropy of maps in bits.

    Args:
        cells: (B, C, *spatial) or (B * C, voxels), the cell of each voxel; decimals are cut off.
        bins: Number of cells.
        total: Number that the counts are divided by.

    Returns:
        (B * C).
    """
    shares = _counts(cells, bins).float().div_(total)
    return 0 - torch.linalg.vecdot(shares, shares.clamp(min=1 / total).log2_())  # so that 0 is not -0


def _counts(cells: Tensor, bins: int) -> Tensor:
    """Voxels in each cell, (B * C, cells); where cells are many more than voxels, in another order."""
    # A cell that is nan becomes any integer, which must still be the number of a cell.
    codes = (cells.flatten(2).flatten(0, 1) if cells.ndim > 2 else cells).long().clamp_(0, bins - 1)
    voxels = codes.shape[1]
    if bins > SPARSE * voxels:
        codes, bins = _ranks(codes), voxels
    counts = torch.zeros(len(codes), bins, dtype=torch.int32, device=codes.device)
    return counts.scatter_add_(1, codes, counts.new_ones(()).expand_as(codes))


def _ranks(codes: Tensor) -> Tensor:
    """Numbers 0, 1, 2, ... of sorted rows, the same for values that are equal."""
    ordered = codes.sort(dim=1).values
    changes = torch.zeros_like(ordered, dtype=torch.int64)
    changes[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    return changes.cumsum_(1)


class nnUNetTrainerIFEEntropy(EnhancementTrainer):
    """nnU-Net whose middle skip connections carry the channels with the highest entropy a second time."""

    trick = "IFEEntropy"

    @classmethod
    def make_score(cls, channels: int, stage: int) -> Score:
        """The entropy of feature maps, by the histogram that the name says."""
        settings = cls.parameters[cls.trick]
        check_bins(settings.bins, settings.mode)
        return partial(entropy_score, bins=settings.bins, mode=settings.mode)
