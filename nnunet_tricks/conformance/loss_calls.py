"""Calls of a trainer's loss, recorded so that the loss can be called again with other output: does it prefer the truth?

nnU-Net calls ``self.loss(output, target)``, with lists if there is deep supervision. Whatever a trainer adds to the
target, its first channels are the truth and, with an ignore label, the voxels that nobody annotated.
"""

# mypy: untyped-calls-exclude="torch"
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812, its standard name
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import Tensor

Levels = list[Tensor]
"""One tensor for each level of deep supervision."""


@dataclass(frozen=True)
class MeasuredLoss:
    """A loss and its gradient.

    Attributes:
        loss: Value of the loss.
        gradients: Gradients with respect to the logits of each level; zeros where none arrived.
    """

    loss: float
    gradients: Levels

    @property
    def largest(self) -> float:
        """The largest absolute value of the gradients."""
        return max(float(gradient.abs().max()) for gradient in self.gradients)


@dataclass(frozen=True)
class LossCall:
    """One call of a trainer's loss.

    Attributes:
        trainer: Trainer whose loss it is.
        output: Logits of the network, level by level.
        target: Target from nnU-Net's loader, level by level.
        nested: Whether the loss is called with lists.
        arrived: Gradients that came back to the logits, by number of the level; empty before there are any.
    """

    trainer: nnUNetTrainer
    output: Levels
    target: Levels
    nested: bool
    arrived: dict[int, Tensor] = field(default_factory=dict)

    @property
    def is_nnunets(self) -> bool:
        """Whether output and target have nnU-Net's layout, so that the truth can be read."""
        regions = bool(self.trainer.label_manager.has_regions)
        return len(self.output) == len(self.target) and all(
            logits.shape[2:] == truth.shape[2:] and truth.shape[1] >= (logits.shape[1] if regions else 1)
            for logits, truth in zip(self.output, self.target, strict=True)
        )

    @torch.no_grad()
    def loss(self, output: Levels) -> float:
        """The loss of other logits."""
        return float(self._ask(output))

    def measure(self, output: Levels) -> MeasuredLoss:
        """The loss of other logits, and its gradient."""
        leaves = [level.detach().clone().requires_grad_() for level in output]
        with torch.enable_grad():
            loss = self._ask(leaves)
            torch.autograd.backward(loss)
        gradients = [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves]
        return MeasuredLoss(float(loss.detach()), gradients)

    def _ask(self, output: Levels) -> Tensor:
        target = [level.clone() for level in self.target]
        answer: Tensor = self.trainer.loss(output, target) if self.nested else self.trainer.loss(output[0], target[0])
        return answer

    def truth(self, level: int) -> Tensor:
        """True where a channel of the logits should be high: (B, C, *spatial)."""
        target, channels = self.target[level], self.output[level].shape[1]
        if self.trainer.label_manager.has_regions:
            return target[:, :channels].bool()
        classes = torch.arange(channels).view(-1, *[1] * (target.ndim - 2))
        return target[:, :1] == classes

    def ignored(self, level: int) -> Tensor:
        """True where nobody annotated: (B, 1, *spatial)."""
        manager, target = self.trainer.label_manager, self.target[level]
        if manager.has_regions:
            channel = len(manager.foreground_regions)
            return target[:, channel : channel + 1] > 0
        return target[:, :1] == manager.ignore_label

    def without_effect(self, level: int) -> Tensor:
        """True where a prediction must have no effect: (B, 1, *spatial).

        At full size these are the voxels that nobody annotated. A loss may enlarge a smaller output to full size, so
        that voxels reach their neighbours. Then only voxels without any annotated neighbour count.
        """
        ignored = self.ignored(level)
        if level == 0:
            return ignored
        annotated, shape = (~self.ignored(0)).float(), ignored.shape[2:]
        shrink, widen = (
            (F.adaptive_max_pool2d, F.max_pool2d) if len(shape) == 2 else (F.adaptive_max_pool3d, F.max_pool3d)
        )
        near = widen(shrink(annotated, shape), kernel_size=3, stride=1, padding=1) > 0
        return ignored & ~near


@contextmanager
def overheard(trainer: nnUNetTrainer) -> Iterator[list[LossCall]]:
    """Record the calls of a trainer's loss in a with block."""
    loss, calls = trainer.loss, list[LossCall]()

    def listen(output: Any, target: Any, *extra: Any, **settings: Any) -> Any:
        if not extra and not settings and _tensors(output) and _tensors(target):
            call = LossCall(trainer, _copied(output), _copied(target), nested=not isinstance(output, Tensor))
            if call.is_nnunets:
                calls.append(call)
                _watch([output] if isinstance(output, Tensor) else output, call.arrived)
        return loss(output, target, *extra, **settings)

    trainer.loss = listen
    try:
        yield calls
    finally:
        trainer.loss = loss


def _watch(output: Sequence[Tensor], arrived: dict[int, Tensor]) -> None:
    for number, level in enumerate(output):
        if level.requires_grad:
            level.register_hook(partial(arrived.__setitem__, number))


def _tensors(given: Any) -> bool:
    return isinstance(given, Tensor) or (
        isinstance(given, Sequence) and bool(given) and all(isinstance(level, Tensor) for level in given)
    )


def _copied(given: Tensor | Sequence[Tensor]) -> Levels:
    return [level.detach().clone() for level in ([given] if isinstance(given, Tensor) else given)]
