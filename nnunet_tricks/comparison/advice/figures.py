"""Figures of a data set on which advice is based. Plain values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

NAN = math.nan

PARTLY = 0.1
"""Share of an image that is not annotated from which on objects are cut: form, number and places are unknown."""


@dataclass(frozen=True, kw_only=True)
class ClassFigures:
    """What the objects of one class are like. Medians are over the cases that have it.

    Where labels are partial, objects are pieces: only share, contrast and reversed are known.

    Attributes:
        name: Name of the class.
        cases: Number of cases with the class.
        share: Median share of an image's annotated voxels; in [0, 1].
        count: Median number of connected objects in a case.
        single: Share of these cases in which the largest object has at least 99 % of the class.
        size: Median volume of a case's objects, in voxels.
        small: Volume below which one in ten objects lies, in voxels.
        spread: 90th percentile of the objects' volumes divided by the 10th, all cases together.
        width: Median of twice the largest distance from the border inside an object, in voxels.
        near: Share of objects that have another object of the class within four voxels.
        necks: Share of objects that fall apart when their necks are cut.
        thin: Share of the class that lies at its border, of larger objects only.
        holes: Share of these cases with background that the class encloses.
        entropy: Position entropy: entropy of the places of all cases together, by the largest possible; 1 is anywhere.
        asymmetry: Part of the places of all cases together that does not overlap them once images are mirrored, along
            the worst axis, less what chance alone makes of it. 0 is the same places; 1 is none in common.
        axis: Number of that axis from the last: 1 is x.
        contrast: Median absolute contrast to the surroundings, in standard deviations.
        reversed: Share of cases with clear contrast in which it has the rarer sign: bright in some, dark in others.
    """

    name: str
    cases: int
    share: float = NAN
    count: float = NAN
    single: float = NAN
    size: float = NAN
    small: float = NAN
    spread: float = NAN
    width: float = NAN
    near: float = NAN
    necks: float = NAN
    thin: float = NAN
    holes: float = NAN
    entropy: float = NAN
    asymmetry: float = NAN
    axis: int = 0
    contrast: float = NAN
    reversed: float = NAN


@dataclass(frozen=True, kw_only=True)
class DataFigures:
    """What a data set is like.

    Attributes:
        dataset: Full name.
        source: Source of the figures: ``raw`` or ``preprocessed``.
        cases: Number of training cases.
        read: Number of cases whose labels were read.
        dimension: Number of axes of the images, 2 or 3.
        channels: Number of channels.
        coloured: Whether images are pictures with red, green and blue.
        grey: Share of cases in which all channels are the same, as in grey pictures that were stored with three.
        ct: Whether the first channel is CT.
        voxels: Median number of voxels of an image.
        shape: Median shape, in the order of the files' axes as readers give them: z, y, x or y, x.
        spacing: Median distance of voxels along these axes; 1 where files have none.
        anisotropy: Largest divided by smallest median spacing.
        foreground: Median share of annotated voxels that are foreground.
        empty: Share of cases without any foreground, of those in which something is annotated.
        blank: Number of the cases that were read in which nothing is annotated.
        unannotated: Median share of voxels with the ignore label, in the other cases.
        ignored: Mean of this share.
        slices: Median share of slices along the first axis in which something is annotated, in the other cases.
        imbalance: Share of the largest class divided by the smallest class's; each is a median of the cases with it.
        seconds: Time that reading took.
        classes: Figures of each class.
    """

    dataset: str
    source: str
    cases: int
    read: int
    dimension: int
    channels: int = 1
    coloured: bool = False
    grey: float = 0.0
    ct: bool = False
    voxels: float = NAN
    shape: tuple[float, ...] = ()
    spacing: tuple[float, ...] = ()
    anisotropy: float = 1.0
    foreground: float = NAN
    empty: float = 0.0
    blank: int = 0
    unannotated: float = 0.0
    ignored: float = 0.0
    slices: float = 1.0
    imbalance: float = NAN
    seconds: float = 0.0
    classes: tuple[ClassFigures, ...] = field(default_factory=tuple)

    @property
    def labelled(self) -> int:
        """Number of the cases that were read in which something is annotated."""
        return self.read - self.blank

    @property
    def unlabelled(self) -> float:
        """Mean share of voxels with the ignore label, over all cases that were read."""
        return (self.blank + self.ignored * self.labelled) / self.read

    @property
    def partial(self) -> bool:
        """Whether so much of an image is not annotated that objects are known in pieces only."""
        return self.ignored >= PARTLY

    @property
    def whole(self) -> str:
        """Name of what shares are shares of."""
        return "what is annotated" if self.ignored > 0 else "an image"

    @property
    def data(self) -> dict[str, Any]:
        """The figures for JSON; what is not known is None."""
        return _plain(asdict(self))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value
