r"""Centre-line Dice: the skeleton of each shape should lie within the other.

$(1 - \alpha) L_{Dice} + \alpha (1 - \frac{2 T_p T_s}{T_p + T_s})$ with topology precision $T_p = \frac{\sum S(p) g +
1}{\sum S(p) + 1}$ and sensitivity $T_s = \frac{\sum S(g) p + 1}{\sum S(g) + 1}$ of each foreground class, and the soft
skeleton S: what an opening takes away from an image, collected over ``iterations`` erosions. Shit et al., "clDice - a
novel topology-preserving loss function for tubular structure segmentation", CVPR 2021, section 3.

``iterations`` should be the radius of the widest tube in voxels. What is ignored is empty in both. The steps of the
prediction's skeleton are made again in the backward pass: two images are held for each, where autograd would keep
dozens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812, its standard name
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from nnunet_tricks.criterion import Prediction
from nnunet_tricks.loss.compound import Sum
from nnunet_tricks.loss.cross_entropy import cross_entropy
from nnunet_tricks.loss.dice import dice_score
from nnunet_tricks.trainer import LossTrainer

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
        (B, foreground classes or regions), in [0, 1]; 1 where a class is neither there nor predicted.
    """
    first = 0 if prediction.regions else 1
    p, g = prediction.probabilities[:, first:], prediction.one_hot()[:, first:]
    if prediction.annotated is not None:
        p = p * prediction.annotated[:, None]
    thin_p = soft_skeleton(p, iterations)
    with torch.no_grad():
        thin_g = soft_skeleton(g, iterations)
    precision = _share(thin_p, g)
    sensitivity = _share(thin_g, p)
    return 2 * precision * sensitivity / (precision + sensitivity)


def _share(skeleton: Tensor, shape: Tensor) -> Tensor:
    return ((skeleton * shape).flatten(2).sum(2) + SMOOTH) / (skeleton.flatten(2).sum(2) + SMOOTH)


def soft_skeleton(image: Tensor, iterations: int) -> Tensor:
    """The ridges of an image in [0, 1], as bright as they are.

    Args:
        image: (B, C, *spatial), two or three axes.
        iterations: How many erosions are followed: ridges of shapes up to about this radius in voxels are found.

    Returns:
        The same shape, in [0, 1].

    Examples:
        >>> bar = torch.zeros(1, 1, 5, 7)
        >>> bar[..., 1:4, :] = 1
        >>> soft_skeleton(bar, 2)[0, 0, :, 3]
        tensor([0., 0., 1., 0., 0.])
    """
    skeleton = torch.zeros_like(image)
    for _ in range(iterations + 1):
        image, skeleton = _recomputed(_thinner, image, skeleton)
    return skeleton


def _thinner(image: Tensor, skeleton: Tensor) -> tuple[Tensor, Tensor]:
    eroded = _recomputed(_eroded, image)
    ridge = F.relu(image - _recomputed(_dilated, eroded))
    return eroded, skeleton + F.relu(ridge - skeleton * ridge)


def _recomputed(function: Callable[..., Any], *images: Tensor) -> Any:
    return checkpoint(function, *images, use_reentrant=False) if images[0].requires_grad else function(*images)


def _eroded(image: Tensor) -> Tensor:
    # The neighbours along each axis, without the corners.
    return reduce(torch.minimum, [-_highest_of_three(-image, axis) for axis in range(2, image.ndim)])


def _dilated(image: Tensor) -> Tensor:
    # Axis after axis, which takes the corners in.
    return reduce(_highest_of_three, range(2, image.ndim), image)


def _highest_of_three(image: Tensor, axis: int) -> Tensor:
    """Of each voxel and its two neighbours; several times as fast as torch's pooling of volumes."""
    sides = [0, 0] * (image.ndim - 1 - axis) + [1, 1]
    padded = F.pad(image, sides, value=-torch.inf)
    before, here, after = (padded.narrow(axis, start, image.shape[axis]) for start in range(3))
    return torch.maximum(torch.maximum(before, here), after)


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
