"""What a trainer asks its loss, kept so that the loss can be asked other questions: does it prefer the truth?

nnU-Net calls ``self.loss(output, target)``, with lists where there is deep supervision. Whatever a trainer adds to the
target, the first channels say what is true, and with an ignore label what nobody annotated.
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
        loss: The number.
        gradients: With respect to the logits of each level; zeros where none arrived.
    """

    loss: float
    gradients: Levels

    @property
    def largest(self) -> float:
        """Of the gradients' absolute values."""
        return max(float(gradient.abs().max()) for gradient in self.gradients)


@dataclass(frozen=True)
class LossCall:
    """One call of a trainer's loss.

    Attributes:
        trainer: Whose loss it is.
        output: The network's logits, level by level.
        target: What nnU-Net's loader made of the truth, level by level.
        nested: Whether the loss is called with lists.
        arrived: The gradient that came back to the logits of a level, by its number; empty before there is one.
    """

    trainer: nnUNetTrainer
    output: Levels
    target: Levels
    nested: bool
    arrived: dict[int, Tensor] = field(default_factory=dict)

    @property
    def is_nnunets(self) -> bool:
        """Whether output and target are made as nnU-Net makes them, so that the truth can be read."""
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

        At full size that is where nobody annotated. A loss may enlarge a smaller output to full size, so that its
        voxels reach their neighbours: there it is where nobody annotated anything around.
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
    """Write down what a trainer asks its loss meanwhile."""
    loss, questions = trainer.loss, list[LossCall]()

    def listen(output: Any, target: Any, *extra: Any, **settings: Any) -> Any:
        if not extra and not settings and _tensors(output) and _tensors(target):
            call = LossCall(trainer, _copied(output), _copied(target), nested=not isinstance(output, Tensor))
            if call.is_nnunets:
                questions.append(call)
                _watch([output] if isinstance(output, Tensor) else output, call.arrived)
        return loss(output, target, *extra, **settings)

    trainer.loss = listen
    try:
        yield questions
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
