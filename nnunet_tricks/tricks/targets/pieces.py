"""Maps of what is annotated, where some voxels are not.

What hangs together of the annotated voxels is a piece. A piece that fills at least half of the box around it, as slices
and stacks of slices do, is an image of its own: a slice that stands alone gets the map that it would get as an image in
2D. All other pieces, such as strokes and slices that were turned, are one more image together. Of what lies outside of
its box nothing is taken, as of what lies outside of a patch.
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
"""What a map is made of: 0 where there is nothing, another value for each kind of thing that is told apart; a mask
where there is one kind only."""
Annotated = NDArray[np.bool_]
SMALLEST = 4
"""Voxels of a piece that can be an image of its own."""


class MapOfKinds(Protocol):
    """Makes a map. It can be pickled, since workers do that."""

    def __call__(
        self, kinds: Kinds, spacing: Sequence[float], annotated: Annotated | None = None, /
    ) -> NDArray[np.float32]:
        """From kinds and the voxel's edges in mm to a map of the same shape.

        Args:
            kinds: 2D or 3D. What they hold where nobody annotated means nothing.
            spacing: Edges of a voxel in mm, in the order of the axes.
            annotated: True where a voxel is annotated; ``None`` where all are.
        """


def components(mask: NDArray[Any]) -> NDArray[Any]:
    """Numbers from 1 for what hangs together and is of one value, corners included; 0 stays 0.

    Args:
        mask: Whole numbers or flags, 2D or 3D.
    """
    corners_too: Literal[8, 26] = 8 if mask.ndim == 2 else 26
    kind = np.uint8 if mask.dtype == bool else np.int32
    return cc3d.connected_components(np.ascontiguousarray(mask, kind), connectivity=corners_too)


def map_of_annotated(
    make: MapOfKinds,
    kinds: Kinds,
    spacing: Sequence[float],
    annotated: Annotated | None,
    *,
    numbers: bool = False,
) -> NDArray[np.float32]:
    """A map of which each annotated voxel's value comes from its own image of annotated voxels.

    Args:
        make: Makes the map of a box.
        kinds: 2D or 3D.
        spacing: Edges of a voxel in mm, in the order of the axes.
        annotated: True where a voxel is annotated; ``None`` where all are.
        numbers: Whether the map counts things from 1. Those of different images then get different numbers: if one has
            n things and its background -b, they have the numbers from b + 1 to b + n, and the next background has
            -(b + n + 1). The first b is 0.

    Returns:
        0 where nobody annotated.

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
    found = np.zeros(kinds.shape, np.float32)
    base = 0.0
    for where, axes, mine in _images(annotated):
        part, edges = kinds[where].squeeze(axes), [edge for axis, edge in enumerate(spacing) if axis not in axes]
        if mine.all():
            made = make(part, edges)
        else:
            made = make(part, edges, mine) if _knows_annotated(make) else make(np.where(mine, part, 0), edges)
        if numbers:
            last = made[mine].max()
            made = np.where(made > 0, made + base, -base)
            base += last + 1
        found[where].squeeze(axes)[mine] = made[mine]
    return found


def _knows_annotated(make: MapOfKinds) -> bool:
    """Whether a map takes what is annotated; one that does not is shown nothing where nobody annotated."""
    try:
        signature(make).bind(None, None, None)
    except TypeError:
        return False
    return True


def _images(annotated: Annotated) -> Iterator[tuple[tuple[slice, ...], tuple[int, ...], Annotated]]:
    """The box around each image, the axes along which it is flat, and where it is in what is left of the box.

    Two axes always stay.
    """
    pieces = components(annotated)
    voxels = np.bincount(pieces.reshape(-1))
    rest = annotated.copy()
    for number, where in enumerate(find_objects(pieces), 1):
        sides = [side.stop - side.start for side in where]
        if voxels[number] >= SMALLEST and 2 * voxels[number] >= np.prod(sides):
            mine = pieces[where] == number
            rest[where] &= ~mine
            yield where, _flat(sides), mine.squeeze(_flat(sides))
    for where in find_objects(rest.astype(np.uint8)):
        flat = _flat([side.stop - side.start for side in where])
        yield where, flat, rest[where].squeeze(flat)


def _flat(sides: Sequence[int]) -> tuple[int, ...]:
    return tuple([axis for axis, side in enumerate(sides) if side == 1][: len(sides) - 2])
