"""Features of slices: principal components of their pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.annotation.principal import projected
from nnunet_tricks.annotation.row_store import RowStore

Array = NDArray[np.float32]
Volume = NDArray[np.integer] | NDArray[np.floating]

SIDE = 64
COMPONENTS = 64
PERCENTILES = (0.5, 99.5)
_SAMPLED = 1_000_000
"""Voxels of a volume from which percentiles are computed; more change them by less than the image's noise."""


def pixels(volumes: Iterable[Volume], *, components: int = COMPONENTS) -> list[Array]:
    """Features of all slices of all volumes; nothing is trained, and no label is read.

    A slice is clipped to its volume's percentiles 0.5 and 99.5, scaled to [0, 1], and averaged to 64x64 pixels. The
    features are the first principal components of these pixels over all slices of all volumes, scaled to length one.

    Args:
        volumes: Volumes with slices first, from inferior to superior. They are read one by one, so a generator saves
            memory; thumbnails are kept in a temporary file, 16 KiB each.
        components: Most features per slice; there are fewer if there are fewer slices.

    Returns:
        For each volume one row per slice. The row of a slice that equals the mean of all is zero.

    Examples:
        >>> [rows.shape for rows in pixels([np.eye(3)[:, None] * np.ones((3, 80, 1)), np.zeros((4, 80, 3))])]
        [(3, 6), (4, 6)]
    """
    with RowStore(SIDE * SIDE, np.float32) as rows:
        for volume in volumes:
            rows.add(thumbnails(volume))
        return components_of(rows, components)


def as_numbers(volume: NDArray[np.generic]) -> Volume:
    """Check that features can be computed from a volume.

    Raises:
        ValueError: If it does not hold numbers, or some are not finite.
    """
    if not np.issubdtype(volume.dtype, np.number) or np.issubdtype(volume.dtype, np.complexfloating):
        raise ValueError(f"voxels must be real numbers, got {volume.dtype}")
    if np.issubdtype(volume.dtype, np.floating) and not np.isfinite(volume).all():
        raise ValueError("voxels must be finite, got NaN or infinity")
    return volume  # type: ignore[return-value]


def thumbnails(volume: Volume, side: int = SIDE) -> Array:
    """Shrink slices by averaging.

    Args:
        volume: Volume of shape (slices, rows, columns), with any intensities.
        side: Rows and columns of a thumbnail.

    Returns:
        An array of shape (slices, side * side), in [0, 1]; 0 if a volume has only one intensity.

    Examples:
        >>> thumbnails(np.arange(32.0).reshape(2, 4, 4), side=1).round(2)
        array([[0.24],
               [0.76]], dtype=float32)
    """
    low, scale = _window(volume)
    down, across = (_averaging(length, side) for length in volume.shape[1:])
    small = np.empty((len(volume), side * side), np.float32)
    for index, plane in enumerate(volume):
        small[index] = (down @ _clipped(plane, low, scale) @ across.T).ravel()
    return small


def shades(volume: Volume, slices: Sequence[int], window: Sequence[float] | None = None) -> Array:
    """Scale some slices from 0 to 1 between two intensities, by default the volume's percentiles 0.5 and 99.5."""
    low, scale = (window[0], 1 / (window[1] - window[0])) if window else _window(volume)
    return _clipped(volume[list(slices)], low, scale)


def scaled(volume: Volume) -> Array:
    """Scale a volume from 0 to 1 between its percentiles 0.5 and 99.5; it is 0 if it has only one intensity."""
    return _clipped(volume, *_window(volume))


def _window(volume: Volume) -> tuple[float, float]:
    """The lower percentile, and one over its distance to the upper one."""
    stride = max(1, round((volume.size / _SAMPLED) ** (1 / 3)))
    sample = volume[:: min(stride, len(volume)), ::stride, ::stride].astype(np.float32)
    low, high = map(float, np.percentile(sample, PERCENTILES))
    if not high > low:
        low, high = float(volume.min()), float(volume.max())
    return low, 1 / (high - low) if high > low else 0.0


def _clipped(volume: Volume, low: float, scale: float) -> Array:
    return np.clip((volume.astype(np.float32) - np.float32(low)) * np.float32(scale), 0, 1)


def components_of(rows: RowStore, components: int = COMPONENTS) -> list[Array]:
    """Principal components of the rows of all volumes together, each row scaled to length one, volume by volume.

    Args:
        rows: Rows of all volumes, with 16 KiB of disk for each thumbnail; memory holds some chunks and the result.
        components: Most components.
    """
    count = min(components, len(rows) - 1, rows.width)
    if count < 1 or _alike(rows):
        return [np.zeros((length, 1), np.float32) for length in rows.parts]
    scores = projected(rows, count)
    lengths = np.linalg.norm(scores, axis=1, keepdims=True)
    scores /= np.where(lengths > 1e-6, lengths, np.inf)
    return np.split(scores.astype(np.float32, copy=False), np.cumsum(rows.parts)[:-1])


def _alike(rows: RowStore) -> bool:
    first = rows.take([0])
    return all((chunk == first).all() for _, chunk in rows.chunks())


def _averaging(length: int, side: int) -> Array:
    """Matrix from pixels to means over equal parts; a pixel on a border counts in both parts by its share."""
    edges = np.linspace(0, length, side + 1)
    starts = np.arange(length)
    overlap = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    shares: Array = (np.maximum(overlap, 0) * side / length).astype(np.float32)
    return shares
