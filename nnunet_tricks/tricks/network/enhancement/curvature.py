r"""Instructive channels by curvature: feature maps with edges count more than flat ones.

$S = \sum_x |(K * F)(x)|$ with $K_2 = \frac{1}{16} (-1, 5, -1; 5, -16, 5; -1, 5, -1)$. Liu et al., "Instructive feature
enhancement for dichotomous medical image segmentation", MICCAI 2023, eq. 1; K by Gong and Sbalzarini. The paper leaves
3D open. There K is the mean of $K_2$ over the three planes: the small-gradient limit of both is 3/8 of the mean
curvature of the graph (x, u(x)), that is 3/16 (2D) or 1/8 (3D) of the Laplacian.

The published code computes this score in 2D. The score is proportional to the amplitude of a channel, here as there.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812, its standard name
from torch import Tensor

from nnunet_tricks.tricks.network.enhancement.maps import check_features, filtered, in_chunks, window, without_autocast
from nnunet_tricks.tricks.network.enhancement.selection import Score
from nnunet_tricks.tricks.network.enhancement.trainer import EnhancementTrainer

_WEIGHTS = {1: (-3 / 8, 3 / 16), 2: (-1.0, 5 / 16, -1 / 16), 3: (-1.0, 5 / 24, -1 / 48, 0.0)}
"""Weights by number of axes: of the centre, then of elements one, two and three steps away. For one axis they are K2
applied to an image that does not change along the other."""

_AT_ONCE = 2**20
"""Values that are computed at a time. Larger pieces leave the caches of a CPU, smaller ones spend their time on
calls."""


@torch.no_grad()
def curvature_score(features: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    """How much a feature map bends, summed over the map; 0 for a plane.

    Computed in float32, also under autocast and for half-precision features. The outermost voxels are left out, since
    they lack some neighbours. Along an axis of fewer than 3 voxels the border is repeated instead.

    Args:
        features: (B, C, *spatial), 2D or 3D.
        axes: Spatial axes along which the kernel looks, all if not given. Two of three for maps that are coarse along
            the third.

    Returns:
        (B, C), not negative, the same unit as ``features``. 0 for a map with values that are not finite. No gradient.

    Raises:
        ValueError: If the features have another shape, or an axis is not there.

    Examples:
        >>> flat, edge = torch.zeros(1, 1, 5, 5), torch.zeros(1, 1, 5, 5)
        >>> edge[..., 2:] = 1
        >>> curvature_score(torch.cat([flat, edge], dim=1))
        tensor([[0.0000, 1.1250]])
    """
    chosen = check_features(features, axes)
    dimensions = features.ndim - 2
    with without_autocast(features.device):
        kernel = window(chosen, dimensions, _WEIGHTS[len(chosen)], features.device)
        short = [axis for axis in chosen if features.shape[axis + 2] < 3]
        scores = []
        for maps in in_chunks(features, _AT_ONCE):
            whole = F.pad(maps, _border(short, dimensions), mode="replicate") if short else maps
            bent = filtered(whole, kernel, padding=(0,) * dimensions)
            scores.append(bent.abs_().sum(tuple(range(2, bent.ndim))))
        total = torch.cat(scores, dim=1) if len(scores) > 1 else scores[0]
        return total.nan_to_num_(nan=0, posinf=0, neginf=0).view(features.shape[:2])


def _border(short: Sequence[int], dimensions: int) -> list[int]:
    """Padding by one voxel on both sides of short axes, as ``F.pad`` wants it: the last axis first."""
    return [int(axis in short) for axis in reversed(range(dimensions)) for _ in range(2)]


class nnUNetTrainerIFECurvature(EnhancementTrainer):
    """nnU-Net whose middle skip connections carry the channels with the highest curvature a second time."""

    trick = "IFECurvature"

    @classmethod
    def make_score(cls, channels: int, stage: int) -> Score:
        """The curvature of feature maps."""
        return curvature_score
