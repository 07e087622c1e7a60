"""The label maps of one case, and the two masks of one class or region in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.comparison.metrics.border import Distances, border_distances
from nnunet_tricks.comparison.metrics.detection import Detection, detect
from nnunet_tricks.comparison.metrics.nearest import Mask
from nnunet_tricks.comparison.metrics.subvoxel import Surfaces, surface_distances

LabelMap = NDArray[np.generic]
Box = tuple[slice, ...]


class MaskPair:
    """Predicted and true mask of one class in one case, cropped to the voxels of either.

    Args:
        prediction: Mask; False where nothing was annotated.
        truth: Mask of the same shape; False where nothing was annotated.
        spacing: Size of a voxel along each axis.
        ignored: Voxels that were not annotated, or None if all were.
        ignored_count: Number of voxels in the whole image that were not annotated.
        image_shape: Shape of the whole image; shape of the masks if None.
        origin: Position of the masks in the image.
        unit: Unit of the spacing: ``mm``, or ``px`` where it is unknown.

    Attributes:
        tp: True positives in voxels.
        fp: False positives in voxels.
        fn: False negatives in voxels.
        tn: True negatives in voxels of the whole image; ignored ones are not counted.
    """

    def __init__(
        self,
        prediction: Mask,
        truth: Mask,
        spacing: Sequence[float],
        *,
        ignored: Mask | None = None,
        ignored_count: int = 0,
        image_shape: Sequence[int] | None = None,
        origin: Sequence[int] | None = None,
        unit: str = "mm",
    ) -> None:
        """Keep the masks, and count their voxels."""
        self.prediction, self.truth, self.ignored, self.unit = prediction, truth, ignored, unit
        self.spacing = tuple(float(step) for step in spacing)
        self.image_shape = tuple(image_shape or truth.shape)
        self.origin = tuple(origin or (0,) * truth.ndim)
        self.tp = int(np.count_nonzero(prediction & truth))
        self.fp = int(np.count_nonzero(prediction)) - self.tp
        self.fn = int(np.count_nonzero(truth)) - self.tp
        self.tn = math.prod(self.image_shape) - ignored_count - self.tp - self.fp - self.fn

    @property
    def predicted(self) -> int:
        """Number of voxels of the prediction."""
        return self.tp + self.fp

    @property
    def true(self) -> int:
        """Number of voxels of the truth."""
        return self.tp + self.fn

    def size(self, voxels: int) -> float:
        """Size of a number of voxels: volume in mL, area in mm^2, or the number itself where the spacing is unknown."""
        return voxels * math.prod(self.spacing) / (1000 if self.size_unit == "mL" else 1)

    @property
    def size_unit(self) -> str:
        """Unit of ``size``."""
        return "px" if self.unit == "px" else "mL" if len(self.spacing) == 3 else "mm^2"

    @property
    def ones(self) -> tuple[float, ...]:
        """Spacing for distances in pixels."""
        return (1.0,) * len(self.spacing)

    def diagonal(self, spacing: Sequence[float]) -> float:
        """Diagonal of the whole image. No distance in the image is greater."""
        return math.hypot(*(step * length for step, length in zip(spacing, self.image_shape, strict=True)))

    @cached_property
    def borders(self) -> Distances:
        """Distances between the border voxels of both masks, in the unit of the spacing."""
        return border_distances(self.prediction, self.truth, self.spacing, self.ignored)

    @cached_property
    def borders_px(self) -> Distances:
        """Distances between the border voxels of both masks, in pixels."""
        same = self.spacing == self.ones
        return self.borders if same else border_distances(self.prediction, self.truth, self.ones, self.ignored)

    @cached_property
    def surfaces(self) -> Surfaces:
        """Distances between the surfaces at sub-voxel positions, with areas, in the unit of the spacing."""
        return surface_distances(self.prediction, self.truth, self.spacing)

    @cached_property
    def surfaces_px(self) -> Surfaces:
        """Distances between the surfaces at sub-voxel positions, with areas, in pixels."""
        same = self.spacing == self.ones
        return self.surfaces if same else surface_distances(self.prediction, self.truth, self.ones)

    @cached_property
    def lesions(self) -> Detection:
        """Matched and unmatched lesions."""
        return detect(self.prediction, self.truth)

    def whole(self) -> tuple[Mask, Mask]:
        """Both masks with the shape of the whole image."""
        box = tuple(slice(start, start + length) for start, length in zip(self.origin, self.truth.shape, strict=True))
        images = []
        for mask in (self.prediction, self.truth):
            image = np.zeros(self.image_shape, dtype=bool)
            image[box] = mask
            images.append(image)
        return images[0], images[1]


class LabelMapPair:
    """Predicted and true label map of one case.

    A volume with a single slice is treated as a 2D image, because its third axis has no distances.

    Args:
        prediction: Label map of two or three dimensions.
        truth: Label map of the same shape.
        spacing: Size of a voxel along each axis.
        ignore: Label of voxels that were not annotated.
        unit: Unit of the spacing: ``mm``, or ``px`` where it is unknown.

    Raises:
        ValueError: If shapes or spacing do not fit.

    Examples:
        >>> truth = np.array([[1, 1, 2, 3]])
        >>> pair = LabelMapPair(np.array([[1, 2, 2, 2]]), truth, (1, 1), ignore=3).pair([1, 2])
        >>> pair.tp, pair.fp, pair.fn, pair.tn
        (3, 0, 0, 0)
    """

    def __init__(
        self,
        prediction: LabelMap,
        truth: LabelMap,
        spacing: Sequence[float],
        *,
        ignore: int | None = None,
        unit: str = "mm",
    ) -> None:
        """Check shapes and spacing, and crop both label maps."""
        if prediction.shape != truth.shape:
            raise ValueError(f"prediction has shape {prediction.shape}, truth {truth.shape}")
        if truth.ndim not in (2, 3) or len(spacing) != truth.ndim:
            raise ValueError(
                f"label maps have two or three dimensions and one spacing for each, got shape {truth.shape} and "
                f"spacing {tuple(spacing)}"
            )
        if truth.ndim == 3 and 1 in truth.shape:
            axis = truth.shape.index(1)
            prediction, truth = prediction.squeeze(axis), truth.squeeze(axis)
            spacing = [step for index, step in enumerate(spacing) if index != axis]
        self.spacing = tuple(float(step) for step in spacing)
        if not all(0 < step < math.inf for step in self.spacing):
            raise ValueError(f"spacing must be positive, got {self.spacing}")
        self.image_shape, self.unit = truth.shape, unit
        self._box = bounding_box((prediction != 0) | (truth != 0), margin=0)
        self._prediction, self._truth = prediction[self._box], truth[self._box]
        self._ignored = self._truth == ignore if ignore is not None else None

    def pair(self, values: Sequence[int]) -> MaskPair:
        """The masks of one class, or of a union of classes.

        Args:
            values: Label values of the class or of the union, without 0.
        """
        counted = None if self._ignored is None else ~self._ignored
        prediction, truth = (_any_of(labels, values, counted) for labels in (self._prediction, self._truth))
        # The margin of one voxel shows which neighbours are ignored.
        box = bounding_box(prediction | truth, margin=0 if self._ignored is None else 1)
        return MaskPair(
            np.ascontiguousarray(prediction[box]),
            np.ascontiguousarray(truth[box]),
            self.spacing,
            ignored=None if self._ignored is None else self._ignored[box],
            ignored_count=0 if self._ignored is None else int(np.count_nonzero(self._ignored)),
            image_shape=self.image_shape,
            origin=[outer.start + inner.start for outer, inner in zip(self._box, box, strict=True)],
            unit=self.unit,
        )


def bounding_box(mask: Mask, *, margin: int) -> Box:
    """Smallest box around all True voxels, with a margin that ends at the mask's edges; empty if no voxel is True."""
    box: list[slice] = []
    for axis, length in enumerate(mask.shape):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        occupied = np.flatnonzero(mask.any(axis=others))
        if not len(occupied):
            return (slice(0, 0),) * mask.ndim
        start, stop = int(occupied[0]), int(occupied[-1]) + 1
        mask = mask[(slice(None),) * axis + (slice(start, stop),)]
        box.append(slice(max(0, start - margin), min(length, stop + margin)))
    return tuple(box)


def _any_of(labels: LabelMap, values: Sequence[int], counted: Mask | None) -> Mask:
    mask = labels == values[0]
    for value in values[1:]:
        mask |= labels == value
    return mask if counted is None else mask & counted
