"""The catalogue: one entry per trick. Standard library only: listing tricks imports neither torch nor nnU-Net."""

from __future__ import annotations

from nnunet_tricks.catalogue.entries import (
    annotation,
    augmentation,
    bases,
    enhancement,
    inference,
    networks,
    norm,
    optimizer,
    overlap,
    postprocessing,
    pretraining,
    sampling,
    semisupervised,
    shape,
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
    *optimizer.ENTRIES,
    *semisupervised.ENTRIES,
    *bases.ENTRIES,
)

AFTER_TRAINING: tuple[TrickInfo, ...] = (*inference.ENTRIES, *postprocessing.ENTRIES)
"""Tricks for trained models. No trainer's name holds them."""

EVERYTHING: tuple[TrickInfo, ...] = (*CATALOGUE, *AFTER_TRAINING)
"""All tricks, whether they need a training or not."""
