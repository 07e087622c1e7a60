r"""Blob loss: each object must be found, however small it is beside the others.

$\alpha L(p, g) + \beta E_k[L_k]$, where L is nnU-Net's Dice and cross-entropy. $L_k$ is the same on an image from which
all other objects of the class are cut out: the object k and the background. The mean goes over the objects of an image
and class, then over images and classes that have some. Kofler et al., "blob loss: instance imbalance aware loss
functions for semantic segmentation", IPMI 2023, with alpha 2 and beta 1.

Connected voxels of one class are an object, or an instance where the raw data set has ``instancesTr``. All $L_k$ come
from one pass: the parts of an object and of the background in Dice and cross-entropy are summed by object number.
Objects are distinguished at full size; lower levels of deep supervision have the first term alone.

Where some voxels are not annotated, a slice that stands alone is an image of its own for the second term, with its own
objects and background (``targets/pieces.py``). Parts that may be connected through voxels that nobody annotated are one
object.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812, its standard name
from torch import Tensor

from nnunet_tricks.training.criterion import Counts, Prediction
from nnunet_tricks.training.planned import Planned
from nnunet_tricks.tricks.loss.cross_entropy import cross_entropy
from nnunet_tricks.tricks.loss.dice import dice_score, nnunet_dice
from nnunet_tricks.tricks.targets.objects import objects
from nnunet_tricks.tricks.targets.pieces import MapOfKinds
from nnunet_tricks.tricks.targets.trainer import MappedLossTrainer


@dataclass(frozen=True, kw_only=True)
class BlobLoss:
    """nnU-Net's loss on the whole and on each object.

    Attributes:
        alpha: Weight of the whole.
        beta: Weight of the objects.
        batch: Whether the batch counts as one image for Dice of the whole.
    """

    with_logs: ClassVar[bool] = True

    alpha: float
    beta: float
    batch: bool

    def __call__(self, prediction: Prediction) -> Tensor:
        """The loss, a scalar."""
        dice = nnunet_dice(prediction, batch=self.batch)
        if prediction.maps is None:
            return self.alpha * (cross_entropy(prediction) + dice)
        # The same cross-entropy, of the image that the term of the objects needs anyway.
        whole = prediction.mean(prediction.decision_cross_entropy) + dice
        return self.alpha * whole + self.beta * blob_term(prediction, prediction.maps)


def blob_term(prediction: Prediction, numbers: Tensor) -> Tensor:
    """The mean of nnU-Net's loss on each object alone.

    Args:
        prediction: Logits beside their truth.
        numbers: Numbers of objects from 1, (B, foreground classes or regions, *spatial). 0 outside of objects, or below
            0 in parts that are images of their own, see ``map_of_annotated``.

    Returns:
        A scalar; 0 where there is no object.
    """
    probabilities = prediction.probabilities[:, -numbers.shape[1] :]
    if prediction.annotated is None:
        annotated = torch.ones_like(numbers[:, 0])
    else:
        annotated = prediction.annotated.to(probabilities.dtype)
        probabilities = probabilities * annotated[:, None]
    most, in_pieces = int(numbers.max()), bool(numbers.min() < 0)
    terms = []
    for channel in range(numbers.shape[1]):
        number = numbers[:, channel].long().clamp_min(0)
        losses = prediction.decision_cross_entropy[:, channel if prediction.regions else 0]
        probability, cross, voxels = (
            _by_number(image, number, most) for image in (probabilities[:, channel], losses, annotated)
        )
        # Sums of the background, which all objects share, and of each object alone, (B, most).
        (outside, probability), (outside_cross, cross), (rest, size) = (
            (sums[:, :1], sums[:, 1:]) for sums in (probability, cross, voxels)
        )
        base = None
        if in_pieces:
            base = _base(size)
            piece = (-numbers[:, channel]).long().clamp_min(0)
            outside, outside_cross, rest = (
                _background(image, number, piece, most).gather(1, base)
                for image in (probabilities[:, channel], losses, annotated)
            )
        dice = dice_score(Counts(probability, probability + outside, size))
        each = (cross + outside_cross) / (size + rest).clamp_min(1) - dice
        exists = size > 0
        total, count = each * exists, exists.to(each.dtype)
        if base is None:
            total, count = total.sum(1), count.sum(1)
        else:
            total, count = _by_piece(total, base), _by_piece(count, base)
        has_some = count > 0
        terms.append(total[has_some] / count[has_some])
    means = torch.cat(terms)
    return means.sum() / max(len(means), 1)


def _by_number(image: Tensor, numbers: Tensor, most: int) -> Tensor:
    """Sums of an image (B, *spatial) over the voxels of each number, (B, most + 1)."""
    sums = image.new_zeros(len(image), most + 1).scatter_add(1, numbers.flatten(1), image.flatten(1))
    # scatter_add goes voxel by voxel: in float32 it loses a percent of a background of millions. sum adds in a tree.
    background = torch.where(numbers > 0, 0, image).flatten(1).sum(1, keepdim=True)
    return torch.cat([background, sums[:, 1:]], 1)


def _background(image: Tensor, numbers: Tensor, pieces: Tensor, most: int) -> Tensor:
    """Sums of an image (B, *spatial) over the background of each piece by its number, (B, most + 1)."""
    # Row by row first, for the digits: see _by_number.
    rows = torch.where(numbers > 0, 0, image).flatten(2)
    # A last piece without objects has a number above all of theirs; nobody reads its sum.
    sums = rows.new_zeros(*rows.shape[:2], most + 2)
    return sums.scatter_add(2, pieces.flatten(2).clamp_max(most + 1), rows).sum(1)


def _base(size: Tensor) -> Tensor:
    """The number of each object's piece: the last number before the object's that no object has; (B, objects) both."""
    numbers = torch.arange(size.shape[1], device=size.device)
    return torch.where(F.pad(size, (1, 0))[:, :-1] > 0, 0, numbers).cummax(1).values


def _by_piece(image: Tensor, base: Tensor) -> Tensor:
    """Sums over the objects of each piece, placed at the number of the piece; (B, objects) both."""
    return torch.zeros_like(image).scatter_add(1, base, image)


class nnUNetTrainerBlob(MappedLossTrainer):
    """nnU-Net with blob loss over its Dice + cross-entropy."""

    instances = True
    numbers = True

    @property
    def map_of_kinds(self) -> MapOfKinds:
        """A function that numbers the objects."""
        return objects

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse weights that leave nothing to train."""
        super().check_planned(planned)
        settings = cls.parameters["Blob"]
        if settings.alpha == settings.beta == 0:
            raise ValueError("alpha and beta of Blob must not both be 0: it would be 0 whatever is predicted")

    def make_loss(self) -> BlobLoss:
        """nnU-Net's loss on the whole and on each object."""
        settings = self.parameters["Blob"]
        return BlobLoss(alpha=settings.alpha, beta=settings.beta, batch=self.batch_dice)
