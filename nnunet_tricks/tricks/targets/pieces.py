"""Maps of annotated voxels, where some voxels are not annotated.

Connected annotated voxels are a piece. A piece that fills at least half of the box around it, as slices and stacks of
slices do, is an image of its own. So a slice that stands alone gets the map that it would get as an image in 2D. All
other pieces, such as strokes and slices that were turned, are one more image together. Nothing outside of the box of an
image counts, as nothing outside of a patch does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from inspect import signature
from typing import Any, Literal, Protocol

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

Kinds = NDArray[Any]
"""Kinds of things that a map is made of: 0 where there is nothing, another value for each kind that is distinguished; a
mask where there is one kind only."""
Annotated = NDArray[np.bool_]
SMALLEST = 4
"""Voxels that a piece needs to be an image of its own."""


class MapOfKinds(Protocol):
    """A function that makes a map. It can be pickled, since it is sent to the workers."""

    def __call__(
        self, kinds: Kinds, spacing: Sequence[float], annotated: Annotated | None = None, /
    ) -> NDArray[np.float32]:
        """A map of the same shape as the kinds.

        Args:
            kinds: 2D or 3D. Kinds of voxels that nobody annotated mean nothing.
            spacing: Edges of a voxel in mm, in the order of the axes.
            annotated: True where a voxel is annotated; ``None`` where all are.
        """


def components(mask: NDArray[Any]) -> NDArray[Any]:
    """Numbers from 1 for connected voxels of one value, corners included; 0 stays 0.

    Args:
        mask: Whole numbers or flags, 2D or 3D.
    """
    corners_too: Literal[8, 26] = 8 if mask.ndim == 2 else 26
    kind = np.uint8 if mask.dtype == bool else np.int32
    return cc3d.connected_components(np.ascontiguousarray(mask, kind), connectivity=corners_too)


def box_around(mask: NDArray[np.bool_], margin: int = 0) -> tuple[slice, ...]:
    """The smallest box with all voxels of a mask that is not empty.

    Args:
        mask: 2D or 3D.
        margin: Voxels by which the box is longer at each end, within the image.

    Examples:
        >>> box_around(np.array([[0, 0, 0], [0, 0, 1], [0, 0, 0]], dtype=bool), margin=1)
        (slice(0, 3, None), slice(1, 3, None))
    """
    ends = []
    for axis in range(mask.ndim):
        voxels = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        ends.append(slice(max(int(voxels[0]) - margin, 0), min(int(voxels[-1]) + 1 + margin, mask.shape[axis])))
    return tuple(ends)


def map_of_annotated(
    make: MapOfKinds,
    kinds: Kinds,
    spacing: Sequence[float],
    annotated: Annotated | None,
    *,
    numbers: bool = False,
) -> NDArray[np.float32]:
    """A map in which the value of each annotated voxel comes from its own image of annotated voxels.

    Args:
        make: Function that makes the map of a box.
        kinds: 2D or 3D.
        spacing: Edges of a voxel in mm, in the order of the axes.
        annotated: True where a voxel is annotated; ``None`` where all are.
        numbers: Whether the map counts things from 1. Then things of different images get different numbers. If the
            background of an image is -b, its n things are b + 1 to b + n, and the background of the next image is
            -(b + n + 1). The first b is 0.

    Returns:
        The map; 0 where nobody annotated.

    Examples:
        >>> from nnunet_tricks.tricks.targets.distance import signed_distance
        >>> slices = np.zeros((3, 1, 5), dtype=bool)
        >>> slices[:, :, 2:] = True
        >>> only_the_middle = np.zeros_like(slices)
        >>> only_the_middle[1] = True
        >>> map_of_annotated(signed_distance, slices, (1, 1, 1), only_the_middle)[:, 0]
        array([[ 0.,  0.,  0.,  0.,  0.],
               [ 2.,  1.,  0., -1., -2.],
               [ 0.,  0.,  0.,  0.,  0.]], dtype=float32)
    """
    if annotated is None or annotated.all():
        return make(kinds, spacing)
    whole = np.zeros(kinds.shape, np.float32)
    base = 0.0
    for box, axes, inside in _images(annotated):
        part, edges = kinds[box].squeeze(axes), [edge for axis, edge in enumerate(spacing) if axis not in axes]
        if inside.all():
            values = make(part, edges)
        else:
            values = make(part, edges, inside) if _knows_annotated(make) else make(np.where(inside, part, 0), edges)
        if numbers:
            last = values[inside].max()
            values = np.where(values > 0, values + base, -base)
            base += last + 1
        whole[box].squeeze(axes)[inside] = values[inside]
    return whole


def _knows_annotated(make: MapOfKinds) -> bool:
    """Whether a map takes ``annotated``; one that does not is shown nothing where nobody annotated."""
    try:
        signature(make).bind(None, None, None)
    except TypeError:
        return False
    return True


def _images(annotated: Annotated) -> Iterator[tuple[tuple[slice, ...], tuple[int, ...], Annotated]]:
    """The box around each image, the axes along which the box is flat, and the image's voxels without those axes.

    At least two axes stay.
    """
    pieces = components(annotated)
    voxels = np.bincount(pieces.reshape(-1))
    rest = annotated.copy()
    for number, box in enumerate(find_objects(pieces), 1):
        sides = [side.stop - side.start for side in box]
        if voxels[number] >= SMALLEST and 2 * voxels[number] >= np.prod(sides):
            piece = pieces[box] == number
            rest[box] &= ~piece
            yield box, _flat(sides), piece.squeeze(_flat(sides))
    for box in find_objects(rest.astype(np.uint8)):
        flat = _flat([side.stop - side.start for side in box])
        yield box, flat, rest[box].squeeze(flat)


def _flat(sides: Sequence[int]) -> tuple[int, ...]:
    return tuple([axis for axis, side in enumerate(sides) if side == 1][: len(sides) - 2])
