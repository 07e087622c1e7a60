"""Whether the installed batchgeneratorsv2 samples label maps in a way that is reproduced here.

Small maps on which each rule shows are sampled by both: ties, padding, two labels and more, points that fall on
voxels. A release that changes a rule, or a processor that rounds otherwise, is found out before a training begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import cos, sin

import torch
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from torch import Tensor
from torch.nn.functional import affine_grid

from nnunet_tricks.training.resampling.exact_spatial import (
    ExactSpatialTransform,
    MaskedSpatialTransform,
    PaddedSpatialTransform,
)

SIDES = {2: (13, 18), 3: (7, 8, 11)}
KINDS = (2, 5)
"""Number of labels in the channels of the maps."""


@lru_cache(maxsize=1)
def reproduced() -> type[ExactSpatialTransform] | None:
    """The transform that samples as the installed batchgeneratorsv2 does, ``None`` if there is none."""
    return next((kind for kind in (PaddedSpatialTransform, MaskedSpatialTransform) if _agrees(kind)), None)


def _agrees(kind: type[ExactSpatialTransform]) -> bool:
    try:
        return all(_alike(kind, transform, *case) for transform, case in _cases())
    except Exception:
        # Whatever an unknown release raises, its own transform is used.
        return False


def _alike(kind: type[ExactSpatialTransform], theirs: SpatialTransform, labels: Tensor, grid: Tensor) -> bool:
    ours = kind.in_place_of(theirs)
    if ours is None:
        return False
    what = {"grid": grid, "center_location_in_pixels": None, "affine": None, "elastic_offsets": None}
    return torch.equal(ours._apply_to_segmentation(labels, **what), theirs._apply_to_segmentation(labels, **what))


def _cases() -> Iterator[tuple[SpatialTransform, tuple[Tensor, Tensor]]]:
    generator = torch.Generator().manual_seed(0)
    for dimensions, size in SIDES.items():
        noise = [torch.randint(-1, kinds - 1, size, generator=generator, dtype=torch.int16) for kinds in KINDS]
        labels = torch.stack(noise)
        for matrix, ties in _matrices(dimensions):
            grid = affine_grid(matrix[None], [1, 1, *size], align_corners=False)[0]
            yield _transform(size, ties), (labels, grid)


def _matrices(dimensions: int) -> Iterator[tuple[Tensor, str]]:
    """Maps of the patch, and what settles ties: half a voxel further, which makes them; turned and out of the image."""
    shifted = torch.eye(dimensions, dimensions + 1)
    shifted[:, -1] = torch.tensor([1 / side for side in reversed(SIDES[dimensions])])
    turned = torch.eye(dimensions, dimensions + 1)
    turned[:2, :2] @= torch.tensor([[cos(0.4), -sin(0.4)], [sin(0.4), cos(0.4)]])
    yield shifted, "lowest" if dimensions == 2 else "nearest"
    yield 1.3 * turned, "highest" if dimensions == 2 else "nearest"
    if dimensions == 3:
        yield 0.5 * turned, "nearest"


def _transform(size: tuple[int, ...], ties: str) -> SpatialTransform:
    made = SpatialTransform(
        size, 0, random_crop=False, bg_style_seg_sampling=False, border_mode_seg="constant", padding_value_seg=-1
    )
    # Earlier releases have no choice.
    if hasattr(made, "seg_tiebreak"):
        made.seg_tiebreak = ties
    return made
