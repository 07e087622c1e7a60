"""Small images with something to segment. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

ORGAN, CORE, IGNORED = 1, 2, 3
"""Organ, core inside it, and voxels that nobody annotated; nnU-Net requires the ignore label to be the highest."""


def tiny_labels(shape: Sequence[int], *, core: bool = True, ignore: bool = False) -> NDArray[np.uint8]:
    """A label map of an ellipsoid with a smaller one inside; a quarter of the rows can be without annotation.

    Args:
        shape: Size of the image in voxels.
        core: Whether the inner class is present.
        ignore: Whether the last quarter along the last axis is ``IGNORED``.

    Returns:
        A label map.

    Examples:
        >>> np.unique(tiny_labels((6, 24, 24), ignore=True)).tolist()
        [0, 1, 2, 3]
    """
    grid = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    radius = np.sqrt(sum(axis**2 for axis in grid))
    labels = (radius < 0.8).astype(np.uint8) * ORGAN
    if core:
        labels[radius < 0.5] = CORE
    if ignore:
        labels[..., -(shape[-1] // 4) :] = IGNORED
    return labels


def tiny_image(labels: NDArray[np.uint8], *, channels: int, seed: int) -> NDArray[np.uint8]:
    """Noise around one grey value per class, with a black corner as scanners leave it.

    Args:
        labels: What the image shows; unannotated voxels look like background.
        channels: Number of channels, the last axis of the image.
        seed: Seed of the noise.

    Returns:
        Values from 0 to 255, shape ``(*labels.shape, channels)``.

    Examples:
        >>> tiny_image(tiny_labels((32, 36)), channels=3, seed=0).shape
        (32, 36, 3)
    """
    noise = np.random.default_rng(seed).normal(0, 12, (*labels.shape, channels))
    grey = np.array([60, 120, 180, 60])[labels]
    image = np.clip(grey[..., None] + noise, 1, 255).astype(np.uint8)
    # nnU-Net marks voxels outside the non-zero part as -1, which later becomes background.
    image[tuple(slice(0, 3) for _ in labels.shape)] = 0
    return image
