"""What steps require: finite losses and gradients, equal numbers, equal state."""

# mypy: untyped-calls-exclude="torch"
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import Tensor, nn

from nnunet_tricks.conformance.outcome import ViolationError


def require(condition: bool, otherwise: str) -> None:
    """Raise ``ViolationError(otherwise)`` unless ``condition`` holds."""
    if not condition:
        raise ViolationError(otherwise)


def equal(mine: Any, theirs: Any) -> bool:
    """Whether two nests of dictionaries, lists, tensors and plain values are the same, bit for bit.

    Examples:
        >>> equal({"a": [torch.ones(2)]}, {"a": [torch.ones(2)]}), equal([1], (1,))
        (True, False)
    """
    if type(mine) is not type(theirs):
        return False
    if isinstance(mine, dict):
        return mine.keys() == theirs.keys() and all(equal(value, theirs[key]) for key, value in mine.items())
    if isinstance(mine, (list, tuple)):
        return len(mine) == len(theirs) and all(map(equal, mine, theirs))
    return torch.equal(mine, theirs) if isinstance(mine, torch.Tensor) else bool(mine == theirs)


def require_close(what: str, value: float, expected: float, tolerance: float) -> None:
    """Require a number up to a tolerance, relative for numbers above 1 and absolute below."""
    require(
        abs(value - expected) <= tolerance * max(1.0, abs(expected)),
        f"{what} is {value:.6g}, it should be {expected:.6g}",
    )


def train_step(trainer: nnUNetTrainer, batch: dict[str, Any]) -> float:
    """One training step; see ``watched_train_step``.

    Args:
        trainer: An initialized trainer.
        batch: From its loader; not changed.

    Returns:
        The loss before the step.
    """
    return watched_train_step(trainer, batch)[0]


def watched_train_step(trainer: nnUNetTrainer, batch: dict[str, Any]) -> tuple[float, dict[str, Tensor]]:
    """One training step, and the gradients that it made, even if it removes them at its end.

    Args:
        trainer: An initialized trainer.
        batch: From its loader; not changed.

    Returns:
        The loss before the step, and the gradient of each parameter that got one, by its name.

    Raises:
        ViolationError: If the loss or a gradient is not finite, or there is no gradient.
    """
    trainer.network.train()
    with _arriving(trainer.network) as gradients:
        loss = float(np.mean(trainer.train_step(deepcopy(batch))["loss"]))
    require(bool(np.isfinite(loss)), f"the training loss is {loss}")
    require(bool(gradients), "no gradient reached the network")
    for name, gradient in gradients.items():
        require(bool(gradient.isfinite().all()), f"the gradient of '{name}' is not finite, the loss is")
    return loss, gradients


@contextmanager
def _arriving(network: nn.Module) -> Iterator[dict[str, Tensor]]:
    """The gradients of a network's parameters by name, as they arrive; later ones are added by torch."""
    gradients: dict[str, Tensor] = {}

    def keep(parameter: Tensor, name: str) -> None:
        if parameter.grad is not None:
            gradients[name] = parameter.grad.detach().clone()

    handles = [
        parameter.register_post_accumulate_grad_hook(partial(keep, name=name))
        for name, parameter in network.named_parameters()
        if parameter.requires_grad
    ]
    try:
        yield gradients
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def validation_loss(trainer: nnUNetTrainer, batch: dict[str, Any]) -> float:
    """The loss of one validation step.

    Args:
        trainer: An initialized trainer.
        batch: From its loader; not changed, although nnU-Net's step writes into the target.

    Raises:
        ViolationError: If it is not finite.
    """
    trainer.network.eval()
    loss = float(np.mean(trainer.validation_step(deepcopy(batch))["loss"]))
    require(bool(np.isfinite(loss)), f"the validation loss is {loss}")
    return loss


@contextmanager
def float32_loss(trainer: nnUNetTrainer) -> Iterator[None]:
    """nnU-Net hands the loss to NumPy, which knows float16, as on the GPU, but not bfloat16."""
    loss = trainer.loss
    trainer.loss = lambda *arguments: loss(*arguments).float()
    try:
        yield
    finally:
        trainer.loss = loss


@contextmanager
def relabelled(trainer: nnUNetTrainer, label: int) -> Iterator[Iterator[dict[str, Any]]]:
    """Validation batches in which every voxel has one label, through the trainer's own loader and transforms."""
    loader = trainer.dataloader_val.data_loader
    original = loader._data

    class Relabelled:
        def load_case(self, identifier: str) -> tuple[Any, ...]:
            data, labels, previous, properties = original.load_case(identifier)
            emptied = {**properties, "class_locations": {key: [] for key in properties["class_locations"]}}
            return data, np.full_like(labels[:], label), previous, emptied

        def __getattr__(self, name: str) -> Any:
            return getattr(original, name)

    loader._data = Relabelled()
    try:
        yield trainer.dataloader_val
    finally:
        loader._data = original
