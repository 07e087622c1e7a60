r"""Losses that know which classes a case is annotated for.

In a label map the classes that a case is not annotated for, M, are part of its background: $q_0 = \sum_{c \in M \cup
\{0\}} p_c$, and $q_c = p_c$ for the others. A loss gets the logits of q, so it neither pushes nor pulls the classes in
M, but for their sum with the background. A region that a case is not annotated for gets logits that are right whatever
is predicted, and no gradient. Both keep the number of terms of the loss, so a class weighs the same whatever else its
case is annotated for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from nnunetv2.training.loss.compound_losses import DC_and_BCE_loss, DC_and_CE_loss
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from nnunet_tricks.training.counts_and_entropy import Lacking
from nnunet_tricks.training.criterion import Criterion, Prediction
from nnunet_tricks.tricks.loss.dice import dice_score

NEVER = -1e4
"""Logit of a class that has a probability of exactly 0, also in half precision."""


class MergedClasses(Function):
    """Logits in which background has the probability of the classes that a case is not annotated for."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, lacking: Lacking, regions: bool) -> Tensor:
        """Merge.

        Args:
            ctx: Context of the backward pass.
            logits: (B, C, *spatial).
            lacking: Channels that each sample lacks.
            regions: Whether channels are regions, which have no background that they could be part of.
        """
        merged = logits.clone()
        shares = []
        for sample, channels in enumerate(lacking):
            for channel in channels:
                merged[sample, channel] = NEVER
            if channels and not regions:
                parts = [logits[sample, channel] for channel in (0, *channels)]
                if parts[0].dtype in (torch.float16, torch.bfloat16):
                    parts = [part.float() for part in parts]
                total = parts[0]
                for part in parts[1:]:
                    total = torch.logaddexp(total, part)
                merged[sample, 0] = total
                shares.append(torch.stack([torch.sub(part, total).exp_() for part in parts]))
        ctx.save_for_backward(*shares)
        ctx.lacking, ctx.regions = lacking, regions
        return merged

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """The gradient of the logits."""
        gradient = gradient.clone()
        shares = iter(ctx.saved_tensors)
        for sample, channels in enumerate(ctx.lacking):
            if not channels:
                continue
            if ctx.regions:
                for channel in channels:
                    gradient[sample, channel] = 0
                continue
            of_background = gradient[sample, 0].clone()
            for channel, share in zip((0, *channels), next(shares), strict=True):
                torch.mul(of_background, share.to(gradient.dtype), out=gradient[sample, channel])
        return gradient, None, None


def exclusion(logits: Tensor, target: Tensor, lacking: Lacking, ignore_label: int | None = None) -> Tensor:
    r"""How much of the classes that a case is not annotated for is predicted where an annotated class is.

    With e where an annotated foreground class is and p the probability of a class that is not annotated, it is
    $\frac{2 \sum p e}{\sum p + \sum e} + \frac{1}{N} \sum e \log(1 + p)$. Shi et al., "Marginal loss and exclusion loss
    for partially supervised multi-organ segmentation", Medical Image Analysis 2021.

    Args:
        logits: (B, C, *spatial) of a label map.
        target: (B, 1, *spatial) labels.
        lacking: Channels that each sample lacks.
        ignore_label: Label of voxels that nobody annotated.

    Returns:
        The mean over samples and their classes, from 0; 0 where nothing lacks.

    Examples:
        >>> labels = torch.ones(1, 1, 4, 4, dtype=torch.int16)
        >>> logits = torch.zeros(1, 3, 4, 4)
        >>> logits[:, 1] = 20.0
        >>> exclusion(logits, labels, [[2]]).round(decimals=4)  # class 2 is nowhere predicted
        tensor(0.)
    """
    terms = []
    for sample, channels in enumerate(lacking):
        if not channels:
            continue
        labels = target[sample, 0]
        counted = torch.ones_like(labels, dtype=torch.bool) if ignore_label is None else labels != ignore_label
        half = logits.dtype in (torch.float16, torch.bfloat16)
        probabilities = torch.softmax(logits[sample].float() if half else logits[sample], 0)
        other = ((labels > 0) & counted).to(probabilities.dtype)
        for channel in channels:
            p = probabilities[channel]
            overlap, predicted = (p * other).sum(), (p * counted).sum()
            dice = 2 * overlap / (predicted + other.sum()).clamp_min(1)
            terms.append(dice + (torch.log1p(p) * other).sum() / counted.sum().clamp_min(1))
    return torch.stack(terms).mean() if terms else logits.new_zeros(())


@dataclass
class MergedDiceCE:
    """nnU-Net's default loss, of merged classes or without regions, in one pass.

    Attributes:
        loss: nnU-Net's loss, for label maps or regions.
        lacking: Channels that each sample lacks.
    """

    loss: DC_and_CE_loss | DC_and_BCE_loss
    lacking: Lacking = ()

    def __call__(self, prediction: Prediction) -> Tensor:
        """The loss, a scalar."""
        dice = getattr(self.loss.dc, "_orig_mod", self.loss.dc)
        counts, total = prediction.counts_and_entropy(batch=dice.batch_dice, lacking=self.lacking)
        entropy = self.loss.weight_ce * total / prediction.voxels
        merged: Tensor = entropy - self.loss.weight_dice * dice_score(counts, smooth=dice.smooth).mean()
        return merged


class PartialLoss(nn.Module):
    """A loss on one level of deep supervision, shown only what the cases of a batch are annotated for.

    Attributes:
        lacking: Channels that each sample of the batch lacks; set before each step.
        logits: First logits that were seen since this was set to ``None``, so those at full size.
    """

    def __init__(self, loss: Any, *, regions: bool, ignore_label: int | None = None, weight: float = 0) -> None:
        """Stand in front of a loss.

        Args:
            loss: Loss as nnU-Net calls it, from logits and target to a scalar.
            regions: Whether targets hold regions.
            ignore_label: Label of ignored voxels in a label map, if there is one.
            weight: Weight of ``exclusion``.
        """
        super().__init__()
        self.loss, self.regions, self.ignore_label, self.weight = loss, regions, ignore_label, weight
        # nnU-Net's own loss in one pass.
        self._merged: MergedDiceCE | None = None
        if _is_nnunets(loss):
            self._merged = MergedDiceCE(loss)
            self._in_one_pass = Criterion(self._merged, regions=regions, ignore_label=ignore_label, ddp=loss.dc.ddp)
        self.lacking: Lacking = ()
        self.logits: Tensor | None = None

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss, a scalar; that of the loss itself, bit for bit, where all samples are annotated for everything."""
        if self.logits is None:
            self.logits = logits.detach()
        # Another number of samples: somebody tries the loss, who knows nothing of cases.
        if not any(self.lacking) or len(self.lacking) != len(logits):
            plain: Tensor = self.loss(logits, target)
            return plain
        if self._merged is not None:
            self._merged.lacking = self.lacking
            loss: Tensor = self._in_one_pass(logits, target)
        else:
            loss = self.loss(MergedClasses.apply(logits, self.lacking, self.regions), target)
        if self.weight:
            loss = loss + self.weight * exclusion(logits, target, self.lacking, self.ignore_label)
        return loss


def _is_nnunets(loss: Any) -> bool:
    """Whether a loss is nnU-Net's default for label maps or regions, with settings that are known here."""
    if type(loss) not in (DC_and_CE_loss, DC_and_BCE_loss):
        return False
    dice = getattr(loss.dc, "_orig_mod", loss.dc)
    if type(dice) is not MemoryEfficientSoftDiceLoss:
        return False
    if type(loss) is DC_and_CE_loss:
        return not dice.do_bg and loss.ce.weight is None
    return bool(dice.do_bg) and loss.ce.pos_weight is None and loss.ce.weight is None
