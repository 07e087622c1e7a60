"""The catalogue: one entry per trick. Standard library only: listing tricks imports neither torch nor nnU-Net."""

from __future__ import annotations

from nnunet_tricks.catalogue import boundary, overlap, supervision, voxel
from nnunet_tricks.trick_info import TrickInfo

CATALOGUE: tuple[TrickInfo, ...] = (
    *voxel.ENTRIES,
    *overlap.ENTRIES,
    *boundary.ENTRIES,
    *supervision.ENTRIES,
)
