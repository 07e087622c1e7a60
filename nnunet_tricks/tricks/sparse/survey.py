"""A survey of a case: how many voxels of each kind it has, and some places to centre patches on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.integer]
Kind = int | str

BACKGROUND, ANNOTATED, UNANNOTATED = "background", "annotated", "unannotated"
MOST = 5000
"""Voxels of a kind that are remembered for each case; nnU-Net keeps 10,000 and centres patches on no others."""


@dataclass(frozen=True, kw_only=True)
class Survey:
    """A case as its annotator left it.

    Attributes:
        axis: Axis along which slices follow each other.
        slices: Slices with at least one annotated voxel, ascending.
        voxels: Number of voxels of each kind. Kinds are the labels, ``background``, ``annotated`` and ``unannotated``.
        places: Places of some voxels of each kind, (n, 3). A kind that does not occur has no entry.
    """

    axis: int
    slices: NDArray[np.intp]
    voxels: Mapping[Kind, int]
    places: Mapping[Kind, NDArray[np.int32]] = field(default_factory=dict)


def survey(
    labels: Labels,
    kept: Sequence[int] | NDArray[np.intp],
    *,
    axis: int,
    ignore: int,
    generator: np.random.Generator,
    most: int = MOST,
) -> Survey:
    """Look through the annotated slices of a case.

    Args:
        labels: (z, y, x). Negative labels, where the image is zero, count as background.
        kept: Slices whose labels may be read.
        axis: Axis along which slices follow each other.
        ignore: Label of voxels that nobody annotated.
        generator: Generator that draws the places.
        most: Number of places of each kind, at most.

    Returns:
        The survey.

    Examples:
        >>> cube = np.zeros((4, 3, 3), int)
        >>> cube[:2, 1, 1] = 1
        >>> two_slices = survey(cube, [1, 2], axis=0, ignore=2, generator=np.random.default_rng(0))
        >>> two_slices.slices, two_slices.places[1], two_slices.voxels
        (array([1, 2]), array([[1, 1, 1]], dtype=int32), {'background': 17, 1: 1, 'annotated': 18, 'unannotated': 18})
    """
    kept = np.asarray(kept, dtype=np.intp)
    part = labels if len(kept) == labels.shape[axis] else labels.take(kept, axis)
    flat = part.reshape(-1)
    counts = _counts(part, ignore)
    ignored = counts.pop(ignore, 0)
    known = (part != ignore).any(axis=tuple({0, 1, 2} - {axis})) if ignored else np.ones(len(kept), bool)

    def coordinates(indices: NDArray[np.intp]) -> NDArray[np.int32]:
        in_volume = np.stack(np.unravel_index(indices, part.shape), axis=1).astype(np.int32)
        in_volume[:, axis] = kept[in_volume[:, axis]]
        return in_volume

    places: dict[Kind, NDArray[np.int32]] = {}
    voxels: dict[Kind, int] = {label or BACKGROUND: number for label, number in counts.items()}
    voxels |= {ANNOTATED: part.size - ignored, UNANNOTATED: ignored + labels.size - part.size}
    for label in filter(None, counts):
        places[label] = coordinates(_some(np.flatnonzero(flat == label), most, generator))
    if BACKGROUND in voxels:
        places[BACKGROUND] = coordinates(_drawn(flat <= 0, voxels[BACKGROUND], most, generator))
    if voxels[ANNOTATED]:
        places[ANNOTATED] = coordinates(_drawn(flat != ignore, voxels[ANNOTATED], most, generator))
    unannotated = _unannotated(labels, kept, axis, ignore, most, generator)
    if len(unannotated):
        places[UNANNOTATED] = unannotated
    return Survey(axis=axis, slices=kept[known], voxels=voxels, places=places)


def _counts(labels: Labels, ignore: int) -> dict[int, int]:
    total = np.zeros(ignore + 1, np.int64)
    for plane in labels:  # bincount works on a copy in 64 bits
        total += np.bincount(np.maximum(plane, 0).reshape(-1), minlength=ignore + 1)
    return {label: int(number) for label, number in enumerate(total) if number}


def _some(indices: NDArray[np.intp], most: int, generator: np.random.Generator) -> NDArray[np.intp]:
    return indices if len(indices) <= most else generator.choice(indices, most, replace=False)


def _drawn(wanted: NDArray[np.bool_], count: int, most: int, generator: np.random.Generator) -> NDArray[np.intp]:
    """Indices of some of the ``count`` voxels that are wanted; where they are many, they are not listed first."""
    if count <= 4 * most:
        return _some(np.flatnonzero(wanted), most, generator)
    tried = generator.integers(wanted.size, size=int(1.5 * most * wanted.size / count))
    return tried[wanted[tried]][:most]


def _unannotated(
    labels: Labels, kept: NDArray[np.intp], axis: int, ignore: int, most: int, generator: np.random.Generator
) -> NDArray[np.int32]:
    tried = np.stack([generator.integers(length, size=4 * most) for length in labels.shape], axis=1).astype(np.int32)
    dropped = np.ones(labels.shape[axis], bool)
    dropped[kept] = False
    unknown = dropped[tried[:, axis]] | (labels[tuple(tried.T)] == ignore)
    return tried[unknown][:most]
