"""Batch norm: each channel is normalised over the batch and its voxels; prediction uses running averages.

Ioffe and Szegedy, ICML 2015. It equals nnU-Net's own ``nnUNetTrainerBN`` bit for bit. The trick paper's baseline has
it. Its statistics are those of the batch. With few patches they are noisy, and with one patch they differ from those
that prediction uses. Several GPUs share them (nnU-Net's ``SyncBatchNorm``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from nnunet_tricks.tricks.network.norm.trainer import EPS, NormTrainer


class BatchNormTrainer(NormTrainer):
    """nnU-Net with batch norm, for names that hold other tricks beside it."""

    norm_trick = "BN"

    @classmethod
    def norm(cls, dimensions: int) -> tuple[type[nn.Module], dict[str, Any]]:
        """Torch's batch norm."""
        return {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[dimensions], {"eps": EPS, "affine": True}

    @classmethod
    def values(cls, *, batch: int, channels: int, voxels: int) -> int:
        """The values of one channel in the batch."""
        return batch * voxels

    def norm_notes(self) -> Iterator[str]:
        """A line where a batch is a single patch."""
        if self.configuration_manager.batch_size == 1:
            yield "a batch is one patch, which is normalised by itself in training and by running averages afterwards"
