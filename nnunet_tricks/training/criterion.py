"""From nnU-Net's logits and target to a loss.

A loss never sees nnU-Net's target layout. It is a function of a ``Prediction``, which hands out logits, voxel losses or
soft counts, in the same words for label maps and regions, with and without an ignore label. Each is made when first
asked for and then kept; the order of asking changes neither values nor cost. ``Criterion`` is the module that nnU-Net
calls; deep supervision wraps it as it wraps nnU-Net's own losses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import cached_property
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812, its standard name
from nnunetv2.utilities.ddp_allgather import AllGatherGrad
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from nnunet_tricks.training.counts_and_entropy import CountsAndEntropy, Lacking
from nnunet_tricks.training.region_counts_and_entropy import RegionCountsAndEntropy
from nnunet_tricks.training.soft_counts import SoftCounts

IGNORE_INDEX = -100
"""No class; torch's own value for voxels that cross-entropy leaves out."""

DecisionWeights = tuple[tuple[float, ...], ...]
"""A row for each decision (see ``Prediction.decisions``), in it a weight for each answer that can be right: one row of
C weights for a label map, a row (outside, inside) for each region."""


class Counts(NamedTuple):
    """Soft voxel counts, each (batch, classes), or (classes,) where the batch was summed.

    Attributes:
        tp: Probability on voxels of the class.
        predicted: Probability on all annotated voxels.
        truth: Number of voxels of the class.
    """

    tp: Tensor
    predicted: Tensor
    truth: Tensor

    @property
    def fp(self) -> Tensor:
        """Soft false positives."""
        return self.predicted - self.tp

    @property
    def fn(self) -> Tensor:
        """Soft false negatives."""
        return self.truth - self.tp


class Probabilities(Function):
    """The gradient of softmax or sigmoid for values that were computed without one."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, values: Tensor, regions: bool) -> Tensor:
        """Hang the gradient on the values.

        Args:
            ctx: Context of the backward pass.
            logits: (B, C, *spatial).
            values: Values of their softmax or, for regions, sigmoid.
            regions: Which of the two.
        """
        ctx.save_for_backward(values)
        ctx.regions = regions
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """The gradient of the logits."""
        (values,) = ctx.saved_tensors
        if ctx.regions:
            return torch.ops.aten.sigmoid_backward(gradient, values), None, None
        return torch.ops.aten._softmax_backward_data(gradient, values, 1, values.dtype), None, None


class Prediction:
    """Logits beside their truth: what a loss can ask for.

    Attributes:
        logits: Logits (B, C, *spatial), at least float32.
        target: nnU-Net's target, as it came.
        regions: Whether the C channels are overlapping regions (sigmoid) and not classes of a label map (softmax).
        ddp: Whether this process is one of several that share the batch.
        maps: Maps (B, foreground classes or regions, or decisions, *spatial) that the loader made of the truth;
            ``None`` where there are none, as at the lower levels of deep supervision.
        progress: Share of the training that is done.
        with_logs: Whether the loss needs log-probabilities beside probabilities, which then are their exponentials.
        weights: How much each voxel counts by the data set's weight maps, (B, *spatial); ``None`` without any.
    """

    def __init__(
        self,
        logits: Tensor,
        target: Tensor,
        *,
        regions: bool = False,
        ignore_label: int | None = None,
        ddp: bool = False,
        maps: Tensor | None = None,
        progress: float = 0,
        with_logs: bool = False,
        weights: Tensor | None = None,
    ) -> None:
        """Prepare one level of what nnU-Net hands to its loss.

        Args:
            logits: (B, C, *spatial), any float type.
            target: A label map (B, 1, *spatial), or regions (B, C, *spatial), followed by a channel that is true where
                voxels are ignored if there is an ignore label.
            regions: Whether ``target`` holds regions.
            ignore_label: Value of ignored voxels in a label map; for regions only whether it is ``None`` matters.
            ddp: Whether several processes share the batch.
            maps: Maps that the loader made of the truth, for each foreground class or region, or for each decision.
            progress: The share of the training that is done, from 0.
            with_logs: Whether the loss needs both probabilities and log-probabilities. This only saves time:
                probabilities of a label map are then made of the others.
            weights: How much each voxel counts, (B, *spatial), at least 0.
        """
        self.with_logs = with_logs
        self.weights = weights
        self.maps = maps
        self.progress = progress
        self.logits = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
        self.regions = regions
        self.ddp = ddp
        self.target = target
        self._ignore_label = ignore_label

    @cached_property
    def annotated(self) -> Tensor | None:
        """True where a voxel counts, (B, *spatial), or ``None`` where all of them do."""
        if self._ignore_label is None:
            return None
        return ~self.target[:, -1].bool() if self.regions else self.target[:, 0] != self._ignore_label

    @cached_property
    def labels(self) -> Tensor:
        """Class indices of a label map, (B, *spatial), int64; ignored voxels hold torch's ``IGNORE_INDEX``."""
        labels = self.target[:, 0].long()
        return labels if self.annotated is None else labels.masked_fill(~self.annotated, IGNORE_INDEX)

    @cached_property
    def log_probabilities(self) -> Tensor:
        """Log-softmax of a label map's logits, (B, C, *spatial)."""
        return F.log_softmax(self.logits, dim=1)

    @cached_property
    def probabilities(self) -> Tensor:
        """Softmax or, for regions, sigmoid of the logits, (B, C, *spatial)."""
        return Probabilities.apply(self.logits, self._values, self.regions)

    def one_hot(self) -> Tensor:
        """The truth as one channel per class or region in the logits' type; nothing is set where a voxel is ignored.

        Returns:
            (B, C, *spatial).
        """
        if self.regions:
            truth = self.target[:, : self.logits.shape[1]].bool()
            return (truth if self.annotated is None else truth & self.annotated[:, None]).to(self.logits.dtype)
        classes = torch.arange(self.logits.shape[1], device=self.target.device, dtype=self.target.dtype)
        # The ignore label is no class, so ignored voxels equal none.
        return (self.target == classes.view(-1, *[1] * (self.logits.ndim - 2))).to(self.logits.dtype)

    @cached_property
    def weights_of_annotated(self) -> Tensor | None:
        """The weights, 0 where a voxel is ignored; ``None`` without any."""
        if self.weights is None or self.annotated is None:
            return self.weights
        return self.weights * self.annotated

    def counts(self, *, background: bool = False, batch: bool = False, squared: bool = False) -> Counts:
        """Soft counts of each class or region over the annotated voxels.

        Args:
            background: Whether class 0 of a label map is counted; regions have no background.
            batch: Whether the batch counts as one image, over all processes that share it.
            squared: Whether ``predicted`` sums squared probabilities, as V-Net does.

        Returns:
            (B, classes) counts, or (classes,) of the whole batch.
        """
        return self._counts_and_mapped(None, background=background, batch=batch, squared=squared)[0]

    def counts_and_mapped(
        self, maps: Tensor, *, errors: bool = False, background: bool = False, batch: bool = False
    ) -> tuple[Counts, Tensor]:
        """Soft counts, and with the same pass over the image what it holds at each voxel times a map.

        Args:
            maps: (B, foreground classes or regions, *spatial).
            errors: Whether squared errors are summed, ``m (p - g)^2``, and not probabilities, ``m p``.
            background: As in ``counts``.
            batch: As in ``counts``.

        Returns:
            The counts, and the sums over the annotated voxels, (B, foreground classes or regions).
        """
        return self._counts_and_mapped(maps, errors=errors, background=background, batch=batch)

    def _counts_and_mapped(
        self,
        maps: Tensor | None,
        *,
        errors: bool = False,
        background: bool = False,
        batch: bool = False,
        squared: bool = False,
    ) -> tuple[Counts, Tensor]:
        *counts, mapped = SoftCounts.apply(
            self.logits, self._values, self.target, self.annotated, self.regions, squared, maps, errors
        )
        if not background and not self.regions:
            counts = [count[:, 1:] for count in counts]
        return self.over_batch(Counts(*counts)) if batch else Counts(*counts), mapped

    def over_batch(self, counts: Counts) -> Counts:
        """Soft counts of the batch as one image, over all processes that share it.

        Args:
            counts: (B, classes) counts of each image.

        Returns:
            (classes,) counts.
        """
        return Counts(*map(self._batch_sum, counts))

    def counts_and_entropy(self, *, batch: bool = False, lacking: Lacking = ()) -> tuple[Counts, Tensor]:
        """Soft counts of foreground classes or regions and the sum of cross-entropies, weighted, in one pass.

        Args:
            batch: Whether the batch counts as one image, over all processes that share it.
            lacking: Channels of each sample that are part of its background, or regions that do not count; empty for
                none.

        Returns:
            The counts, as ``counts`` gives them, and a scalar; that of regions is put together as by ``sum_decisions``.
        """
        counting = self.weights_of_annotated
        if counting is None and self.annotated is not None:
            counting = self.annotated.to(self.logits.dtype)
        kind = RegionCountsAndEntropy if self.regions else CountsAndEntropy
        *counts, entropy = kind.apply(self.logits, self.target, counting, lacking)
        if self.regions and self.annotated is None:
            entropy = entropy / self.logits.shape[1]
        return Counts(*map(self._batch_sum, counts) if batch else counts), entropy

    def complement(self, counts: Counts, *, batch: bool = False) -> Counts:
        """Soft counts of what is outside of each region, from those of what is inside.

        Args:
            counts: As ``counts`` gives them, of probabilities that are not squared.
            batch: Whether they are those of the batch as one image.
        """
        if self.annotated is None:
            voxels = self.logits.new_full((len(self.logits),), self.logits[0, 0].numel())
        else:
            voxels = self.annotated.flatten(1).sum(1).to(self.logits.dtype)
        voxels = (self._batch_sum(voxels) if batch else voxels)[..., None]
        neither = voxels - counts.predicted - counts.truth + counts.tp
        return Counts(neither, voxels - counts.predicted, voxels - counts.truth)

    @cached_property
    def decision_cross_entropy(self) -> Tensor:
        """Cross-entropy of each decision, (B, D, *spatial), 0 where a voxel is ignored.

        A label map asks one question per voxel, which class it is (D = 1); regions ask one each, in or out (D = C).
        """
        if not self.regions:
            losses = F.nll_loss(self.log_probabilities, self.labels, ignore_index=IGNORE_INDEX, reduction="none")
            return losses[:, None]
        truth = self.target[:, : self.logits.shape[1]].to(self.logits.dtype)
        losses = F.binary_cross_entropy_with_logits(self.logits, truth, reduction="none")
        return losses if self.annotated is None else losses * self.annotated[:, None]

    @cached_property
    def decisions(self) -> Tensor:
        """What is right, (B, D, *spatial), int64: the class of a label map, 0 or 1 (out or in) for each region.

        Ignored voxels hold 0.
        """
        if self.regions:
            truth = self.target[:, : self.logits.shape[1]].bool()
            return (truth if self.annotated is None else truth & self.annotated[:, None]).long()
        return (self.labels if self.annotated is None else self.labels.clamp_min(0))[:, None]

    def decision_weights(self, weights: DecisionWeights) -> Tensor:
        """The weight of each decision by what is right, (B, D, *spatial), 0 where a voxel is ignored.

        Args:
            weights: Weights by decision and right answer.
        """
        answers = self.decisions
        images = [
            # Several times as fast as indexing.
            self.logits.new_tensor(row).index_select(0, answers[:, decision].flatten()).view_as(answers[:, decision])
            for decision, row in enumerate(weights)
        ]
        image = torch.stack(images, 1)
        return image if self.annotated is None else image.mul_(self.annotated[:, None])

    @cached_property
    def voxel_cross_entropy(self) -> Tensor:
        """Cross-entropy of each voxel, (B, *spatial), 0 where it is ignored; see ``sum_decisions``."""
        return self.sum_decisions(self.decision_cross_entropy)

    @property
    def cross_entropy(self) -> Tensor:
        """Mean of ``voxel_cross_entropy`` over the annotated voxels; 0, with a gradient of 0, where there are none.

        For label maps it makes no image of the losses. A loss that needs ``decision_cross_entropy`` as well takes the
        ``mean`` of that.
        """
        if self.regions:
            return self.mean(self.decision_cross_entropy)
        total = F.nll_loss(self.log_probabilities, self.labels, ignore_index=IGNORE_INDEX, reduction="sum")
        return total / self.voxels

    @property
    def voxels(self) -> Tensor | int:
        """Number of annotated voxels in the batch, at least 1."""
        return self.logits[:, 0].numel() if self.annotated is None else self.annotated.sum().clamp_min(1)

    def sum_decisions(self, losses: Tensor) -> Tensor:
        """Put the losses of a voxel's decisions together as nnU-Net does.

        Those of regions are averaged, and with an ignore label summed: this is how nnU-Net weighs them against its Dice
        term.

        Args:
            losses: (B, D, ...), or anything else whose second axis goes over the decisions.

        Returns:
            (B, ...).
        """
        if not self.regions:
            return losses[:, 0]
        return losses.mean(1) if self.annotated is None else losses.sum(1)

    def mean(self, losses: Tensor) -> Tensor:
        """Mean over the annotated voxels; 0, with a gradient of 0, where there are none.

        Args:
            losses: (B, D, *spatial), 0 where a voxel is ignored.

        Returns:
            A scalar.
        """
        return self.sum_decisions(losses).sum() / self.voxels

    @property
    def sum_of_weights(self) -> Tensor | int:
        """Sum of the weights of annotated voxels, 1 if it is 0; their number where there are no weights."""
        weights = self.weights_of_annotated
        if weights is None:
            return self.voxels
        total = weights.sum()
        return total.where(total > 0, 1)

    @cached_property
    def _values(self) -> Tensor:
        """The values of ``probabilities``, which soft counts share, since both have gradients of their own."""
        logits = self.logits.detach()
        if self.regions:
            return torch.sigmoid(logits)
        return self.log_probabilities.detach().exp() if self.with_logs else torch.softmax(logits, dim=1)

    def _batch_sum(self, counts: Tensor) -> Tensor:
        summed = counts.sum(0)
        # Every process gets the sum over all, and its gradient what all of them owe it. Summed first here, since the
        # processes may hold batches of different size.
        return AllGatherGrad.apply(summed).sum(0) if self.ddp else summed


Loss = Callable[[Prediction], Tensor]
"""A loss: the prediction beside its truth -> a scalar.

One that needs both probabilities and log-probabilities, as compounds of overlap and cross-entropy do, has an attribute
``with_logs`` that is true."""


class Criterion(nn.Module):
    """A loss as nnU-Net calls it: for one level of deep supervision, inside autocast, on any of its target layouts.

    Attributes:
        maps: Maps of the batch at full size, for losses that need some; set before each step.
        weights: How much each voxel counts at full size, (B, *spatial), for losses that ask; set for each step.
        progress: Share of the training that is done, for losses with a schedule; set before each epoch.
    """

    def __init__(
        self, loss: Loss, *, regions: bool = False, ignore_label: int | None = None, ddp: bool = False
    ) -> None:
        """Tell the layout once; every call then brings logits and target.

        Args:
            loss: Function to compute.
            regions: Whether targets hold regions.
            ignore_label: Label of ignored voxels, ``None`` if there is none.
            ddp: Whether several processes share each batch.
        """
        super().__init__()
        self.loss = loss
        self.regions = regions
        self.ignore_label = ignore_label
        self.ddp = ddp
        self.maps: Tensor | None = None
        self.weights: Tensor | None = None
        self.progress = 0.0

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of one level.

        Args:
            logits: (B, C, *spatial).
            target: nnU-Net's target for this level, see ``Prediction``.

        Returns:
            A scalar, finite and with a gradient, even if all voxels are ignored.
        """
        # Sums over many voxels and small logarithms are wrong in half precision. On devices where nnU-Net uses no
        # autocast, such as mps, older versions of torch do not even let it be switched off.
        device = logits.device.type
        with torch.autocast(device, enabled=False) if device in ("cuda", "cpu") else nullcontext():
            prediction = Prediction(
                logits,
                target,
                regions=self.regions,
                ignore_label=self.ignore_label,
                ddp=self.ddp,
                maps=self.maps if self.maps is not None and self.maps.shape[2:] == logits.shape[2:] else None,
                progress=self.progress,
                with_logs=getattr(self.loss, "with_logs", False),
                weights=None if self.weights is None else _shrunk(self.weights, logits.shape[2:]),
            )
            return self.loss(prediction)

    def extra_repr(self) -> str:
        """What stands in nnU-Net's debug.json."""
        return f"{self.loss}, regions={self.regions}, ignore_label={self.ignore_label}, ddp={self.ddp}"


def _shrunk(weights: Tensor, size: Sequence[int]) -> Tensor:
    """Weights (B, *spatial) at the size of a level of deep supervision: means of the voxels that become one."""
    if tuple(weights.shape[1:]) == tuple(size):
        return weights
    channel = weights[:, None]
    shape = [int(side) for side in size]
    if len(shape) == 2:
        return F.adaptive_avg_pool2d(channel, (shape[0], shape[1]))[:, 0]
    return F.adaptive_avg_pool3d(channel, (shape[0], shape[1], shape[2]))[:, 0]
