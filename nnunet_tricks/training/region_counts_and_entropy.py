"""Soft counts and cross-entropy of regions in one pass, for losses that weigh voxels or leave regions out.

Both come from one sigmoid, that of what is right: of the logit inside of a region, and of its opposite outside. The
gradient is written out. So weights cost no more than nnU-Net's loss without them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from nnunet_tricks.training.counts_and_entropy import Lacking


class RegionCountsAndEntropy(Function):
    r"""$\sum w p g$, $\sum w p$ and $\sum w g$ of each image and region, and $-\sum w \log q$ of all.

    q is the probability of what is right: p inside of a region and 1 - p outside. With a, b and e the gradients of the
    first two and the last, $\partial z = w (1 - q) (q (a g + b) + e (1 - 2 g))$.
    """

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, target: Tensor, counting: Tensor | None, lacking: Lacking
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Count.

        Args:
            ctx: Context of the backward pass.
            logits: (B, C, *spatial), at least float32.
            target: (B, at least C, *spatial); not 0 inside of the regions.
            counting: How much each voxel counts, (B, *spatial); ``None`` where all count alike.
            lacking: Channels of each sample that do not count: their counts are 0, and they have no gradient.

        Returns:
            The counts, each (B, C), and the sum of cross-entropies.
        """
        inside = target[:, : logits.shape[1]] != 0
        right = torch.where(inside, logits, -logits).sigmoid_()
        sums = [logits.new_zeros(logits.shape[:2]) for _ in range(3)]
        total = logits.new_zeros(())
        for c in range(logits.shape[1]):
            q, g = right[:, c], inside[:, c]
            p = torch.where(g, q, 1 - q)
            losses = q.clamp_min(torch.finfo(q.dtype).tiny).log_().neg_()
            if counting is not None:
                p.mul_(counting)
                losses.mul_(counting)
            of_images = _sum(losses)
            sums[0][:, c], sums[1][:, c] = _sum(p * g), _sum(p)
            sums[2][:, c] = _sum(g if counting is None else g * counting)
            for sample, channels in enumerate(lacking):
                if c in channels:
                    of_images[sample] = 0
            total += of_images.sum()
        _without(sums, lacking)
        ctx.save_for_backward(right, inside, counting)
        ctx.lacking = lacking
        overlap, predicted, truth = sums
        ctx.mark_non_differentiable(truth)
        return overlap, predicted, truth, total

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, of_overlap: Tensor, of_predicted: Tensor, _: Tensor, of_entropy: Tensor
    ) -> tuple[Tensor, None, None, None]:
        """The gradient of the logits."""
        right, inside, counting = ctx.saved_tensors
        shape = (-1, *[1] * (right.ndim - 2))
        gradient = torch.empty_like(right)
        for c in range(right.shape[1]):
            q, g = right[:, c], inside[:, c]
            a, b = of_overlap[:, c].view(shape), of_predicted[:, c].view(shape)
            slope = torch.where(g, a + b, b).mul_(q).add_(torch.where(g, -of_entropy, of_entropy))
            slope.addcmul_(slope, q, value=-1)
            if counting is not None:
                slope.mul_(counting)
            gradient[:, c] = slope
        for sample, channels in enumerate(ctx.lacking):
            for channel in channels:
                gradient[sample, channel] = 0
        return gradient, None, None, None


def _without(sums: list[Tensor], lacking: Lacking) -> None:
    for sample, channels in enumerate(lacking):
        for channel in channels:
            for of_images in sums:
                of_images[sample, channel] = 0


def _sum(image: Tensor) -> Tensor:
    return image.flatten(1).sum(1)
