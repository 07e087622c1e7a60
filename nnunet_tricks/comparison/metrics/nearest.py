"""Exact distances from source voxels to the nearest target voxels, without a distance transform of the whole volume.

Most voxels of a predicted border lie a few voxels from the true one. For these the neighbours are searched in order of
distance. The remaining voxels ask a k-d tree. A tree is slow for large groups far away, because thousands of targets
are almost equally far. So such groups first drop the targets that cannot be nearest to any of the group.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]

NEIGHBOURS = 250
"""Number of offsets that are tried, in blocks."""

BLOCK = 25
WORTH = 0.04
"""Share of the remaining voxels that a block must resolve. Below it a tree is faster."""

LEAF = 64
FAR = 1 / 16
"""Share of the diagonal beyond which a voxel counts as far."""

MANY = 4096
"""Number of far voxels from which on it is worth dropping targets first."""

ROUNDING = 1e-5
"""Share of a tolerance that is rounding. NIfTI stores a spacing of 0.8 as 0.800000012, and headers have few digits."""


def distances(sources: Mask, targets: Mask, spacing: tuple[float, ...]) -> Floats:
    """The distance of every source voxel to the nearest target voxel.

    Args:
        sources: Mask of the voxels to measure from, with any number of dimensions.
        targets: Mask of the voxels to measure to, same shape, not empty.
        spacing: Size of a voxel along each axis.

    Returns:
        Distance of each source voxel in C order, in the unit of ``spacing``.

    Examples:
        >>> row = np.arange(6)
        >>> distances(row == 5, row < 2, (0.5,))
        array([2.])
    """
    offsets, lengths, margin = _neighbourhood(spacing)
    padded = np.pad(targets, [(width, width) for width in margin])
    strides = np.array(padded.strides)
    flat = padded.ravel()
    indices = np.unravel_index(np.flatnonzero(sources), sources.shape)
    place = sum((axis + width) * stride for axis, width, stride in zip(indices, margin, strides, strict=True))
    place = np.asarray(place, dtype=np.intp)
    nearest = np.empty(len(place))
    remaining = np.arange(len(place))
    steps = offsets @ strides
    for start in range(0, len(steps), BLOCK):
        before = len(remaining)
        for step, length in zip(steps[start : start + BLOCK], lengths[start : start + BLOCK], strict=True):
            hit = flat[place + step]
            if hit.any():
                nearest[remaining[hit]] = length
                remaining, place = remaining[~hit], place[~hit]
        if before - len(remaining) <= WORTH * before:
            break
    if len(remaining):
        scale = np.asarray(spacing)
        points = np.stack([axis[remaining] for axis in indices], axis=1) * scale
        target_indices = np.unravel_index(np.flatnonzero(targets), targets.shape)
        nearest[remaining] = _of_points(points, np.stack(target_indices, 1) * scale)
    return nearest


def within(lengths: Floats, tolerance: float) -> Mask:
    """Mask of the distances that do not exceed a tolerance, apart from rounding.

    Examples:
        >>> within(np.array([np.float32(0.8), 0.81]), 0.8)
        array([ True, False])
    """
    return lengths <= tolerance * (1 + ROUNDING)


@lru_cache(maxsize=64)
def _neighbourhood(spacing: tuple[float, ...]) -> tuple[NDArray[np.intp], Floats, tuple[int, ...]]:
    """Offsets up to some distance, nearest first, their lengths, and the greatest offset along each axis."""
    scale = np.asarray(spacing)
    radius = scale.min()
    while True:
        margin = np.floor(radius / scale).astype(int)
        axes = [np.arange(-width, width + 1) for width in margin]
        offsets = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(scale))
        lengths = np.sqrt(((offsets * scale) ** 2).sum(axis=1))
        inside = lengths <= radius
        if inside.sum() >= NEIGHBOURS:
            order = np.argsort(lengths[inside], kind="stable")
            return offsets[inside][order], lengths[inside][order], tuple(int(width) for width in margin)
        radius += scale.min() / 2


def _of_points(points: Floats, targets: Floats) -> Floats:
    both = np.concatenate([points, targets])
    limit = FAR * float(np.linalg.norm(both.max(axis=0) - both.min(axis=0)))
    tree = cKDTree(targets, leafsize=LEAF)
    nearest = np.asarray(tree.query(points, distance_upper_bound=limit)[0])
    far = np.isinf(nearest)
    if far.sum() > MANY:
        nearest[far] = _of_far_points(points[far], targets)
    elif far.any():
        nearest[far] = tree.query(points[far])[0]
    return nearest


def _of_far_points(points: Floats, targets: Floats, *, work: int = 1 << 16) -> Floats:
    """Split the points into boxes until few targets can be nearest to any point of a box, then compare all of them."""
    nearest = np.empty(len(points))
    boxes = [(np.arange(len(points)), targets)]
    while boxes:
        index, candidates = boxes.pop()
        inside = points[index]
        low, high = inside.min(axis=0), inside.max(axis=0)
        centre, half = (low + high) / 2, (high - low) / 2
        candidates = _not_dominated(candidates - centre, half) + centre
        if len(inside) * len(candidates) <= work or not half.any():
            nearest[index] = _compared_with_all(inside - centre, candidates - centre)
            continue
        axis = int(half.argmax())
        below = inside[:, axis] < centre[axis]
        boxes += [(index[below], candidates), (index[~below], candidates)]
    return nearest


def _not_dominated(targets: Floats, half: Floats) -> Floats:
    """Drop targets that are farther than some other target from every point of the box from ``-half`` to ``half``.

    |q - t|^2 - |q - s|^2 is linear in q, so its smallest value in the box is |t|^2 - |s|^2 - 2 |t - s| . half.
    """
    squares = np.einsum("ij,ij->i", targets, targets)
    for points in (np.zeros((1, len(half))), np.array(list(product((-1.0, 1.0), repeat=len(half)))) * half):
        keep = np.ones(len(targets), dtype=bool)
        for nearest in set((squares[:, None] - 2 * targets @ points.T).argmin(axis=0).tolist()):
            keep &= squares - squares[nearest] <= 2 * (np.abs(targets - targets[nearest]) @ half)
        targets, squares = targets[keep], squares[keep]
    return targets


def _compared_with_all(points: Floats, targets: Floats) -> Floats:
    nearest = np.empty(len(points))
    rows = max(1, (1 << 20) // len(targets))
    squares = np.einsum("ij,ij->i", targets, targets)
    for start in range(0, len(points), rows):
        part = points[start : start + rows]
        best = (squares - 2 * part @ targets.T).argmin(axis=1)
        nearest[start : start + rows] = np.sqrt(((part - targets[best]) ** 2).sum(axis=1))
    return nearest
