"""Signed distances to the border of a mask; SimpleITK's Maurer filter is several times as fast as scipy's transform."""

# mypy: untyped-calls-exclude="SimpleITK"
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from nnunet_tricks.tricks.targets.pieces import Annotated, box_around


def signed_distance_in_voxels(
    mask: NDArray[np.bool_], spacing: Sequence[float], annotated: Annotated | None = None
) -> NDArray[np.float32]:
    """The result of ``signed_distance`` in multiples of the mean edge of a voxel, its geometric mean.

    So a loss that multiplies by distances weighs the same at any resolution, and anisotropy still counts.

    Examples:
        >>> signed_distance_in_voxels(np.array([[0, 0, 1, 1, 1, 1]], dtype=bool), (0.5, 2))
        array([[ 4.,  2.,  0., -2., -4., -6.]], dtype=float32)
    """
    return signed_distance(mask, spacing, annotated) / _mean_edge(spacing)


def distance_to_the_other_side(
    mask: NDArray[np.bool_], spacing: Sequence[float], annotated: Annotated | None = None, *, power: float = 1
) -> NDArray[np.float32]:
    """The distance from inside an object to what is outside, and from outside to the object; no voxel has 0.

    Args:
        mask: Voxels of the object, 2D or 3D.
        spacing: Edges of a voxel in mm, in the order of the axes.
        annotated: True where a voxel is annotated, ``None`` where all are. Only such voxels are another side.
        power: Exponent of the distance.

    Returns:
        Distances between centres of voxels, in multiples of the mean edge of a voxel, its geometric mean. 0 everywhere
        if there is no other side, because the object is absent or fills the image; 0 where nobody annotated.

    Examples:
        >>> distance_to_the_other_side(np.array([[0, 0, 1, 1, 1, 1]], dtype=bool), (1, 1), power=2)
        array([[ 4.,  1.,  1.,  4.,  9., 16.]], dtype=float32)
    """
    if annotated is not None:
        inside, outside = mask & annotated, annotated & ~mask
        if not inside.any() or not outside.any():
            return np.zeros(mask.shape, np.float32)
        distances = np.where(inside, to_nearest(outside, spacing), to_nearest(inside, spacing)) * annotated
        return np.power(distances / _mean_edge(spacing), np.float32(power))
    if not mask.any() or mask.all():
        return np.zeros(mask.shape, np.float32)
    distances = np.maximum(signed_distance(mask, spacing), 0)
    # The nearest voxel outside lies next to the object's box at most.
    around = box_around(mask, margin=1)
    distances[around] += np.maximum(signed_distance(~mask[around], spacing), 0)
    distances /= _mean_edge(spacing)
    return np.power(distances, np.float32(power))


def _mean_edge(spacing: Sequence[float]) -> NDArray[np.float32]:
    return np.array(np.exp(np.mean(np.log(spacing))), np.float32)


def signed_distance(
    mask: NDArray[np.bool_], spacing: Sequence[float], annotated: Annotated | None = None
) -> NDArray[np.float32]:
    """The distance of each voxel to the border of an object.

    Args:
        mask: Voxels of the object, 2D or 3D. Those that touch a voxel outside, corners included, are its border; the
            edge of the image is no border.
        spacing: Edges of a voxel in mm, in the order of the axes.
        annotated: True where a voxel is annotated, ``None`` where all are. Other voxels are no border: distances are
            the largest that the annotated voxels leave open. Inside, they lead to the nearest voxel of the object that
            touches an annotated one outside. Where the border itself is not annotated, the nearest annotated voxel
            outside may be nearer; then they lead there.

    Returns:
        Distances in mm, between the centres of voxels: 0 on the border, negative inside, positive outside. 0 everywhere
        if there is no border, because the object is absent or fills the image; 0 where nobody annotated.

    Examples:
        >>> signed_distance(np.array([[0, 0, 1, 1, 1, 1]], dtype=bool), (1, 2))
        array([[ 4.,  2.,  0., -2., -4., -6.]], dtype=float32)
        >>> annotated = np.array([[1, 1, 0, 0, 1, 1]], dtype=bool)
        >>> signed_distance(np.array([[0, 0, 0, 0, 1, 1]], dtype=bool), (1, 1), annotated)
        array([[ 4.,  3.,  0.,  0., -3., -4.]], dtype=float32)
    """
    if annotated is not None:
        return _of_annotated(mask & annotated, annotated & ~mask, spacing)
    if not mask.any() or mask.all():
        return np.zeros(mask.shape, np.float32)
    return _maurer(mask, spacing)


def to_nearest(mask: NDArray[np.bool_], spacing: Sequence[float]) -> NDArray[np.float32]:
    """The distance in mm of each voxel to the nearest voxel of a mask that is not empty; 0 within it."""
    return np.maximum(_maurer(mask, spacing), 0) if not mask.all() else np.zeros(mask.shape, np.float32)


def _of_annotated(
    inside: NDArray[np.bool_], outside: NDArray[np.bool_], spacing: Sequence[float]
) -> NDArray[np.float32]:
    distances = np.zeros(inside.shape, np.float32)
    if not inside.any() or not outside.any():
        return distances
    distances[outside] = to_nearest(inside, spacing)[outside]
    within = to_nearest(outside, spacing)[inside]
    border = inside & binary_dilation(outside, np.ones((3,) * inside.ndim))
    if border.any():
        within = np.minimum(within, to_nearest(border, spacing)[inside])
    distances[inside] = 0 - within
    return distances


def _maurer(mask: NDArray[np.bool_], spacing: Sequence[float]) -> NDArray[np.float32]:
    image = SimpleITK.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing([float(edge) for edge in reversed(spacing)])
    transform = SimpleITK.SignedMaurerDistanceMapImageFilter()
    transform.SetInsideIsPositive(False)
    transform.SetSquaredDistance(False)
    transform.SetUseImageSpacing(True)
    transform.SetNumberOfThreads(1)  # nnU-Net runs several workers
    distances: NDArray[np.float32] = SimpleITK.GetArrayFromImage(transform.Execute(image))
    return distances + np.float32(0)  # the border is 0, not -0
