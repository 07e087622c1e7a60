"""Steps that move voxels. Each reads a larger patch than it leaves, so that no corner of the result is empty."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import atan2, ceil, cos, floor, pi, radians, sin
from typing import Any

import numpy as np
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.spatial.rot90 import Rot90Transform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from torch import Tensor

from nnunet_tricks.tricks.augmentation.zoom import Zoom

OUTSIDE = -1
"""nnU-Net's label of voxels outside the image; it becomes background at the end."""

Size = tuple[int, ...]


class Step(ABC):
    """A step that moves the voxels of some patches.

    Attributes:
        p: Part of the patches.
    """

    p: float

    @abstractmethod
    def read(self, size: Size) -> Size:
        """The size that the step reads in order to leave ``size``."""

    @abstractmethod
    def transform(self, size: Size) -> BasicTransform:
        """The transform of a patch that the step is applied to."""


@dataclass(frozen=True, kw_only=True)
class Warp(Step):
    """Moves, turns, scales and bends together, with one interpolation.

    Attributes:
        p: Part of the patches.
        scale: Factors by which objects grow, smallest and largest, alike along all axes.
        shift: Largest shift of the patch, as a part of its sides; by whole voxels where nothing else happens.
        rotation: Largest angle in degrees, either way, up to 90; in 2D or by slices.
        bend: Largest elastic displacement, as a part of the patch's sides.
        smooth: Standard deviation of the Gaussian that makes the displacement smooth, smallest and largest, as a part
            of the patch's sides.

    Examples:
        >>> Warp(p=0.5, scale=(0.5, 2)).read((64, 32))
        (128, 64)
    """

    p: float
    scale: tuple[float, float] = (1, 1)
    shift: float = 0
    rotation: float = 0
    bend: float = 0
    smooth: tuple[float, float] = (0.05, 0.1)

    def read(self, size: Size) -> Size:
        """The box around all voxels of the image that the result may show."""
        if self._only_shifts:
            return tuple(side + 2 * floor(round(self.shift * side, 6)) for side in size)
        sides: Sequence[float] = size
        if self.rotation:
            sides = _turned(size, radians(self.rotation))
        margin = self.shift + self.bend
        return tuple(
            ceil(round(side / self.scale[0], 6)) + 2 * ceil(round(margin * own, 6))
            for side, own in zip(sides, size, strict=True)
        )

    def transform(self, size: Size) -> BasicTransform:
        """A transform of batchgeneratorsv2; one of ours for a mere shift or a mere scaling."""
        if self._only_shifts:
            return _AnyPart(size)
        if not (self.shift or self.rotation or self.bend):
            return Zoom(size, self.scale)
        return SpatialTransform(
            size,
            [read / 2 - self.shift * own for read, own in zip(self.read(size), size, strict=True)],
            random_crop=self.shift > 0,
            p_elastic_deform=float(self.bend > 0),
            elastic_deform_scale=self.smooth,
            elastic_deform_magnitude=_Displacement(self.bend),
            p_rotation=float(self.rotation > 0),
            rotation=(-radians(self.rotation), radians(self.rotation)),
            p_scaling=float(self.scale != (1, 1)),
            scaling=_Shrinkage(*self.scale),
            p_synchronize_scaling_across_axes=1,
            border_mode_seg="constant",
            padding_value_seg=OUTSIDE,
            # The largest displacement could grow if the mean displacement were taken off afterwards.
            center_deformation=False,
        )

    @property
    def _only_shifts(self) -> bool:
        return bool(self.shift) and self.scale == (1, 1) and not (self.rotation or self.bend)


@dataclass(frozen=True, kw_only=True)
class Turn(Step):
    """Turns by 90, 180 or 270 degrees.

    Attributes:
        p: Part of the patches.
        axes: Axes of which two span the plane; quarter turns need axes with voxels of the same edges. Without any the
            patch is turned in the plane of its last two axes, by those of ``quarters`` that are 0 or 180 degrees.
        quarters: Multiples of 90 degrees to draw from.

    Examples:
        >>> Turn(p=0.5, axes=(1, 2)).read((16, 96, 64))
        (16, 96, 96)
    """

    p: float
    axes: tuple[int, ...]
    quarters: tuple[int, ...] = (1, 2, 3)

    def read(self, size: Size) -> Size:
        """A patch with equal sides where they change places."""
        longest = max((size[axis] for axis in self.axes), default=0)
        return tuple(longest if axis in self.axes else side for axis, side in enumerate(size))

    def transform(self, size: Size) -> BasicTransform:
        """A transform of batchgeneratorsv2."""
        if self.axes:
            return Rot90Transform(1, self.quarters, set(self.axes))
        half_turns = tuple(quarter for quarter in self.quarters if quarter % 2 == 0)
        return Rot90Transform(1, half_turns, {len(size) - 2, len(size) - 1})


def centre(size: Size) -> BasicTransform:
    """A transform that cuts out the middle; it does nothing if the patch has that size already."""
    return SpatialTransform(size, 0, random_crop=False)


class _AnyPart(BasicTransform):
    """Cuts out a part of some size, each possible part with the same probability.

    batchgeneratorsv2 rounds random places down, so that shifts one way are more likely than the other.
    """

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size

    def get_parameters(self, image: Tensor, **_: object) -> dict[str, tuple[slice, ...]]:
        room = np.subtract(image.shape[1:], self.size)
        corner = np.random.randint(0, room + 1).tolist()
        return {"part": tuple(slice(low, low + side) for low, side in zip(corner, self.size, strict=True))}

    def _apply_to_image(self, image: Tensor, *, part: tuple[slice, ...]) -> Tensor:
        whole = (slice(None), *part)
        return image[whole]

    _apply_to_segmentation = _apply_to_regr_target = _apply_to_image


@dataclass(frozen=True)
class _Shrinkage:
    """The factor by which objects shrink, which batchgeneratorsv2 calls scaling."""

    low: float
    high: float

    def __call__(self, *_: object, **__: Any) -> float:
        return 1 / float(np.random.uniform(self.low, self.high))


@dataclass(frozen=True)
class _Displacement:
    """The largest displacement along an axis, in voxels."""

    most: float

    def __call__(self, *_: object, patch_size: Size, dim: int, **__: Any) -> float:
        return float(np.random.uniform(0, self.most)) * patch_size[dim]


def _turned(size: Size, most: float) -> tuple[float, float]:
    """Sides of the box around a rectangle that is turned by at most ``most`` radians."""
    height, width = size

    def side(own: int, other: int) -> float:
        angle = min(most, pi / 2, atan2(other, own))
        return own * cos(angle) + other * sin(angle)

    return side(height, width), side(width, height)
