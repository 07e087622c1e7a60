"""A network of slice correspondence for the images of a data set; torch is imported when one is asked for."""

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
    """How it learns.

    Attributes:
        file: Of the network.
        steps: Of training in all; the usual number if not given.
        device: Its name; a GPU if there is one, if not given.
        seed: Of weights and pairs of slices.
    """

    file: Path | None = None
    steps: int | None = None
    device: str | None = None
    seed: int = 0


def learned_on(images: Sequence[VolumeFile], learning: Learning) -> TrainedCorrespondence:
    """The network, trained on these images as far as it is not yet.

    Args:
        images: Of training cases only; no label is looked at.
        learning: How.

    Raises:
        ValueError: If no file is named, or it is of other images.
    """
    from nnunet_tricks.annotation.interpolation import network_file

    if learning.file is None:
        raise ValueError("file of the network must be named")
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
