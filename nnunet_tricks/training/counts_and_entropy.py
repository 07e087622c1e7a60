"""Soft counts and cross-entropy of a label map in one pass, for losses that weigh voxels or merge classes.

Both come from one softmax: the cross-entropy of a voxel is the logarithm of one probability. The gradient is written
out. So weights, and classes that are part of the background, cost no more than nnU-Net's loss without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

Lacking = Sequence[Sequence[int]]
"""For each sample of a batch the channels of the classes or regions that its case is not annotated for."""


class CountsAndEntropy(Function):
    r"""$\sum w p g$, $\sum w p$ and $\sum w g$ of each image and foreground class, and $-\sum w \log p_y$ of all.

    With a, b and e the gradients of the first two and the last, and y the label of a voxel, $\partial z_c = w (p_c (e +
    b_c - m) + [c = y] (a_y p_y - e))$ with $m = a_y p_y + \sum_k b_k p_k$. For classes that are merged into background,
    p is that of the sum, and each has its share of the gradient.
    """

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, target: Tensor, counting: Tensor | None, lacking: Lacking
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Count.

        Args:
            ctx: Context of the backward pass.
            logits: (B, C, *spatial), at least float32.
            target: (B, 1, *spatial) class indices. Others must not count.
            counting: How much each voxel counts, (B, *spatial); ``None`` where all count alike.
            lacking: Channels of each sample that are part of its background; no voxel has such a label. Empty for none.

        Returns:
            The counts, each (B, C - 1), and the sum of cross-entropies.
        """
        classes = logits.shape[1]
        p = torch.softmax(logits, 1)
        for sample, channels in enumerate(lacking):
            for channel in channels:
                p[sample, 0] += p[sample, channel]
        labels = target.long()
        if counting is not None:
            labels = labels.masked_fill_(labels >= classes, 0)
        right = p.gather(1, labels)[:, 0]
        losses = right.clamp_min(torch.finfo(p.dtype).tiny).log_().neg_()
        counted = right if counting is None else right * counting
        if counting is not None:
            losses.mul_(counting)
        sums = [p.new_zeros(len(p), classes - 1) for _ in range(3)]
        for c in range(1, classes):
            is_class = labels[:, 0] == c
            sums[0][:, c - 1] = _sum(is_class * counted)
            sums[1][:, c - 1] = _sum(p[:, c] if counting is None else p[:, c] * counting)
            sums[2][:, c - 1] = _sum(is_class if counting is None else is_class * counting)
        for sample, channels in enumerate(lacking):
            for channel in channels:
                sums[1][sample, channel - 1] = 0
        ctx.save_for_backward(p, labels, right, counting)
        ctx.lacking = lacking
        overlap, predicted, truth = sums
        ctx.mark_non_differentiable(truth)
        return overlap, predicted, truth, losses.sum()

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, of_overlap: Tensor, of_predicted: Tensor, _: Tensor, of_entropy: Tensor
    ) -> tuple[Tensor, None, None, None]:
        """The gradient of the logits."""
        p, labels, right, counting = ctx.saved_tensors
        shape = (-1, *[1] * (p.ndim - 2))
        of_predicted = of_predicted.clone()
        for sample, channels in enumerate(ctx.lacking):
            for channel in channels:
                of_predicted[sample, channel - 1] = 0
        slopes = torch.cat([torch.zeros_like(of_overlap[:, :1]), of_overlap], 1)
        # What is at the right class: a_y p_y.
        right = right * slopes.gather(1, labels.flatten(1)).view_as(right)
        mean = right.clone()
        for c in range(1, p.shape[1]):
            mean.addcmul_(p[:, c], of_predicted[:, c - 1].view(shape))
        rest = of_entropy - mean
        at_label = right.sub_(of_entropy)
        gradient = torch.empty_like(p)
        torch.mul(p[:, 0], rest, out=gradient[:, 0])
        for c in range(1, p.shape[1]):
            torch.mul(p[:, c], rest + of_predicted[:, c - 1].view(shape), out=gradient[:, c])
        for c in range(p.shape[1]):
            gradient[:, c].addcmul_(at_label, (labels[:, 0] == c).to(p.dtype))
        if counting is not None:
            gradient.mul_(counting[:, None])
        for sample, channels in enumerate(ctx.lacking):
            together = gradient[sample, 0].clone()
            whole = p[sample, 0].clamp_min(torch.finfo(p.dtype).tiny)
            for channel in channels:
                share = torch.div(p[sample, channel], whole).mul_(together)
                gradient[sample, channel] = share
                gradient[sample, 0] -= share
        return gradient, None, None, None


def _sum(image: Tensor) -> Tensor:
    return image.flatten(1).sum(1)
