"""What a generator is told about an image, and masks that no image has.

A condition holds a channel for voxels outside of the image, one for each label, the ignore label among them, and the
means and deviations of the image's channels, each as one value everywhere. One GAN would otherwise draw the average of
all skins, scanners or stains. In volumes it can also hold the same channels of neighbouring slices.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import pi

import numpy as np
import torch
from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from numpy.typing import NDArray
from torch import Tensor

SCALES = (0.7, 1.4)
"""Range of nnU-Net's random scaling."""
TRIES = 20
"""Times that a mask is drawn again whose objects have all left the image."""


def one_hot(labels: Tensor, known: Sequence[int]) -> Tensor:
    """A channel for voxels outside of the image, and one for each label.

    Args:
        labels: Label maps, (B, Y, X); negative outside of the image.
        known: All labels, background and ignore label among them.

    Returns:
        (B, 1 + labels, Y, X), of 0 and 1.

    Raises:
        ValueError: If there is another label.

    Examples:
        >>> one_hot(torch.tensor([[[-1, 0, 3]]]), [0, 1, 3]).squeeze().tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    channels = torch.stack([labels < 0, *(labels == label for label in known)], 1).float()
    if not bool(channels.any(1).all()):
        others = sorted(set(np.unique(labels[labels >= 0].numpy()).tolist()) - set(known))
        raise ValueError(f"a label map has the labels {others}, and those of the data set are {list(known)}")
    return channels


def condition(labels: Tensor, known: Sequence[int], style: Tensor) -> Tensor:
    """What a generator gets.

    Args:
        labels: Label maps, (B, slices, Y, X): those that the image is drawn for, between their neighbours.
        known: All labels.
        style: Means and deviations of the images' channels, (B, values); no values for a plain pix2pix.

    Returns:
        (B, channels, Y, X).
    """
    everywhere = style[:, :, None, None].expand(-1, -1, *labels.shape[2:])
    return torch.cat([*(one_hot(part, known) for part in labels.unbind(1)), everywhere.to(labels.device)], 1)


def condition_channels(known: Sequence[int], style: int, neighbours: int = 0) -> int:
    """Number of channels of a condition.

    Args:
        known: All labels.
        style: Values that tell the style.
        neighbours: Slices on either side whose masks are told, too.
    """
    return (1 + 2 * neighbours) * (1 + len(known)) + style


def windows(mask: NDArray[np.int16], neighbours: int) -> Iterator[NDArray[np.int16]]:
    """Each slice of a mask between its neighbours, (slices, Y, X); beyond the first and the last slice all is outside.

    Args:
        mask: Label map, (Z, Y, X).
        neighbours: Slices on either side.

    Examples:
        >>> volume = np.array([1, 2, 3], np.int16).reshape(3, 1, 1)
        >>> [window.ravel().tolist() for window in windows(volume, 1)]
        [[-1, 1, 2], [1, 2, 3], [2, 3, -1]]
    """
    padded = np.pad(mask, ((neighbours, neighbours), (0, 0), (0, 0)), constant_values=-1)
    for first in range(len(mask)):
        yield padded[first : first + 2 * neighbours + 1]


def turn_of(patch: Sequence[int]) -> float:
    """Largest angle in radians by which masks are turned in their plane, as nnU-Net turns patches of this size.

    Args:
        patch: Size of the patches of a configuration.

    Examples:
        >>> [round(turn_of(patch) / pi * 180) for patch in ((64, 64), (96, 40), (64, 64, 64), (8, 64, 64))]
        [180, 15, 30, 180]
    """
    if len(patch) == 2:
        return pi / 12 if max(patch) > 1.5 * min(patch) else pi
    return pi if max(patch) > 3 * patch[0] else pi / 6


def new_mask(labels: NDArray[np.int16], turn: float) -> NDArray[np.int16]:
    """A mask after random turning, scaling and mirroring in its plane, all slices alike.

    Corners that turning opens are filled by reflection, since a generator knows no images with corners. A mask with
    foreground keeps some. The draws are NumPy's and torch's global ones, as those of nnU-Net's augmentation.

    Args:
        labels: Label map, (Z, Y, X); a picture has one slice.
        turn: Largest angle in radians.

    Returns:
        A label map of the same size.
    """
    move = SpatialTransform(
        labels.shape[1:],
        0,
        random_crop=False,
        p_rotation=1,
        rotation=(-turn, turn),
        p_scaling=1,
        scaling=SCALES,
        p_synchronize_scaling_across_axes=1,
        mode_seg="nearest",
        border_mode_seg="reflection",
    )
    mirror = MirrorTransform((0, 1))
    # Both take the size of the image from its image.
    whole = {"image": torch.zeros((1, *labels.shape[1:])), "segmentation": torch.from_numpy(labels.astype(np.int16))}
    for _ in range(TRIES):
        moved = mirror(**move(**whole))["segmentation"].numpy()
        if (moved > 0).any() or not (labels > 0).any():
            break
    return np.ascontiguousarray(moved, dtype=np.int16)
