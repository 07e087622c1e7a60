"""Larger and smaller objects, alike along all axes, by one matrix product for each axis.

Scaling maps each axis to itself. Linear interpolation then is one product for each axis: several times cheaper than
sampling each voxel from its eight neighbours, and the same up to rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from numpy.typing import NDArray
from torch import Tensor

Size = tuple[int, ...]


class Zoom(BasicTransform):
    """Scales around the middle of the patch that was read, and leaves a patch of another size.

    Images and maps of the truth are interpolated linearly. A voxel gets the label that has the largest part in it, the
    lower one of two with equal parts. Beyond the border of the patch that was read, voxels of the border are repeated.
    """

    def __init__(self, size: Size, scale: tuple[float, float]) -> None:
        """Set up the transform.

        Args:
            size: Size of the result in voxels.
            scale: Factors by which objects grow, smallest and largest.
        """
        super().__init__()
        self.size = size
        self.scale = scale

    def get_parameters(self, **_: object) -> dict[str, float]:
        """Draw the scale, uniformly."""
        return {"scale": float(np.random.uniform(*self.scale))}

    def _apply_to_image(self, image: Tensor, *, scale: float) -> Tensor:
        part, weights = self._parts(image, scale)
        return _interpolated(part, weights)

    def _apply_to_regr_target(self, regression_target: Tensor, *, scale: float) -> Tensor:
        return self._apply_to_image(regression_target, scale=scale)

    def _apply_to_segmentation(self, segmentation: Tensor, *, scale: float) -> Tensor:
        part, weights = self._parts(segmentation, scale)
        part = part.contiguous()
        first, *others = _values(part.numpy())
        result = torch.full((len(part), *self.size), first, dtype=part.dtype)
        if not others:
            return result
        # With two labels the part of the one says that of the other.
        best = torch.tensor(0.5) if len(others) == 1 else _interpolated((part == first).float(), weights)
        for label in others:
            share = _interpolated((part == label).float(), weights)
            result[share > best] = label
            best = torch.maximum(best, share)
        return result

    def _parts(self, read: Tensor, scale: float) -> tuple[Tensor, list[Tensor]]:
        """The part of the patch that the result shows, and for each axis its weights: voxels read x voxels left."""
        windows, weights = [], []
        for count, side in zip(read.shape[1:], self.size, strict=True):
            place = (count - 1) / 2 + (torch.arange(side, dtype=torch.float64) - (side - 1) / 2) / scale
            before = place.floor().clamp(0, max(count - 2, 0)).long()
            after = (before + 1).clamp(max=count - 1)
            nearness = (place - before).clamp(0, 1).float()
            low, high = int(before[0]), int(after[-1]) + 1
            of_axis, columns = torch.zeros(high - low, side), torch.arange(side)
            of_axis[before - low, columns] += 1 - nearness
            of_axis[after - low, columns] += nearness
            windows.append(slice(low, high))
            weights.append(of_axis)
        part = (slice(None), *windows)
        return read[part], weights


def _values(labels: NDArray[np.integer[Any]]) -> list[int]:
    """The labels that occur, from small to large."""
    low = int(labels.min())
    values: list[int] = (np.flatnonzero(np.bincount(labels.ravel() - low)) + low).tolist()
    return values


def _interpolated(part: Tensor, weights: list[Tensor]) -> Tensor:
    part = part @ weights[-1]
    for axis in range(len(weights) - 2, -1, -1):
        shape = [*part.shape[: axis + 1], weights[axis].shape[1], *part.shape[axis + 2 :]]
        part = (weights[axis].T @ part.flatten(axis + 2)).view(shape)
    return part
