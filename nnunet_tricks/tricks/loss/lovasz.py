r"""Lovász loss: the Jaccard index itself, made convex.

The Jaccard index is a function of the set of wrong voxels. It has a convex extension to how wrong each voxel is: sort
the errors, largest first, and weigh each by how much the index falls when this voxel joins the wrong ones. Berman et
al., "The Lovász-softmax loss", CVPR 2018, algorithm 1 and eq. 8: errors are 1 - p where the class is and p where it is
not. With ``hinge`` they are $\max(0, 1 - m)$ of the margins m (eq. 6), here the log-odds of the class.

The mean goes over the foreground classes or regions of each image: processes of DDP could not share an order over
several images. A class that is absent from an image costs its largest error alone, its highest probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from nnunet_tricks.training.criterion import Prediction
from nnunet_tricks.training.soft_counts import class_truth
from nnunet_tricks.training.trainer import LossTrainer
from nnunet_tricks.tricks.loss.compound import Sum
from nnunet_tricks.tricks.loss.cross_entropy import cross_entropy


def lovasz_slopes(errors: Tensor, truth: Tensor) -> Tensor:
    """How much each error adds to the convex extension of one minus the Jaccard index.

    Args:
        errors: Error of each voxel, (..., N), float32 or float64, not negative.
        truth: Voxels of the class, (..., N), bool.

    Returns:
        (..., N). The sum of their products with the errors is the extension; for errors of 0 and 1 it is one minus the
        Jaccard index.

    Examples:
        >>> errors = torch.tensor([0.0, 1.0, 1.0, 0.0])
        >>> (errors * lovasz_slopes(errors, torch.tensor([True, True, False, False]))).sum()  # one of three overlaps
        tensor(0.6667)
    """
    # Floats that are not negative have the order of their bits, and integers are sorted several times as fast.
    bits = errors.contiguous().view(torch.int64 if errors.dtype == torch.float64 else torch.int32)
    order = bits.neg().argsort(-1)
    truth = truth.gather(-1, order)
    inside = truth.to(errors.dtype).cumsum(-1)
    whole = inside[..., -1:]
    outside = torch.arange(1, errors.shape[-1] + 1, device=errors.device, dtype=errors.dtype) - inside
    union = whole + outside
    # A voxel of the class shrinks the intersection, any other enlarges the union. As the difference of two indices this
    # would lose most digits in float32.
    others = ((whole - inside) / (union * (union - 1))).where(union > 1, 1)
    slopes = torch.where(truth, 1 / union, others)
    return torch.empty_like(slopes).scatter_(-1, order, slopes)


class Lovasz(Function):
    """The extension for each image and class, from scores; the order of the errors has no gradient.

    It goes class by class with the gradient written out, so that only one tensor of the scores' size is kept.
    """

    @staticmethod
    def forward(
        ctx: Any, scores: Tensor, target: Tensor, annotated: Tensor | None, regions: bool, hinge: bool
    ) -> Tensor:
        """Sort and sum the errors of each image and class.

        Args:
            ctx: Torch's context, which keeps tensors for the backward pass.
            scores: Probabilities, or margins for ``hinge``, (B, C, *spatial).
            target: (B, 1, *spatial) class indices, or (B, C or more, *spatial) regions.
            annotated: (B, *spatial), true where a voxel counts; ``None`` where all do.
            regions: Whether the target holds regions; of a label map the first class, background, is left out.
            hinge: Whether the errors are those of margins.

        Returns:
            (B, C), or (B, C - 1) without background.
        """
        first = 0 if regions else 1
        slopes = torch.zeros_like(scores)
        losses = scores.new_empty(len(scores), scores.shape[1] - first)
        for c in range(first, scores.shape[1]):
            truths = class_truth(target, annotated, c, regions)
            # Image by image: torch's radix sort takes a single row, and indices of all images would need much memory.
            for image, truth in enumerate(truths):
                score = scores[image, c]
                towards = 1 - 2 * truth.to(scores.dtype)  # a higher score makes a voxel of the class less wrong
                errors = (towards * score).add_(1 if hinge else truth).clamp_min_(0)
                if hinge:
                    towards.mul_(errors > 0)
                if annotated is not None:
                    errors.mul_(annotated[image])
                    towards.mul_(annotated[image])
                slope = lovasz_slopes(errors.flatten(), truth.flatten()).view_as(errors)
                losses[image, c - first] = (slope * errors).sum()
                slopes[image, c] = slope.mul_(towards)
        ctx.save_for_backward(slopes)
        ctx.first = first
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of the scores."""
        (slopes,) = ctx.saved_tensors
        padded = torch.cat([gradient.new_zeros(len(gradient), ctx.first), gradient], 1)
        return slopes * padded.view(*padded.shape, *[1] * (slopes.ndim - 2)), None, None, None, None


@dataclass(frozen=True, kw_only=True)
class LovaszLoss:
    """Mean of the extension over foreground classes or regions.

    Attributes:
        hinge: Whether errors are those of margins and not of probabilities.
        weights: Weight of each class, with a mean of 1; ``None`` weighs all alike.
    """

    hinge: bool
    weights: tuple[float, ...] | None = None

    def __call__(self, prediction: Prediction) -> Tensor:
        """The loss, a scalar."""
        scores = self._margins(prediction) if self.hinge else prediction.probabilities
        losses = Lovasz.apply(scores, prediction.target, prediction.annotated, prediction.regions, self.hinge)
        return (losses if self.weights is None else losses * losses.new_tensor(self.weights)).mean()

    def _margins(self, prediction: Prediction) -> Tensor:
        return prediction.logits if prediction.regions else log_odds(prediction.log_probabilities)


def log_odds(log_probabilities: Tensor) -> Tensor:
    """log(p / (1 - p)) of each class; of two classes, the difference of their logits.

    Args:
        log_probabilities: (B, C, *spatial), of classes that exclude each other.

    Returns:
        (B, C, *spatial).

    Examples:
        >>> log_odds(torch.tensor([[0.1, 0.9]]).log())
        tensor([[-2.1972,  2.1972]])
    """
    # Next to p = 1, 1 - p has no digits left; there it is the sum of the others. Only one class has p above 1/2.
    likeliest = log_probabilities.argmax(1, keepdim=True)
    is_likeliest = torch.zeros_like(log_probabilities, dtype=torch.bool).scatter_(1, likeliest, True)
    of_the_others = log_probabilities.masked_fill(is_likeliest, -torch.inf).logsumexp(1, keepdim=True)
    rest = torch.log1p(-log_probabilities.clamp_max(-0.5).exp())
    return log_probabilities - torch.where(is_likeliest, of_the_others, rest)


class nnUNetTrainerLovasz(LossTrainer):
    """nnU-Net with the Lovász loss in place of Dice + cross-entropy."""

    def make_loss(self) -> LovaszLoss:
        """The Lovász extension of Jaccard."""
        settings = self.parameters["Lovasz"]
        weights = self.overlap_weights(settings.cb)
        return LovaszLoss(hinge=settings.hinge, weights=weights)


class nnUNetTrainerLovaszCE(LossTrainer):
    """nnU-Net with the Lovász loss in place of its Dice term."""

    def make_loss(self) -> Sum:
        """The Lovász extension of Jaccard and nnU-Net's cross-entropy."""
        settings = self.parameters["LovaszCE"]
        weights = self.overlap_weights(settings.cb)
        return Sum((cross_entropy, LovaszLoss(hinge=settings.hinge, weights=weights)))
