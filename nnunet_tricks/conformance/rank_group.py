"""What two processes need that share a batch: a group, and the batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import Tensor

from nnunet_tricks.conformance.tiny_images import tiny_labels

WORLD = 2
SAMPLES = 4
PATIENCE = 600.0
"""Seconds; two interpreters that import torch and nnU-Net need five, and minutes where others want the core."""


def half_of(rank: int) -> slice:
    """The samples of a process."""
    return slice(rank * SAMPLES // WORLD, (rank + 1) * SAMPLES // WORLD)


@contextmanager
def group(rank: int, store: Path) -> Iterator[None]:
    """A group of processes, for as long as the block lasts.

    Args:
        rank: Number of this process.
        store: File in which the processes find each other.
    """
    torch.distributed.init_process_group(
        "gloo", init_method=store.as_uri(), rank=rank, world_size=WORLD, timeout=timedelta(seconds=PATIENCE / 2)
    )
    try:
        yield
        # Not before the other process is connected, too, or it finds nobody.
        torch.distributed.barrier()
    finally:
        torch.distributed.destroy_process_group()


def joined_target(trainer: nnUNetTrainer) -> list[Tensor]:
    """Targets of a batch that nnU-Net's transforms made, by level; every sample has as many ignored voxels."""
    manager = trainer.label_manager
    transforms = trainer.get_validation_transforms(
        trainer._get_deep_supervision_scales(),
        is_cascaded=False,
        foreground_labels=manager.foreground_labels,
        regions=manager.foreground_regions if manager.has_regions else None,
        ignore_label=manager.ignore_label,
    )
    size = trainer.configuration_manager.patch_size
    targets = []
    for sample in range(SAMPLES):
        labels = tiny_labels(size, core=sample != 1, ignore=manager.has_ignore_label)
        shifted = np.roll(labels, 3 * sample, axis=0)
        made = transforms(image=torch.zeros(1, *size), segmentation=torch.from_numpy(shifted[None].astype(np.int16)))[
            "segmentation"
        ]
        targets.append(made if isinstance(made, list) else [made])
    return [torch.stack(level) for level in zip(*targets, strict=True)]
