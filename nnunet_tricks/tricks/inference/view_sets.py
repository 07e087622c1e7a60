"""Which views a name of test-time augmentation stands for, given the patches of a configuration."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from nnunet_tricks.tricks.inference.views import IDENTITY, View, as_word, view_of

NAMES = ("none", "mirror", "mediseg", "rotate90", "gtaug-a", "gtaug-b")
"""The sets of views that have a name."""

DRAWN = 4
"""Views of the drawn sets beside the image itself."""

ALIKE = 1.25
"""Axes whose voxel edges differ by a larger factor are not turned into each other, as in training."""

FLAT = 3.0
"""Patches whose voxel edges differ by a larger factor are scaled slice by slice, nnU-Net's own bound."""


@dataclass(frozen=True)
class PatchGeometry:
    """What views must know of a configuration's patches.

    Attributes:
        size: Sides in voxels, as the network gets them.
        spacing: Edges of a voxel in mm.
        mirrored: Axes along which the model may be mirrored; those of its training.

    Examples:
        >>> PatchGeometry((40, 64, 64), (2.0, 1.0, 1.0), (0, 1, 2)).plane
        (1, 2)
        >>> PatchGeometry((40, 64, 48), (1.0, 1.0, 1.0), ()).plane is None
        True
    """

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    mirrored: tuple[int, ...]

    @property
    def plane(self) -> tuple[int, int] | None:
        """The first two axes that may change places: with equal sides, and voxel edges that are alike."""
        for first, second in combinations(range(len(self.size)), 2):
            edges = sorted((self.spacing[first], self.spacing[second]))
            if self.size[first] == self.size[second] and edges[1] <= ALIKE * edges[0]:
                return first, second
        return None

    @property
    def zoomed(self) -> tuple[int, ...]:
        """The axes that are scaled together: those in the plane of the slices where these lie far apart."""
        flat = len(self.size) == 3 and self.spacing[0] > FLAT * min(self.spacing[1:])
        return tuple(range(1 if flat else 0, len(self.size)))


@dataclass(frozen=True)
class ViewSet:
    """Views that are averaged.

    Attributes:
        name: As it was asked for.
        views: The image itself is one of them where the name says so.
        average: ``logits``, as nnU-Net averages, or ``probabilities``, as the paper does.
        notes: What the user should know.
    """

    name: str
    views: tuple[View, ...]
    average: str
    notes: tuple[str, ...] = ()


def view_set(name: str, patch: PatchGeometry, *, average: str = "", seed: int = 0) -> ViewSet:
    """The views that a name stands for.

    ``mirror`` is nnU-Net's own: all combinations of the axes that the model allows. ``mediseg`` is what the trick
    paper's code does: the image, each axis mirrored, and quarter turns of the first plane. ``gtaug-a`` has grey values
    drawn in the ranges of GTAug-A, ``gtaug-b`` scales and turns in those of GTAug-B; both draw with a fixed seed.

    Args:
        name: One of ``NAMES``, or views joined by commas: ``identity,flip0,turn1``.
        patch: The configuration's patches.
        average: ``logits`` or ``probabilities``; that of the set if empty.
        seed: What the drawn sets begin with.

    Returns:
        The views.

    Raises:
        ValueError: If there is no such set or view, or the patch does not have its axes.

    Examples:
        >>> patch = PatchGeometry((64, 64), (1.0, 1.0), (0, 1))
        >>> [view.name for view in view_set("mirror", patch).views]
        ['identity', 'flip0', 'flip1', 'flip0+flip1']
        >>> [view.name for view in view_set("mediseg", patch).views]
        ['identity', 'flip0', 'flip1', 'turn1', 'turn2', 'turn3']
    """
    if average not in ("", "logits", "probabilities"):
        raise ValueError(f"average is '{average}', and must be logits or probabilities")
    notes: list[str] = []
    names = _names(name, patch, seed, notes)
    views = tuple(view_of(each, plane=patch.plane, zoomed=patch.zoomed) for each in names)
    for view in views:
        for change in view.changes:
            axes = getattr(change, "plane", None) or (getattr(change, "axis", 0),)
            if max(axes) >= len(patch.size):
                raise ValueError(f"view '{view.name}' needs axis {max(axes)}, and the patch has {len(patch.size)} axes")
    logits = name in ("none", "mirror")
    return ViewSet(name, views, average or ("logits" if logits else "probabilities"), tuple(notes))


def _names(name: str, patch: PatchGeometry, seed: int, notes: list[str]) -> Sequence[str]:
    axes = range(len(patch.size))
    turns = [f"turn{quarters}" for quarters in (1, 2, 3)] if patch.plane else []
    if name == "none":
        return [IDENTITY]
    if name == "mirror":
        mirrored = sorted(patch.mirrored)
        if not mirrored:
            notes.append("mirror does nothing: the model was trained without mirroring, so it allows no axis")
        sets = [group for count in range(1, len(mirrored) + 1) for group in combinations(mirrored, count)]
        return [IDENTITY, *("+".join(f"flip{axis}" for axis in group) for group in sets)]
    if name in ("mediseg", "rotate90", "gtaug-b"):
        if patch.plane is None:
            notes.append(f"{name} has no quarter turns here: no two axes have the same side and the same voxel edge")
        elif patch.plane != (0, 1):
            notes.append(f"{name} turns the plane of axes {patch.plane[0]} and {patch.plane[1]}")
    if name == "mediseg":
        return [IDENTITY, *(f"flip{axis}" for axis in axes), *turns]
    if name == "rotate90":
        return [IDENTITY, *turns]
    if name == "gtaug-a":
        return [IDENTITY, *_grey_views(len(patch.size), random.Random(seed))]
    if name == "gtaug-b":
        return [IDENTITY, *_moved_views(patch, random.Random(seed))]
    names = [each.strip() for each in name.split(",")]
    if twice := [each for each in names if names.count(each) > 1]:
        raise ValueError(f"'{name}' has the view '{twice[0]}' twice: each view has one vote")
    return names


def _grey_views(dimensions: int, draw: random.Random) -> list[str]:
    views = []
    for number in range(DRAWN):
        if dimensions == 2:
            shift = draw.uniform(-0.2, 0.2)
            views.append(
                f"{'brighter' if shift > 0 else 'darker'}{as_word(abs(shift))}"
                f"+contrast{as_word(draw.uniform(0.8, 1.2))}+gamma{as_word(draw.uniform(0.8, 1.2))}"
            )
        else:
            # Half of GTAug-A's exponents are below 1.
            exponent = draw.uniform(0.5, 1) if number % 2 else draw.uniform(1, 2)
            views.append(f"noise0p1+gamma{as_word(exponent)}" if number > 1 else f"gamma{as_word(exponent)}")
    return views


def _moved_views(patch: PatchGeometry, draw: random.Random) -> list[str]:
    low, high = (0.9, 1.1) if len(patch.size) == 2 else (0.85, 1.25)
    views = []
    for number in range(DRAWN):
        zoom = f"zoom{as_word(draw.uniform(low, high))}"
        quarters = number % 4
        views.append(f"{zoom}+turn{quarters}" if quarters and patch.plane else zoom)
    return views
