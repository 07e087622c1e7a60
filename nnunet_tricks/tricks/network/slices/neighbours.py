"""Slices of a volume with their neighbours as further channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def with_neighbours(image: NDArray[Any], slices: int) -> NDArray[Any]:
    """Give each slice its neighbours as channels.

    Args:
        image: (C, Z, Y, X); slices follow each other along Z.
        slices: Number of neighbours on each side. Beyond the first and the last slice these are repeated.

    Returns:
        ((2 * slices + 1) * C, Z, Y, X): all channels of the slice ``slices`` before, then those of the next, and so on.
        The slice itself stands in the middle.

    Raises:
        ValueError: If the image has another number of axes, or ``slices`` is negative.

    Examples:
        >>> with_neighbours(np.arange(3).reshape(1, 3, 1, 1), 1)[:, :, 0, 0]
        array([[0, 0, 1],
               [0, 1, 2],
               [1, 2, 2]])
    """
    if image.ndim != 4 or slices < 0:
        raise ValueError(f"image must be (C, Z, Y, X) and slices at least 0, got {image.shape} and {slices}")
    return _gathered(image, np.arange(image.shape[1]), slices, 0, image.shape[1])


def _gathered(block: NDArray[Any], places: NDArray[np.intp], slices: int, first: int, depth: int) -> NDArray[Any]:
    """Slices at some places, with neighbours; ``block`` begins at slice ``first`` of an image of ``depth`` slices."""
    steps = range(-slices, slices + 1)
    return np.concatenate([block[:, np.clip(places + step, 0, depth - 1) - first] for step in steps])


class NeighbourImage:
    """An image on disk whose slices have their neighbours as channels; only what is asked for is read.

    It is to nnU-Net's loader what the image itself is: it has a shape, and is cut by slices of its axes.

    Attributes:
        image: Image as nnU-Net opens it, (C, Z, Y, X).
        slices: Number of neighbours on each side.
        shape: Shape with the neighbours, ((2 * slices + 1) * C, Z, Y, X).
        ndim: Number of axes, 4.
        dtype: Type of the values.

    Examples:
        >>> image = np.random.default_rng(0).random((2, 5, 4, 4))
        >>> lazy = NeighbourImage(image, slices=1)
        >>> lazy.shape, bool((lazy[:, 1:3, :2] == with_neighbours(image, 1)[:, 1:3, :2]).all())
        ((6, 5, 4, 4), True)
    """

    def __init__(self, image: Any, slices: int) -> None:
        """Stand for an image."""
        self.image = image
        self.slices = slices
        self.shape = ((2 * slices + 1) * image.shape[0], *image.shape[1:])
        self.ndim = len(self.shape)
        self.dtype = image.dtype

    def __getitem__(self, key: Any) -> Any:
        """What numpy gives for the same key of the whole array."""
        keys = key if isinstance(key, tuple) else (key,)
        if any(part is Ellipsis for part in keys):
            at = next(number for number, part in enumerate(keys) if part is Ellipsis)
            keys = (*keys[:at], *[slice(None)] * (self.ndim - len(keys) + 1), *keys[at + 1 :])
        whole = [*keys, *[slice(None)] * (self.ndim - len(keys))]
        channels, along, within = whole[0], whole[1], whole[2:]
        depth = self.shape[1]
        places = np.atleast_1d(np.arange(depth)[along])
        if not places.size:
            return np.empty(self.shape, self.dtype)[tuple(keys)]
        first = max(int(places.min()) - self.slices, 0)
        end = min(int(places.max()) + self.slices + 1, depth)
        read = (slice(None), slice(first, end), *within)
        block = np.asarray(self.image[read])
        gathered = _gathered(block, places, self.slices, first, depth)
        return gathered[channels] if isinstance(along, slice) else gathered[:, 0][channels]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """All of it in memory."""
        return np.asarray(self[:], dtype=dtype)


class NeighbourCases:
    """A data set of nnU-Net's loader whose images have neighbouring slices as channels.

    Attributes:
        cases: nnU-Net's data set.
        slices: Number of neighbours on each side.
        identifiers: Names of its cases.
    """

    def __init__(self, cases: Any, slices: int) -> None:
        """Wrap a data set."""
        self.cases, self.slices = cases, slices
        self.identifiers: Sequence[str] = cases.identifiers

    def load_case(self, identifier: str) -> tuple[Any, ...]:
        """Load a case as nnU-Net does; of its image only what is cut out is read."""
        image, *rest = self.cases.load_case(identifier)
        return (NeighbourImage(image, self.slices), *rest)


class NeighbourKind:
    """Stands for nnU-Net's class of data sets, which a trainer calls and asks for names of cases.

    Attributes:
        kind: nnU-Net's class.
        slices: Number of neighbours on each side.
    """

    def __init__(self, kind: Any, slices: int) -> None:
        """Stand for a class."""
        self.kind, self.slices = kind, slices

    def __call__(self, *arguments: Any, **settings: Any) -> NeighbourCases:
        """A data set with neighbours."""
        return NeighbourCases(self.kind(*arguments, **settings), self.slices)

    def get_identifiers(self, folder: str) -> Any:
        """Names of the cases in a folder."""
        return self.kind.get_identifiers(folder)

    def unpack_dataset(self, *arguments: Any, **settings: Any) -> Any:
        """Unpack files as nnU-Net does."""
        return self.kind.unpack_dataset(*arguments, **settings)
