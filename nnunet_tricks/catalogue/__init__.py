"""The catalogue: one entry per trick. Standard library only: listing tricks imports neither torch nor nnU-Net."""

from __future__ import annotations

from nnunet_tricks.catalogue.entries import (
    annotation,
    augmentation,
    bases,
    blocks,
    connections,
    enhancement,
    inference,
    networks,
    norm,
    optimizer,
    overlap,
    postprocessing,
    pretext,
    pretraining,
    sampling,
    semisupervised,
    shape,
    stems,
    supervision,
    voxel,
)
from nnunet_tricks.catalogue.info import TrickInfo

CATALOGUE: tuple[TrickInfo, ...] = (
    *voxel.ENTRIES,
    *overlap.ENTRIES,
    *shape.ENTRIES,
    *supervision.ENTRIES,
    *augmentation.ENTRIES,
    *sampling.ENTRIES,
    *annotation.ENTRIES,
    *enhancement.ENTRIES,
    *norm.ENTRIES,
    *networks.ENTRIES,
    *pretraining.ENTRIES,
    *pretext.ENTRIES,
    *optimizer.ENTRIES,
    *semisupervised.ENTRIES,
    *stems.ENTRIES,
    *bases.ENTRIES,
    *connections.ENTRIES,
    *blocks.ENTRIES,
)

AFTER_TRAINING: tuple[TrickInfo, ...] = (*inference.ENTRIES, *postprocessing.ENTRIES)
"""Tricks for trained models. No trainer's name holds them."""

EVERYTHING: tuple[TrickInfo, ...] = (*CATALOGUE, *AFTER_TRAINING)
"""All tricks, whether they need a training or not."""
