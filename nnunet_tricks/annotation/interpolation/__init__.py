"""Masks for the slices between annotated ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.annotation.interpolation import nearest, shapes

if TYPE_CHECKING:
    from nnunet_tricks.annotation.features import Volume
    from nnunet_tricks.annotation.interpolation.network_file import TrainedCorrespondence

Array = NDArray[np.integer]

LEARNED = ("learned", "chain")
METHODS = ("copy", "sdf", *LEARNED)


def interpolate(
    labels: Array,
    annotated: Sequence[int],
    *,
    method: str = "sdf",
    volume: Volume | None = None,
    spacing: tuple[float, float] = (1.0, 1.0),
    network: TrainedCorrespondence | None = None,
) -> Array:
    """Interpolate the labels of all slices from those of some.

    Args:
        labels: Label map of integers with slices first, 0 for background; only its annotated slices are read.
        annotated: Indices of at least one annotated slice, in any order.
        method: ``copy`` takes the nearest annotated slice, or the first of two equally near ones. ``sdf`` blends the
            shapes of the annotated slices on both sides, by signed distances; beyond the first and the last it copies.
            ``learned`` does the same along corresponding pixels of the image. ``chain`` passes masks on along these
            pixels, each from the nearest annotated slice only: the published algorithm.
        volume: Image of the same shape, which only ``learned`` and ``chain`` need.
        spacing: Edges of a pixel within slices, in mm, for distances.
        network: Network of slice correspondence, which these two need; see ``network_file.trained``.

    Returns:
        A label map of the same shape and type, with annotated slices unchanged.

    Raises:
        ValueError: If there is no annotated slice, one is not in the volume, the method is unknown, or it lacks image
            or network.

    Examples:
        >>> cone = np.zeros((5, 9, 9), np.uint8)
        >>> cone[0, 3:6, 3:6] = cone[4, 1:8, 1:8] = 1
        >>> interpolate(cone, [0, 4])[:, 4]
        array([[0, 0, 0, 1, 1, 1, 0, 0, 0],
               [0, 0, 0, 1, 1, 1, 0, 0, 0],
               [0, 0, 1, 1, 1, 1, 1, 0, 0],
               [0, 1, 1, 1, 1, 1, 1, 1, 0],
               [0, 1, 1, 1, 1, 1, 1, 1, 0]], dtype=uint8)
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got '{method}'")
    known = indices(labels, annotated)
    if method == "copy":
        return nearest.copied(labels, known)
    if method == "sdf":
        return shapes.blended(labels, known, spacing)
    if volume is None or network is None:
        raise ValueError(f"method '{method}' needs volume and network")
    from nnunet_tricks.annotation.interpolation.learned import followed, handed_on

    if method == "chain":
        return handed_on(labels, known, volume, network)
    return followed(labels, known, volume, network, spacing)


def indices(labels: Array, annotated: Sequence[int]) -> list[int]:
    """Annotated slices in ascending order.

    Raises:
        ValueError: If there are none, or one is not in the volume.
    """
    known = sorted({int(index) for index in annotated})
    if labels.ndim != 3:
        raise ValueError(f"labels must have 3 axes, slices first, got {labels.ndim}")
    if not known:
        raise ValueError("annotated must name at least one slice")
    if known[0] < 0 or known[-1] >= len(labels):
        raise ValueError(f"annotated slices must be from 0 to {len(labels) - 1}, got {known[0]} to {known[-1]}")
    return known
