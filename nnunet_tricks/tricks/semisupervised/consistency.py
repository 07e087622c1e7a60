r"""How far a network is from its teacher where nobody annotated, and how much that counts.

The consistency cost is the mean squared difference of two networks' probabilities. Its weight rises along
$e^{-5 (1 - t)^2}$, as in Laine and Aila, "Temporal ensembling", ICLR 2017, and in Tarvainen and Valpola 2017.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from nnunet_tricks.training.criterion import Prediction


def ramp_up(progress: float, length: float) -> float:
    """Share of the full weight.

    Args:
        progress: Share of the training that is done, from 0 to 1.
        length: Share of the training after which the weight is full; 0 for at once.

    Examples:
        >>> ramp_up(0, 0), ramp_up(0.4, 0.4), round(ramp_up(0.2, 0.4), 4), round(ramp_up(0, 0.4), 4)
        (1.0, 1.0, 0.2865, 0.0067)
    """
    if progress >= length:
        return 1.0
    return math.exp(-5 * (1 - progress / length) ** 2)


def decay_at(step: int, limit: float) -> float:
    """What is left of the teacher in the average after a step: min(1 - 1 / (step + 1), limit).

    Early on this is the plain mean of all students so far, so that the teacher forgets its random weights.

    Args:
        step: Number of steps before this one.
        limit: Largest decay.

    Examples:
        >>> decay_at(0, 0.99), decay_at(1, 0.99), decay_at(1000, 0.99)
        (0.0, 0.5, 0.99)
    """
    return min(1 - 1 / (step + 1), limit)


def consistency(prediction: Prediction, teacher: Tensor) -> Tensor:
    """Mean squared difference of probabilities over voxels that nobody annotated, and over classes or regions.

    Args:
        prediction: Logits of the student beside nnU-Net's target.
        teacher: Probabilities of the teacher, (B, C, *spatial), without a gradient.

    Returns:
        A scalar; exactly 0, with a gradient of 0, where all voxels are annotated.

    Examples:
        >>> target = torch.tensor([[[[0, 2]]]])  # the second voxel has the ignore label
        >>> student = Prediction(torch.tensor([[[[9.0, 0.0]], [[0.0, 0.0]]]]), target, ignore_label=2)
        >>> consistency(student, torch.tensor([[[[0.0, 1.0]], [[1.0, 0.0]]]])).item()
        0.25
    """
    differences = (prediction.probabilities - teacher).square().sum(1)
    if prediction.annotated is None:
        return differences.sum() * 0
    unknown = ~prediction.annotated
    voxels = unknown.sum().clamp_min(1)
    return (differences * unknown).sum() / (voxels * prediction.logits.shape[1])


class WithConsistency:
    """A loss with the consistency cost beside it, for one training step.

    Attributes:
        cost: Consistency cost of the last call, without its weight.
    """

    def __init__(
        self, loss: Any, teacher: Tensor, weight: float, *, regions: bool = False, ignore_label: int | None = None
    ) -> None:
        """Join the two.

        Args:
            loss: Loss as nnU-Net calls it, with or without deep supervision.
            teacher: Logits of the teacher at full size, (B, C, *spatial).
            weight: How much the cost counts.
            regions: Whether channels are overlapping regions.
            ignore_label: Value of ignored voxels in a label map.
        """
        self.loss = loss
        self.teacher = teacher
        self.weight = weight
        self.regions = regions
        self.ignore_label = ignore_label
        self.cost: Tensor | None = None

    def __call__(self, output: Any, target: Any) -> Tensor:
        """The loss of all levels, and the cost of the output at full size."""
        supervised: Tensor = self.loss(output, target)
        full, truth = (level[0] if isinstance(level, (list, tuple)) else level for level in (output, target))
        device = full.device.type
        # As in ``Criterion``: small differences are lost in half precision.
        with torch.autocast(device, enabled=False) if device in ("cuda", "cpu") else nullcontext():
            student = Prediction(full, truth, regions=self.regions, ignore_label=self.ignore_label)
            logits = self.teacher.float()
            probabilities = torch.sigmoid(logits) if self.regions else torch.softmax(logits, 1)
            cost = consistency(student, probabilities)
        self.cost = cost.detach()
        return supervised + self.weight * cost
