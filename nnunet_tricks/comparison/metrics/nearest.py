"""Exact distances from some voxels to the nearest of others, without a distance transform of the whole volume.

Most voxels of a predicted border lie a few voxels from the true one: they are resolved by looking at their neighbours
in order of distance. What is left asks a k-d tree, and large groups far away, for which a tree is slow because
thousands of voxels are almost equally far, first drop the targets that cannot be nearest to any of the group.
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
"""So many offsets are tried at most, in blocks."""

BLOCK = 25
WORTH = 0.04
"""A block must resolve this share of what is left, or a tree is faster."""

LEAF = 64
FAR = 1 / 16
"""Of the diagonal: what is further away counts as far."""

MANY = 4096
"""So many far voxels make it worth while to drop targets first."""

ROUNDING = 1e-5
"""This share of a tolerance is rounding: NIfTI keeps a spacing of 0.8 as 0.800000012, and headers have few digits."""


def distances(sources: Mask, targets: Mask, spacing: tuple[float, ...]) -> Floats:
    """The distance of every source voxel to the nearest target voxel.

    Args:
        sources: Where to measure from, any number of dimensions.
        targets: Where to measure to, same shape, not empty.
        spacing: Size of a voxel along each axis.

    Returns:
        One distance for each source voxel in C order, in the unit of ``spacing``.

    Examples:
        >>> row = np.arange(6)
        >>> distances(row == 5, row < 2, (0.5,))
        array([2.])
    """
    offsets, lengths, margin = _neighbourhood(spacing)
    padded = np.pad(targets, [(width, width) for width in margin])
    strides = np.array(padded.strides)
    flat = padded.ravel()
    where = np.unravel_index(np.flatnonzero(sources), sources.shape)
    place = sum((axis + width) * stride for axis, width, stride in zip(where, margin, strides, strict=True))
    place = np.asarray(place, dtype=np.intp)
    found = np.empty(len(place))
    left = np.arange(len(place))
    steps = offsets @ strides
    for start in range(0, len(steps), BLOCK):
        before = len(left)
        for step, length in zip(steps[start : start + BLOCK], lengths[start : start + BLOCK], strict=True):
            hit = flat[place + step]
            if hit.any():
                found[left[hit]] = length
                left, place = left[~hit], place[~hit]
        if before - len(left) <= WORTH * before:
            break
    if len(left):
        scale = np.asarray(spacing)
        points = np.stack([axis[left] for axis in where], axis=1) * scale
        found[left] = _of_points(points, np.stack(np.unravel_index(np.flatnonzero(targets), targets.shape), 1) * scale)
    return found


def within(found: Floats, tolerance: float) -> Mask:
    """Which distances are no greater than a tolerance, but for rounding.

    Examples:
        >>> within(np.array([np.float32(0.8), 0.81]), 0.8)
        array([ True, False])
    """
    return found <= tolerance * (1 + ROUNDING)


@lru_cache(maxsize=64)
def _neighbourhood(spacing: tuple[float, ...]) -> tuple[NDArray[np.intp], Floats, tuple[int, ...]]:
    """All offsets up to some distance, nearest first, their lengths, and the greatest along each axis."""
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
    found = np.asarray(tree.query(points, distance_upper_bound=limit)[0])
    far = np.isinf(found)
    if far.sum() > MANY:
        found[far] = _of_far_points(points[far], targets)
    elif far.any():
        found[far] = tree.query(points[far])[0]
    return found


def _of_far_points(points: Floats, targets: Floats, *, work: int = 1 << 16) -> Floats:
    """Split the points into boxes until few targets can be nearest to any point of a box, then compare all of them."""
    found = np.empty(len(points))
    boxes = [(np.arange(len(points)), targets)]
    while boxes:
        index, candidates = boxes.pop()
        inside = points[index]
        low, high = inside.min(axis=0), inside.max(axis=0)
        centre, half = (low + high) / 2, (high - low) / 2
        candidates = _not_dominated(candidates - centre, half) + centre
        if len(inside) * len(candidates) <= work or not half.any():
            found[index] = _compared_with_all(inside - centre, candidates - centre)
            continue
        axis = int(half.argmax())
        below = inside[:, axis] < centre[axis]
        boxes += [(index[below], candidates), (index[~below], candidates)]
    return found


def _not_dominated(targets: Floats, half: Floats) -> Floats:
    """Drop targets that are further than another one from every point of the box from ``-half`` to ``half``.

    |q - t|^2 - |q - s|^2 is linear in q, so its least value in the box is known: |t|^2 - |s|^2 - 2 |t - s| . half.
    """
    squares = np.einsum("ij,ij->i", targets, targets)
    for points in (np.zeros((1, len(half))), np.array(list(product((-1.0, 1.0), repeat=len(half)))) * half):
        keep = np.ones(len(targets), dtype=bool)
        for nearest in set((squares[:, None] - 2 * targets @ points.T).argmin(axis=0).tolist()):
            keep &= squares - squares[nearest] <= 2 * (np.abs(targets - targets[nearest]) @ half)
        targets, squares = targets[keep], squares[keep]
    return targets


def _compared_with_all(points: Floats, targets: Floats) -> Floats:
    found = np.empty(len(points))
    rows = max(1, (1 << 20) // len(targets))
    squares = np.einsum("ij,ij->i", targets, targets)
    for start in range(0, len(points), rows):
        part = points[start : start + rows]
        best = (squares - 2 * part @ targets.T).argmin(axis=1)
        found[start : start + rows] = np.sqrt(((part - targets[best]) ** 2).sum(axis=1))
    return found
