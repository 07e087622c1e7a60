r"""Active contour loss: a short border around a region that agrees with the truth.

$\mu \frac{1}{N} \sum_i \sqrt{|\nabla p(i)|^2 + \epsilon} + \lambda \frac{1}{N} \sum_i [p (1 - g)^2 + (1 - p) g^2]$ for
each foreground class or region, the mean over them. Chen et al., "Learning active contour models for medical image
segmentation", CVPR 2019, eqs. 5 to 7, with $c_1 = 1$ and $c_2 = 0$; means in place of sums, so that a weight means the
same for patches of any size.

The gradient is that of forward differences between neighbouring voxels, in 2D and in 3D. Where a neighbour is missing
or ignored, a voxel has no length. A slice that stands alone among ignored ones has the length that it has in its plane.
For a truth of 0 and 1 the second term is the share of soft false alarms and misses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812, its standard name
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from nnunet_tricks.training.criterion import Prediction
from nnunet_tricks.training.trainer import LossTrainer

EPSILON = 1e-8
"""Summand under the root, which has no finite slope at 0."""


class Length(Function):
    """The sum of the magnitudes of an image's gradient, for each image and channel.

    It goes channel by channel with the backward pass written out, so that only the image is kept for it.
    """

    @staticmethod
    def forward(ctx: Any, images: Tensor, annotated: Tensor | None) -> Tensor:
        """Sum the magnitudes of each image and channel.

        Args:
            ctx: Torch's context, which keeps tensors for the backward pass.
            images: (B, C, *spatial).
            annotated: (B, *spatial), true where a voxel counts; ``None`` where all do.

        Returns:
            (B, C).
        """
        ctx.save_for_backward(images, annotated)
        images, steps, counts = _known(images, annotated)
        lengths = [_magnitude(_differences(image, steps), counts).flatten(1).sum(1) for image in images.unbind(1)]
        return torch.stack(lengths, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of the images: a difference over its magnitude, added to one neighbour, taken from the other."""
        images, annotated = ctx.saved_tensors
        sides = tuple(slice(side) for side in images.shape)
        images, steps, counts = _known(images, annotated)
        slopes = torch.zeros_like(images)
        for c, image in enumerate(images.unbind(1)):
            differences = _differences(image, steps)
            magnitude = _magnitude(differences, counts)
            weight = gradient[:, c].view(-1, *[1] * (image.ndim - 1))
            share = weight / magnitude.clamp_min(EPSILON**0.5)
            share = share if counts is None else share * counts
            slope = slopes[:, c]
            for axis, difference in enumerate(differences, start=1):
                flow = difference * share
                slope[_core(image, axis)] += flow
                slope[_core(image)] -= flow
        return slopes[sides], None


def _core(image: Tensor, forward: int = 0) -> tuple[slice, ...]:
    """All voxels that have a next one along every axis; with ``forward`` the next ones of these along that axis."""
    return (slice(None), *(slice(1, None) if axis == forward else slice(-1) for axis in range(1, image.ndim)))


def _differences(image: Tensor, steps: list[Tensor] | None) -> list[Tensor]:
    """Forward differences of (B, *spatial) along each axis, where every axis has one; 0 where ``steps`` is false."""
    differences = [image[_core(image, axis)] - image[_core(image)] for axis in range(1, image.ndim)]
    if steps is None:
        return differences
    return [difference.mul_(step) for difference, step in zip(differences, steps, strict=True)]


def _known(images: Tensor, annotated: Tensor | None) -> tuple[Tensor, list[Tensor] | None, Tensor | None]:
    """Images to take differences of; for each axis, where a voxel and the next are annotated; and voxels that count.

    Images with un-annotated voxels get one more voxel along each axis, so that the last ones have a next one.
    """
    if annotated is None:
        return images, None, None
    spatial = annotated.ndim - 1
    images, annotated = (F.pad(tensor, (0, 1) * spatial) for tensor in (images, annotated))
    counts = annotated[_core(annotated)]
    steps = [counts & annotated[_core(annotated, axis)] for axis in range(1, annotated.ndim)]
    alone = torch.ones_like(counts)
    for axis, step in enumerate(steps, start=1):
        # A slice stands alone where none of its voxels has a neighbour in the next one or the one before.
        linked = step.any(dim=[other for other in range(1, step.ndim) if other != axis], keepdim=True)
        flat = ~(linked | F.pad(linked, [0, 0] * (step.ndim - 1 - axis) + [1, 0]).narrow(axis, 0, linked.shape[axis]))
        counts, alone = counts & (step | flat), alone & flat
    return images, steps, counts & ~alone


def _magnitude(differences: list[Tensor], counts: Tensor | None) -> Tensor:
    squared = differences[0].square()
    for difference in differences[1:]:
        squared.addcmul_(difference, difference)
    magnitude = squared.add_(EPSILON).sqrt_()
    return magnitude if counts is None else magnitude.mul_(counts)


@dataclass(frozen=True, kw_only=True)
class ActiveContour:
    """The length of the border and the disagreement inside and outside.

    Attributes:
        length: Weight of the border's length.
        region: Weight of the disagreement.
    """

    length: float
    region: float

    def __call__(self, prediction: Prediction) -> Tensor:
        """The loss, a scalar, at least 0."""
        probabilities = prediction.probabilities if prediction.regions else prediction.probabilities[:, 1:]
        length = Length.apply(probabilities, prediction.annotated)
        counts = prediction.counts()
        losses = self.length * length + self.region * (counts.fp + counts.fn)
        return losses.sum() / (prediction.voxels * losses.shape[1])


class nnUNetTrainerActiveContour(LossTrainer):
    """nnU-Net with the active contour loss in place of Dice + cross-entropy."""

    def make_loss(self) -> ActiveContour:
        """Length and region of the foreground."""
        settings = self.parameters["ActiveContour"]
        return ActiveContour(length=settings.length, region=settings.region)
