r"""Centre-line Dice: the skeleton of each shape should lie within the other.

$(1 - \alpha) L_{Dice} + \alpha (1 - \frac{2 T_p T_s}{T_p + T_s})$ with topology precision $T_p = \frac{\sum S(p) g +
1}{\sum S(p) + 1}$ and sensitivity $T_s = \frac{\sum S(g) p + 1}{\sum S(g) + 1}$ of each foreground class. S is the soft
skeleton: the parts that an opening takes away from an image, collected over ``iterations`` erosions. Shit et al.,
"clDice - a novel topology-preserving loss function for tubular structure segmentation", CVPR 2021, section 3.

``iterations`` should be the radius of the widest tube in voxels. Ignored voxels are no neighbours, like those outside
of the image: a slice that stands alone has the skeleton of its plane. Skeletons are computed again in the backward
pass, one after the other; autograd would keep dozens of images for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812, its standard name
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from nnunet_tricks.training.criterion import Prediction
from nnunet_tricks.training.trainer import LossTrainer
from nnunet_tricks.tricks.loss.compound import Sum
from nnunet_tricks.tricks.loss.cross_entropy import cross_entropy
from nnunet_tricks.tricks.loss.dice import dice_score

SMOOTH = 1.0


@dataclass(frozen=True, kw_only=True)
class ClDice:
    """Dice and centre-line Dice.

    Attributes:
        alpha: Share of centre-line Dice.
        iterations: Erosions of the soft skeleton.
        batch: Whether the batch counts as one image for Dice.
    """

    alpha: float
    iterations: int
    batch: bool

    def __call__(self, prediction: Prediction) -> Tensor:
        """The loss, a scalar in [0, 1]."""
        dice = dice_score(prediction.counts(batch=self.batch)).mean()
        return 1 - (1 - self.alpha) * dice - self.alpha * cl_dice(prediction, self.iterations).mean()


def cl_dice(prediction: Prediction, iterations: int) -> Tensor:
    """Centre-line Dice of each image and foreground class.

    Args:
        prediction: Logits beside their truth.
        iterations: Erosions of the soft skeleton.

    Returns:
        (B, foreground classes or regions), in [0, 1]; 1 where a class is absent and not predicted.
    """
    first = 0 if prediction.regions else 1
    p, g = prediction.probabilities[:, first:], prediction.one_hot()[:, first:]
    if prediction.annotated is not None:
        p = p * prediction.annotated[:, None]
    # Image by image and class by class: only one is held at a time, and it fits into a processor's cache.
    known = None if prediction.annotated is None else prediction.annotated.repeat_interleave(p.shape[1], 0)
    pairs = zip(p.flatten(0, 1).unbind(), g.flatten(0, 1).unbind(), strict=True)
    scores = [
        _recomputed(partial(_of_class, iterations=iterations, known=None if known is None else known[at]), *pair)
        for at, pair in enumerate(pairs)
    ]
    return torch.stack(scores).view(p.shape[:2])


def _of_class(p: Tensor, g: Tensor, *, iterations: int, known: Tensor | None) -> Tensor:
    precision = _share(soft_skeleton(p[None, None], iterations, known), g)
    sensitivity = _share(soft_skeleton(g[None, None], iterations, known), p)
    return 2 * precision * sensitivity / (precision + sensitivity)


def _share(skeleton: Tensor, shape: Tensor) -> Tensor:
    return ((skeleton * shape).sum() + SMOOTH) / (skeleton.sum() + SMOOTH)


def soft_skeleton(image: Tensor, iterations: int, known: Tensor | None = None) -> Tensor:
    """The ridges of an image, with the brightness that they have in it.

    Args:
        image: (B, C, *spatial) in [0, 1], two or three spatial axes.
        iterations: Number of erosions. Ridges of shapes up to about this radius in voxels are found.
        known: (*spatial), true where a voxel is a neighbour of others; ``None`` where all are.

    Returns:
        The same shape, in [0, 1]; 0 where a voxel is not known.

    Examples:
        >>> bar = torch.zeros(1, 1, 5, 7)
        >>> bar[..., 1:4, :] = 1
        >>> soft_skeleton(bar, 2)[0, 0, :, 3]
        tensor([0., 0., 1., 0., 0.])
    """
    known = None if known is None else known.to(image.dtype)
    image = image if known is None else image * known
    skeleton = torch.zeros_like(image)
    for _ in range(iterations + 1):
        image, skeleton = _thinner(image, skeleton, known)
    return skeleton


def _thinner(image: Tensor, skeleton: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor]:
    axes = range(2, image.ndim)
    # Erosion looks at the neighbours along each axis; dilation also at the corners. For it to be neutral, an unknown
    # voxel is 1 where the darkest neighbour counts, and 0, which it is already, where the brightest counts.
    eroded = -Highest.apply(-image if known is None else known - 1 - image, tuple(axes))
    eroded = eroded if known is None else eroded * known
    opened = eroded
    for axis in axes:
        opened = opened if known is None or axis == axes[0] else opened * known
        opened = Highest.apply(opened, (axis,))
    ridge = F.relu(image - opened)
    return eroded, skeleton + F.relu(ridge - skeleton * ridge)


def _recomputed(function: Callable[..., Any], *images: Tensor) -> Any:
    return checkpoint(function, *images, use_reentrant=False) if images[0].requires_grad else function(*images)


class Highest(Function):
    """The highest of each voxel and its two neighbours along some axes; torch's pooling of volumes takes far longer."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, axes: tuple[int, ...]) -> Tensor:
        """Compare each voxel with its neighbours.

        Args:
            ctx: Torch's context, which keeps tensors for the backward pass.
            image: Any shape.
            axes: Axes along which a voxel has neighbours.

        Returns:
            The same shape; voxels outside of the image do not count.
        """
        highest = image.clone()
        for own, neighbours in _shifts(image, axes):
            torch.maximum(highest[own], image[neighbours], out=highest[own])
        ctx.save_for_backward(image, highest)
        ctx.axes = axes
        return highest

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient goes to one voxel that is highest, and to the voxel itself before its neighbours."""
        image, highest = ctx.saved_tensors
        passed = gradient * (image == highest)
        rest = gradient - passed
        for own, neighbours in _shifts(image, ctx.axes):
            share = rest[own] * (image[neighbours] == highest[own])
            passed[neighbours] += share
            rest[own] -= share
        return passed, None


def _shifts(image: Tensor, axes: tuple[int, ...]) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """For each direction, the voxels that have a neighbour there, and those neighbours."""
    for axis in axes:
        whole = [slice(None)] * image.ndim
        first, last = ((*whole[:axis], side, *whole[axis + 1 :]) for side in (slice(1, None), slice(None, -1)))
        yield first, last
        yield last, first


class nnUNetTrainerClDice(LossTrainer):
    """nnU-Net with Dice and centre-line Dice in place of Dice + cross-entropy."""

    def make_loss(self) -> ClDice:
        """Dice and centre-line Dice."""
        return ClDice(**vars(self.parameters["ClDice"]), batch=self.batch_dice)


class nnUNetTrainerClDiceCE(LossTrainer):
    """nnU-Net with Dice and centre-line Dice in place of its Dice term."""

    def make_loss(self) -> Sum:
        """Dice, centre-line Dice and nnU-Net's cross-entropy."""
        return Sum((cross_entropy, ClDice(**vars(self.parameters["ClDiceCE"]), batch=self.batch_dice)))
