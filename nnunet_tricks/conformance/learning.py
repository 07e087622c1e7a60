"""Whether a loss and its training steps lead to the truth.

A training that goes the wrong way does not crash, and all its numbers are finite. But every sound loss is lower at the
truth than at its opposite, notices each class, has a gradient that leads downhill, and ignores voxels that nobody
annotated.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import Tensor

from nnunet_tricks.conformance.checks import require, watched_train_step
from nnunet_tricks.conformance.loss_calls import Levels, LossCall, overheard
from nnunet_tricks.conformance.outcome import ViolationError
from nnunet_tricks.tricks.sparse.ignoring import refuse_if_it_counts_ignored

SURE = 4.0
"""Logit of a prediction that is nearly certain, but still in a range where float32 sees differences."""
DOWNHILL = (0.1, 0.01, 0.001)
"""Steps against the gradient, in units of the logits; one of them must lower the loss."""
NOTICED = 1e-6
"""Relative change of a loss that is larger than rounding."""
TOLERANCE = 1e-4
AGAINST = -0.5
"""Cosine between two gradients below which one is the opposite, and does not just have another term."""
LEAVE_OUT = "leave voxels with the ignore label out of every sum and every mean of the loss"
ENOUGH_STEPS = 16
"""Training steps after which a weight must have changed, even if gradients are accumulated over several."""


def require_learning(trainer: nnUNetTrainer, batches: Iterator[dict[str, Any]], steps: int) -> None:
    """Take training steps, and require that the network learns.

    Args:
        trainer: An initialized trainer, before its first step.
        batches: Batches of its loader.
        steps: Number of steps.

    Raises:
        ViolationError: If all gradients are 0 or lead away from where the loss is lower, no weight changes, or the
            first change leads uphill.
    """
    felt = moved = False
    for number in range(ENOUGH_STEPS):
        if number >= steps and moved:
            break
        before = {} if moved else {name: p.detach().clone() for name, p in trainer.network.named_parameters()}
        if number:
            gradients = watched_train_step(trainer, next(batches))[1]
        else:
            with overheard(trainer) as calls:
                gradients = watched_train_step(trainer, next(batches))[1]
            for call in calls[:1]:
                require_own_gradient(call)
        felt = felt or any(bool(gradient.any()) for gradient in gradients.values())
        if number == steps - 1:
            require(felt, "every gradient is 0, so nothing is learned: the loss does not depend on the prediction")
        if not moved:
            now = {name: p.detach() for name, p in trainer.network.named_parameters()}
            moved = any(not torch.equal(now[name], before[name]) for name in now)
            slope = sum(float(((now[name] - before[name]) * gradient).sum()) for name, gradient in gradients.items())
            require(slope <= 0, "the optimizer steps along the gradient, not against it: the loss grows")
    # A learning rate that rises from 0 changes nothing at first.
    resting = not any(group["lr"] for group in trainer.optimizer.param_groups)
    require(
        moved or resting,
        f"{ENOUGH_STEPS} training steps left every weight as it was: does the optimizer have the network's parameters?",
    )


def require_own_gradient(call: LossCall) -> None:
    """Require that a training step follows the gradient of its loss.

    Args:
        call: Call of the loss in a finished training step.

    Raises:
        ViolationError: If the gradient that came back to the logits is nearly the opposite of the loss's own.
    """
    own = call.measure(call.output).gradients
    pairs = [(own[level], arrived) for level, arrived in call.arrived.items()]
    product = sum(float((mine * arrived).sum()) for mine, arrived in pairs)
    size = sum(float(mine.square().sum()) for mine, _ in pairs) * sum(float(a.square().sum()) for _, a in pairs)
    require(
        product >= AGAINST * size**0.5,
        "the training step goes against the gradient of self.loss: training makes the loss grow",
    )


def require_sense(call: LossCall) -> None:
    """Require that a loss prefers the truth, notices each class, and has a gradient that leads downhill.

    Args:
        call: Call of the loss on a patch in which something is annotated.

    Raises:
        ViolationError: If one of these fails, or an image of the batch does not count.
    """
    truths = [call.truth(level) for level in range(len(call.output))]
    at_truth = call.loss(_sure(truths))
    regions = bool(call.trainer.label_manager.has_regions)
    opposite, *swapped = _worse(truths)
    _require_worse(call, at_truth, opposite)
    for what, wrong in _missed(truths, regions=regions):
        loss = call.loss(_sure(wrong))
        noticed = abs(loss - at_truth) > NOTICED * max(1.0, abs(at_truth))
        require(noticed, f"the loss does not notice {what}: it is {loss:.6g}, as if the truth were predicted")
    for prediction in swapped:
        _require_worse(call, at_truth, prediction)
    for image in _complete(call, truths[0]):
        loss = call.loss(_sure([_opposite_of(truth, image) for truth in truths]))
        require(
            abs(loss - at_truth) > NOTICED * max(1.0, abs(at_truth)),
            f"the loss does not notice image {image + 1} of the batch: it is {loss:.6g}, as if the truth were "
            "predicted in all",
        )
    measured = call.measure(call.output)
    require(measured.largest > 0, "the gradient of the loss is 0 everywhere, so nothing is learned")
    require(
        bool(measured.gradients[0].any()),
        "the output at full size has no gradient, only lower levels of deep supervision have: the output that predicts "
        "is not trained",
    )
    slope = max(measured.largest, 1e-30)
    tried = [call.loss(_moved(call.output, measured.gradients, -step / slope)) for step in DOWNHILL]
    require(
        min(tried) < measured.loss,
        f"against its own gradient the loss grows from {measured.loss:.6g} to {min(tried):.6g}",
    )


def require_ignorance(call: LossCall) -> None:
    """Require that predictions where nobody annotated change neither the loss nor any gradient elsewhere.

    Args:
        call: Call of the loss on a patch that is partly annotated.

    Raises:
        ViolationError: If they do, or such voxels have a gradient.
    """
    ignored = [call.without_effect(level) for level in range(len(call.output))]
    other = [torch.where(mask, 3 - 2 * level, level) for level, mask in zip(call.output, ignored, strict=True)]
    mine, theirs = call.measure(call.output), call.measure(other)
    require(
        abs(mine.loss - theirs.loss) <= TOLERANCE * max(1.0, abs(mine.loss)),
        f"voxels that nobody annotated count: other predictions there change the loss from {mine.loss:.6g} to "
        f"{theirs.loss:.6g}",
    )
    most = TOLERANCE * max(mine.largest, theirs.largest)
    for mask, own, changed in zip(ignored, mine.gradients, theirs.gradients, strict=True):
        require(
            float((own * mask).abs().max()) <= most,
            "voxels that nobody annotated are learned from: the loss has a gradient there",
        )
        require(
            float(((own - changed) * ~mask).abs().max()) <= 10 * most,
            "voxels that nobody annotated count: predictions there change the gradient of others",
        )


def require_no_count(trainer: nnUNetTrainer) -> None:
    """Require that the number of voxels that nobody annotated does not matter.

    Args:
        trainer: An initialized trainer on data with an ignore label.

    Raises:
        ViolationError: If the loss of a patch changes when as many unannotated voxels are added.
    """
    try:
        dimensions = len(trainer.configuration_manager.patch_size)
        refuse_if_it_counts_ignored(trainer.loss, trainer.label_manager, dimensions, trainer.device, advice=LEAVE_OUT)
    except ValueError as error:
        # A loss that needs more than labels in its target cannot be called with labels alone; it was checked above.
        if error.__cause__ is None:
            raise ViolationError(str(error)) from error


def _require_worse(call: LossCall, at_truth: float, other: tuple[str, list[Tensor]]) -> None:
    what, wrong = other
    loss = call.loss(_sure(wrong))
    require(at_truth < loss, f"the loss is {at_truth:.4g} where the truth is predicted, and {loss:.4g} {what}")


def _worse(truths: list[Tensor]) -> Iterator[tuple[str, list[Tensor]]]:
    """Predictions for which every loss must be higher than for the truth."""
    yield "where the opposite is predicted", [~truth for truth in truths]
    # Both have equally long borders, so a loss that prefers short borders has no reason to prefer the wrong one.
    for first, second in combinations(range(truths[0].shape[1]), 2):
        order = list(range(truths[0].shape[1]))
        order[first], order[second] = second, first
        if not torch.equal(truths[0][:, order], truths[0]):
            yield f"where channels {first} and {second} are taken for each other", [truth[:, order] for truth in truths]


def _missed(truths: list[Tensor], *, regions: bool) -> Iterator[tuple[str, list[Tensor]]]:
    """Predictions that confuse one class with another. Which of them is worse may depend on the sizes of classes."""
    channels = range(truths[0].shape[1])
    present = [channel for channel in channels if truths[0][:, channel].any()]
    if regions:
        for region in present:
            yield f"that region {region + 1} is missed", [_changed(truth, region) for truth in truths]
        return
    # Background may have no weight, so any class may be predicted there.
    for label in present:
        for other in channels if label else ():
            if other != label:
                what = f"that class {label} is taken for class {other}"
                yield what, [_changed(truth, label, other) for truth in truths]


def _complete(call: LossCall, truth: Tensor) -> list[int]:
    """Numbers of the images that have every class; in others a loss may have nothing to compare."""
    annotated = ~call.ignored(0) if call.trainer.label_manager.has_ignore_label else torch.ones_like(truth)
    return (truth & annotated).flatten(2).any(2).all(1).nonzero().flatten().tolist()


def _opposite_of(truth: Tensor, image: int) -> Tensor:
    changed = truth.clone()
    changed[image] = ~truth[image]
    return changed


def _changed(truth: Tensor, channel: int, other: int | None = None) -> Tensor:
    changed = truth.clone()
    if other is not None:
        changed[:, other] |= truth[:, channel]
    changed[:, channel] = False
    return changed


def _sure(truths: list[Tensor]) -> Levels:
    return [truth.float().mul_(2 * SURE).sub_(SURE) for truth in truths]


def _moved(output: Levels, gradients: Levels, factor: float) -> Levels:
    return [level + factor * gradient for level, gradient in zip(output, gradients, strict=True)]
