"""A network of slice correspondence for the images of a data set; torch is imported only when one is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_tricks.annotation.scans import VolumeFile

if TYPE_CHECKING:
    from nnunet_tricks.annotation.interpolation.network_file import TrainedCorrespondence


@dataclass
class Learning:
    """How a network learns.

    Attributes:
        file: File of the network.
        steps: Training steps in all; the usual number if not given.
        device: Name of the device; if not given, a GPU if there is one.
        seed: Seed of weights and pairs of slices.
    """

    file: Path | None = None
    steps: int | None = None
    device: str | None = None
    seed: int = 0


def learned_on(images: Sequence[VolumeFile], learning: Learning) -> TrainedCorrespondence:
    """Read the network, and train it on these images if steps are missing.

    Args:
        images: Images of training cases only; no label is read.
        learning: Settings of the training.

    Raises:
        ValueError: If no file is given, or its network was trained on other images.
    """
    from nnunet_tricks.annotation.interpolation import network_file

    if learning.file is None:
        raise ValueError("learning needs the file of the network, got none")
    shapes = []
    for image in images:
        volume = image.axial
        shapes.append((volume.slices, *(edge for axis, edge in enumerate(volume.shape) if axis != volume.axis)))
    return network_file.trained(
        learning.file,
        lambda: (image.numbers() for image in images),
        shapes,
        steps=network_file.STEPS if learning.steps is None else learning.steps,
        on=network_file.device(learning.device),
        seed=learning.seed,
    )
