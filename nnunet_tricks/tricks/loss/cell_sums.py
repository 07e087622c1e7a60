"""What losses on the cells of objects share: soft counts of each cell, and the mean of a loss over cells.

A cell is the part of an image that is nearest to an object (``targets/cells.py``). A bin is a cell's part in or out of
the truth: bin 2 k holds what is outside of the truth in cell k, bin 2 k + 1 what is inside. Bins 0 and 1 hold what is
in no cell, the last bin what nobody annotated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from nnunet_tricks.training.criterion import Counts, Prediction
from nnunet_tricks.training.soft_counts import class_truth


class BinSums(Function):
    r"""$\sum p$ over the voxels of each bin, and $\sum p \bar p$ where $\bar p$ is p without a gradient.

    The gradient of a voxel is what its bin's sums have, through softmax or sigmoid.
    """

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, probabilities: Tensor, bins: Tensor, count: int, regions: bool, squared: bool
    ) -> tuple[Tensor, Tensor]:
        """Sum.

        Args:
            ctx: Context of the backward pass.
            logits: (B, C, *spatial), only to hang the gradient on.
            probabilities: Softmax of them or, for regions, sigmoid; no gradient is taken from it.
            bins: Bin of each voxel, (B, F, *spatial), for the last F channels.
            count: Number of bins.
            regions: Whether the channels are regions.
            squared: Whether the second sum is wanted.

        Returns:
            Two (B, F, bins); the second is empty where it is not wanted.
        """
        ctx.save_for_backward(probabilities, bins)
        ctx.regions, ctx.squared = regions, squared
        images = [probabilities[:, channel - bins.shape[1]] for channel in range(bins.shape[1])]
        sums = torch.stack([_sums(image, bins[:, c], count) for c, image in enumerate(images)], 1)
        if not squared:
            return sums, sums.new_empty(0)
        return sums, torch.stack([_sums(image * image, bins[:, c], count) for c, image in enumerate(images)], 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_sums: Tensor, of_squares: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of the logits."""
        probabilities, bins = ctx.saved_tensors
        gradient = torch.empty_like(probabilities)
        background = probabilities.shape[1] - bins.shape[1]
        gradient[:, :background] = 0
        mean = torch.zeros_like(probabilities[:, 0])
        for c in range(bins.shape[1]):
            p, slope = probabilities[:, background + c], values_of(of_sums[:, c], bins[:, c])
            if ctx.squared:
                slope.addcmul_(values_of(of_squares[:, c], bins[:, c]), p)
            if ctx.regions:
                torch.mul(slope.mul_(p), 1 - p, out=gradient[:, c])
            else:
                gradient[:, background + c] = slope.mul_(p)
                mean += slope
        if not ctx.regions:
            gradient.addcmul_(probabilities, mean[:, None], value=-1)
        return gradient, None, None, None, None, None


def _sums(image: Tensor, bins: Tensor, count: int) -> Tensor:
    """Sums of an image (B, *spatial) over the voxels of each bin, (B, bins)."""
    # Row by row first: one by one, values lose their digits in a float32 sum of millions.
    rows = image.flatten(2)
    return rows.new_zeros(*rows.shape[:2], count).scatter_add(2, bins.flatten(2), rows).sum(1)


def values_of(table: Tensor, bins: Tensor) -> Tensor:
    """The value of each voxel's bin: a table (B, bins) as an image (B, *spatial)."""
    return table.gather(1, bins.flatten(1)).view(bins.shape)


@dataclass(frozen=True)
class Partition:
    """An image cut into cells, for each foreground class or region.

    Attributes:
        bins: Bin of each voxel, (B, F, *spatial).
        probability: Sums of probability over bins, (B, F, bins).
        squares: Sums of p times p without a gradient, or empty.
        voxels: Numbers of voxels in bins, (B, F, bins).
    """

    bins: Tensor
    probability: Tensor
    squares: Tensor
    voxels: Tensor

    @classmethod
    def of(cls, prediction: Prediction, cells: Tensor, *, squared: bool = False) -> Partition:
        """Count in one pass over the image.

        Args:
            prediction: Logits beside their truth.
            cells: Numbers of cells from 1, (B, foreground classes or regions, *spatial); others are no cells.
            squared: Whether ``squares`` are wanted.
        """
        count = 2 * int(cells.max().clamp_min(0)) + 3
        bins = cells.clamp_min(0).mul_(2).long()
        offset = prediction.logits.shape[1] - bins.shape[1]
        for channel in range(bins.shape[1]):
            bins[:, channel] += class_truth(prediction.target, None, offset + channel, prediction.regions)
        if prediction.annotated is not None:
            bins.masked_fill_(~prediction.annotated[:, None], count - 1)
        voxels = torch.stack([_counted(image, count) for image in bins.flatten(0, 1)])
        probability, squares = BinSums.apply(
            prediction.logits, prediction.probabilities.detach(), bins, count, prediction.regions, squared
        )
        return cls(bins, probability, squares, voxels.view(*bins.shape[:2], count).to(prediction.logits.dtype))

    @property
    def whole(self) -> Counts:
        """Soft counts of the annotated voxels, (B, F)."""
        inside = self.probability[..., 1:-1:2].sum(-1)
        return Counts(inside, inside + self.probability[..., :-1:2].sum(-1), self.voxels[..., 1:-1:2].sum(-1))

    @property
    def cells(self) -> Counts:
        """Soft counts of each cell, (B, F, cells)."""
        inside = self.probability[..., 3:-1:2]
        return Counts(inside, inside + self.probability[..., 2:-1:2], self.voxels[..., 3:-1:2])

    @property
    def sizes(self) -> Tensor:
        """Annotated voxels of each cell, (B, F, cells); 0 where there is no cell of that number."""
        return self.voxels[..., 2:-1:2] + self.voxels[..., 3:-1:2]

    def mean(self, costs: Tensor, losses: Tensor) -> Tensor:
        """Mean cost of the cells and mean loss of their voxels: over cells, then classes that have some, then images.

        An image without any cell is one cell that costs nothing. One without any annotated voxel does not count.

        Args:
            costs: Cost of each cell, (B, F, cells).
            losses: Losses of the voxels for each decision, (B, D, *spatial); see ``Prediction.decisions``.

        Returns:
            A scalar.
        """
        sizes = self.sizes
        exists = (sizes > 0).to(sizes.dtype)
        annotated = self.voxels[:, :1, :-1].sum(-1, keepdim=True)
        # The weight of each cell: 1 is shared by classes, and what each gets by its cells.
        has_cells = (exists.sum(-1, keepdim=True) > 0).to(sizes.dtype)
        classes = has_cells.sum(1, keepdim=True)
        shares = exists / exists.sum(-1, keepdim=True).clamp_min(1) / classes.clamp_min(1)
        images = (annotated > 0).sum().clamp_min(1)
        of_voxels = (shares / sizes.clamp_min(1)).repeat_interleave(2, -1)
        without = (classes == 0) / (annotated.clamp_min(1) * sizes.shape[1])
        table = torch.cat([torch.zeros_like(annotated).expand(*sizes.shape[:2], 2), of_voxels], -1) + without
        table = torch.nn.functional.pad(table, (0, 1)) / images
        weights = [values_of(table[:, c], self.bins[:, c]) for c in range(table.shape[1])]
        if losses.shape[1] == 1:
            for more in weights[1:]:
                weights[0] += more
            voxels = (losses[:, 0] * weights[0]).sum()
        else:
            voxels = torch.stack([(losses[:, c] * weight).sum() for c, weight in enumerate(weights)]).sum()
        return (costs * shares).sum() / images + voxels


def _counted(bins: Tensor, count: int) -> Tensor:
    return torch.bincount(bins.flatten(), minlength=count)
