"""What is annotated in a case, and where patches can be centred."""

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
        axis: Along which slices follow each other.
        slices: Those with at least one annotated voxel, ascending.
        voxels: How many voxels there are of each kind: of each label, and as below.
        places: Some voxels of each kind, (n, 3): of each label, ``background``, ``annotated`` and ``unannotated``;
            kinds that do not occur are not there.
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
        labels: (z, y, x); negative outside of what is not zero in the image, which counts as background.
        kept: The slices whose labels may be looked at.
        axis: Along which they follow each other.
        ignore: Label of voxels that nobody annotated.
        generator: Draws the voxels that are remembered.
        most: How many for each kind.

    Returns:
        What was found.

    Examples:
        >>> cube = np.zeros((4, 3, 3), int)
        >>> cube[:2, 1, 1] = 1
        >>> found = survey(cube, [1, 2], axis=0, ignore=2, generator=np.random.default_rng(0))
        >>> found.slices, found.places[1], found.voxels
        (array([1, 2]), array([[1, 1, 1]], dtype=int32), {'background': 17, 1: 1, 'annotated': 18, 'unannotated': 18})
    """
    kept = np.asarray(kept, dtype=np.intp)
    part = labels if len(kept) == labels.shape[axis] else labels.take(kept, axis)
    flat = part.reshape(-1)
    counts = _counts(part, ignore)
    ignored = counts.pop(ignore, 0)
    known = (part != ignore).any(axis=tuple({0, 1, 2} - {axis})) if ignored else np.ones(len(kept), bool)

    def coordinates(places: NDArray[np.intp]) -> NDArray[np.int32]:
        found = np.stack(np.unravel_index(places, part.shape), axis=1).astype(np.int32)
        found[:, axis] = kept[found[:, axis]]
        return found

    found: dict[Kind, NDArray[np.int32]] = {}
    voxels: dict[Kind, int] = {label or BACKGROUND: number for label, number in counts.items()}
    voxels |= {ANNOTATED: part.size - ignored, UNANNOTATED: ignored + labels.size - part.size}
    for label in filter(None, counts):
        found[label] = coordinates(_some(np.flatnonzero(flat == label), most, generator))
    if BACKGROUND in voxels:
        found[BACKGROUND] = coordinates(_drawn(flat <= 0, voxels[BACKGROUND], most, generator))
    if voxels[ANNOTATED]:
        found[ANNOTATED] = coordinates(_drawn(flat != ignore, voxels[ANNOTATED], most, generator))
    unannotated = _unannotated(labels, kept, axis, ignore, most, generator)
    if len(unannotated):
        found[UNANNOTATED] = unannotated
    return Survey(axis=axis, slices=kept[known], voxels=voxels, places=found)


def _counts(labels: Labels, ignore: int) -> dict[int, int]:
    total = np.zeros(ignore + 1, np.int64)
    for plane in labels:  # bincount works on a copy in 64 bits
        total += np.bincount(np.maximum(plane, 0).reshape(-1), minlength=ignore + 1)
    return {label: int(number) for label, number in enumerate(total) if number}


def _some(places: NDArray[np.intp], most: int, generator: np.random.Generator) -> NDArray[np.intp]:
    return places if len(places) <= most else generator.choice(places, most, replace=False)


def _drawn(wanted: NDArray[np.bool_], there: int, most: int, generator: np.random.Generator) -> NDArray[np.intp]:
    """As ``_some`` of the places of ``wanted``; without a list of them where they are many."""
    if there <= 4 * most:
        return _some(np.flatnonzero(wanted), most, generator)
    tried = generator.integers(wanted.size, size=int(1.5 * most * wanted.size / there))
    return tried[wanted[tried]][:most]


def _unannotated(
    labels: Labels, kept: NDArray[np.intp], axis: int, ignore: int, most: int, generator: np.random.Generator
) -> NDArray[np.int32]:
    tried = np.stack([generator.integers(length, size=4 * most) for length in labels.shape], axis=1).astype(np.int32)
    dropped = np.ones(labels.shape[axis], bool)
    dropped[kept] = False
    unknown = dropped[tried[:, axis]] | (labels[tuple(tried.T)] == ignore)
    return tried[unknown][:most]
