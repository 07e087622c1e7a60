"""Soft voxel counts straight from the logits.

Every overlap loss is a function of three sums per class. Going class by class with the gradient written out keeps one
tensor of the logits' size, the probabilities, where autograd would keep three.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


class SoftCounts(Function):
    r"""$\sum p g$, $\sum p$ (or $\sum p^2$) and $\sum g$ over space, for each image and class, and sums over a map m.

    Those are $\sum m p$, or of errors $\sum m (p - g)^2$. The gradient, with a, b and d those of the first two sums and
    of the mapped one, is $\partial p_c = a_c g_c + b_c + d_c m_c$, where squares have $2 b_c p_c$ and errors $2 d_c m_c
    (p_c - g_c)$; through softmax $\partial z_c = p_c (\partial p_c - \sum_k p_k \partial p_k)$, through sigmoid
    $\partial z_c = p_c (1 - p_c) \partial p_c$.
    """

    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        probabilities: Tensor,
        target: Tensor,
        annotated: Tensor | None,
        regions: bool,
        squared: bool,
        maps: Tensor | None,
        errors: bool,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Count.

        Args:
            ctx: Context of the backward pass.
            logits: (B, C, *spatial), only to hang the gradient on.
            probabilities: Softmax of them or, for regions, sigmoid; no gradient is taken from it.
            target: (B, 1, *spatial) class indices, or (B, C or more, *spatial) regions.
            annotated: (B, *spatial), true where a voxel counts, or how much it counts; ``None`` where all count alike.
            regions: Which of the two the target is.
            squared: Whether to sum squared probabilities.
            maps: (B, M, *spatial) for the last M channels; ``None`` where there are none.
            errors: Whether maps weigh squared errors and not probabilities.

        Returns:
            The first three sums, each (B, C), and the mapped one, (B, M).
        """
        ctx.save_for_backward(probabilities, target, annotated, maps)
        ctx.regions, ctx.squared, ctx.errors = regions, squared, errors
        mapped = [] if maps is None else list(maps.unbind(1))
        without_map = probabilities.shape[1] - len(mapped)
        mapped_sums = probabilities.new_empty(len(probabilities), len(mapped))
        sums = [probabilities.new_empty(probabilities.shape[:2]) for _ in range(3)]
        for c in range(probabilities.shape[1]):
            p, g = probabilities[:, c], _truth(target, annotated, c, regions).to(probabilities.dtype)
            sums[2][:, c] = _sum(g)
            if c >= without_map:
                map_ = mapped[c - without_map]
                weighed = (p - g).square_().mul_(map_) if errors else p * map_
                mapped_sums[:, c - without_map] = _sum(weighed if annotated is None else weighed.mul_(annotated))
            sums[0][:, c] = _sum(g.mul_(p))
            p = p * p if squared else p
            sums[1][:, c] = _sum(p if annotated is None else p * annotated)
        overlap, predicted, truth = sums
        ctx.mark_non_differentiable(truth)
        return overlap, predicted, truth, mapped_sums

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, of_overlap: Tensor, of_predicted: Tensor, _: Tensor, of_mapped: Tensor
    ) -> tuple[Tensor | None, ...]:
        """The gradient of the logits."""
        probabilities, target, annotated, maps = ctx.saved_tensors
        mapped = [] if maps is None else list(maps.unbind(1))
        without_map = probabilities.shape[1] - len(mapped)
        gradient = torch.empty_like(probabilities)
        mean = torch.zeros_like(probabilities[:, 0])
        shape = (-1, *[1] * (probabilities.ndim - 2))
        for c in range(probabilities.shape[1]):
            p, slope = probabilities[:, c], gradient[:, c]
            truth = _truth(target, annotated, c, ctx.regions)
            slope.copy_(truth).mul_(of_overlap[:, c].view(shape))
            share = of_predicted[:, c].view(shape)
            share = share * p * 2 if ctx.squared else share
            if c >= without_map:
                of_map = of_mapped[:, c - without_map].view(shape)
                weight = (p - truth.to(p.dtype)).mul_(2 * of_map) if ctx.errors else of_map
                share = share + weight * mapped[c - without_map]
            slope.add_(share if annotated is None else share * annotated)
            mean.addcmul_(slope, p)
        if ctx.regions:
            gradient.mul_(probabilities).mul_(1 - probabilities)
        else:
            gradient.sub_(mean[:, None]).mul_(probabilities)
        return gradient, None, None, None, None, None, None, None


def class_truth(target: Tensor, annotated: Tensor | None, channel: int, regions: bool) -> Tensor:
    """Where a class or region is, (B, *spatial), bool; nowhere where a voxel is ignored.

    Args:
        target: (B, 1, *spatial) class indices, or (B, C or more, *spatial) regions.
        annotated: (B, *spatial), true where a voxel counts; ``None`` where all do.
        channel: Number of the class or region.
        regions: Which of the two the target is.
    """
    if not regions:
        # The ignore label is no class, so ignored voxels equal none.
        return target[:, 0] == channel
    truth = target[:, channel].bool()
    return truth if annotated is None else truth & annotated


def _truth(target: Tensor, annotated: Tensor | None, channel: int, regions: bool) -> Tensor:
    """Where a class or region is, (B, *spatial), as much as each voxel counts."""
    if annotated is None or not annotated.is_floating_point():
        return class_truth(target, annotated, channel, regions)
    return annotated * class_truth(target, None, channel, regions)


def _sum(image: Tensor) -> Tensor:
    return image.flatten(1).sum(1)
