"""Measure what objects of a case are like. Functions of arrays, without files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.comparison.traits import SHELL, contrast_of

Mask = NDArray[np.bool_]

CELLS = {2: 8, 3: 4}
"""Cells along each axis of the grid on which places are compared, by the number of axes: 64 in all."""

ENOUGH = 100
"""Voxels of an object from which on its form is looked at; smaller ones have none."""

REACH = 2
"""Objects whose surroundings of so many voxels meet are near each other."""

CRUMB = 1e-3
"""Part of the largest object of a case below which another is a crumb that annotation or resampling has left."""

LARGEST = 0.99
"""Share of a class that its largest object must have, to be called single."""

SPLITS = 50
"""Ways to divide the cases into halves, by which the part of chance in a distance is known."""

MOST = 400
"""Objects of a case whose form is looked at; of more, the first of them."""


@dataclass(frozen=True)
class MeasuredObjects:
    """One class in one case.

    Attributes:
        share: Share of the annotated voxels.
        volumes: Volume of each object in voxels, without crumbs.
        widths: Twice the largest distance from the border inside each larger object, in voxels.
        near: Number of objects that have another within four voxels.
        necks: Number of larger objects that fall apart when eroded.
        formed: Number of larger objects.
        border: Voxels of larger objects that touch their border.
        inside: All voxels of larger objects.
        has_holes: Whether the class encloses annotated background.
        places: Share of the class in each cell of the grid, with an axis for each of the image's.
        contrast: Contrast to the annotated surroundings; NaN without an image, or if nothing around is annotated.
    """

    share: float
    volumes: tuple[int, ...]
    widths: tuple[float, ...]
    near: int
    necks: int
    formed: int
    border: int
    inside: int
    has_holes: bool
    places: NDArray[np.float64]
    contrast: float


def objects_of(
    mask: Mask, image: NDArray[np.float32] | None = None, annotated: Mask | None = None
) -> MeasuredObjects | None:
    """Measure one class of one case; None if the case does not have it.

    Args:
        mask: Whether a voxel belongs to the class, axes z, y, x or y, x.
        image: Grey values, axes channel and those of the mask; None if there is no image.
        annotated: Whether a voxel is annotated, axes as of the mask; None if all are.

    Examples:
        >>> mask = np.zeros((32, 32), bool)
        >>> mask[2:14, 2:14] = mask[2:14, 16:28] = True
        >>> measured = objects_of(mask)
        >>> measured.volumes, measured.near, measured.has_holes
        ((144, 144), 2, False)
    """
    from scipy import ndimage

    box = _box(mask)
    if box is None:
        return None
    # A margin, so that what surrounds an object is inside the cut.
    near = tuple(slice(max(0, side.start - SHELL), side.stop + SHELL) for side in box)
    cut, known = mask[near], True if annotated is None else annotated[near]
    labels, count = _components(cut)
    volumes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    kept = volumes >= CRUMB * volumes.max()
    whole = np.concatenate([[False], kept])[labels]
    large = np.flatnonzero(volumes >= ENOUGH) + 1
    widths, necks, border = [], 0, 0
    places = ndimage.find_objects(labels) if len(large) else []
    for number in large[:MOST]:
        width, falls_apart, at_border = _form(labels[places[number - 1]] == number)
        widths.append(width)
        necks += falls_apart
        border += at_border
    return MeasuredObjects(
        share=float(volumes.sum()) / (mask.size if annotated is None else np.count_nonzero(annotated)),
        volumes=tuple(map(int, volumes[kept])),
        widths=tuple(widths),
        near=_near(whole, labels, int(kept.sum())),
        necks=necks,
        formed=len(large[:MOST]),
        border=border,
        inside=int(volumes[large[:MOST] - 1].sum()),
        has_holes=bool((ndimage.binary_fill_holes(cut) & ~cut & known).any()),
        places=_places(mask, box),
        contrast=contrast_of([channel[near] for channel in image], cut, known) if image is not None else math.nan,
    )


def position_entropy(places: Sequence[NDArray[np.float64]]) -> float:
    """Entropy of where a class is, over all cases together, by the largest possible.

    Returns:
        0 if it is always in one cell, 1 if it is in each of them equally often.

    Examples:
        >>> here, there = np.array([1.0, 0.0]), np.array([0.0, 1.0])
        >>> position_entropy([here, here]), position_entropy([here, there])
        (0.0, 1.0)
    """
    mean = np.mean(places, axis=0)
    positive = mean[mean > 0]
    # Not -0.0 for a single cell.
    return abs(float((positive * np.log(positive)).sum())) / math.log(mean.size)


def position_asymmetry(places: Sequence[NDArray[np.float64]]) -> tuple[float, int]:
    """How little the places of a class overlap their mirror image, and along which axis least.

    It is the total variation distance of the mean over cases from its mirror image, which is 1 less their overlap. That
    between halves of the cases, which chance alone makes, is subtracted. Halves are drawn several times, so the order
    of the cases hardly matters. A cell that is usual on one side and seldom used on the other counts nearly in full, so
    this is not the share of the class in cells that no case uses.

    Returns:
        The distance, in [0, 1], and the number of the axis from the last, so that 1 is x; NaN and 0 for a single case.

    Examples:
        >>> top, bottom = np.array([[1.0, 1.0], [0.0, 0.0]]) / 2, np.array([[0.0, 0.0], [1.0, 1.0]]) / 2
        >>> position_asymmetry([top, top]), position_asymmetry([top, bottom, top, bottom])
        ((1.0, 2), (0.0, 2))
    """
    if len(places) < 2:
        return math.nan, 0
    stack = np.stack(places)
    mean = stack.mean(axis=0)
    distances = [_apart(mean, np.flip(mean, axis)) for axis in range(mean.ndim)]
    worst = int(np.argmax(distances))
    generator = np.random.default_rng(0)
    halves = []
    for _ in range(SPLITS):
        order = generator.permutation(len(stack))
        first, second = order[: len(stack) // 2], order[len(stack) // 2 :]
        halves.append(_apart(stack[first].mean(axis=0), stack[second].mean(axis=0)))
    return max(0.0, distances[worst] - float(np.mean(halves))), mean.ndim - worst


def _apart(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    return float(np.abs(first - second).sum() / 2)


def _components(mask: Mask) -> tuple[NDArray[np.integer], int]:
    """Connected objects; those that touch at a corner are one."""
    from scipy import ndimage

    labels, count = ndimage.label(mask, np.ones((3,) * mask.ndim))
    return labels, int(count)


def _box(mask: Mask) -> tuple[slice, ...] | None:
    sides = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        there = np.flatnonzero(mask.any(axis=others))
        if not len(there):
            return None
        sides.append(slice(int(there[0]), int(there[-1]) + 1))
    return tuple(sides)


def _form(mask: Mask) -> tuple[float, bool, int]:
    """Width, whether it falls apart at necks, and number of voxels at the border."""
    from scipy import ndimage

    padded = np.pad(mask, 1)
    distance = ndimage.distance_transform_edt(padded)
    deepest = float(distance.max())
    # Voxels less deep than half of the deepest are cut off: what is left in several places were several objects.
    core, count = _components(distance > deepest / 2)
    sizes = np.bincount(core.ravel())[1:]
    falls_apart = count > 1 and int((sizes >= sizes.max() / 4).sum()) > 1
    return 2 * deepest - 1, falls_apart, int(np.count_nonzero(padded & (distance <= 1.0)))


def _near(mask: Mask, labels: NDArray[np.integer], count: int) -> int:
    """Number of objects that have another within twice ``REACH`` voxels."""
    from scipy import ndimage

    if count < 2:
        return 0
    wide = ndimage.binary_dilation(mask, np.ones((3,) * mask.ndim), iterations=REACH)
    joined, _ = _components(wide)
    # Each object lies in one of the joined ones.
    pairs = np.unique(np.stack([labels[mask], joined[mask]]), axis=1)
    members = np.bincount(pairs[1])
    return int(members[members > 1].sum())


def _places(mask: Mask, box: tuple[slice, ...]) -> NDArray[np.float64]:
    cells_along = CELLS[mask.ndim]
    grid = np.zeros((cells_along,) * mask.ndim)
    inside = np.nonzero(mask[box])
    cells = [
        ((axis + side.start) * cells_along // size).astype(np.intp)
        for axis, side, size in zip(inside, box, mask.shape, strict=True)
    ]
    np.add.at(grid, tuple(cells), 1.0)
    return np.asarray(grid / grid.sum())
