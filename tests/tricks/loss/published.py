"""Values and gradients of the trick paper's published losses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from nnunet_tricks.training.criterion import Criterion, Loss

CASES = ("b2_blob", "b2_random", "b2_empty", "b2_half_empty")


def differences(oracles: Path, name: str, loss: Loss) -> Iterator[tuple[str, float, float]]:
    """Case, error of the value and largest error of the gradient, in 2D and 3D."""
    for file in ("medisegloss_2d.npz", "medisegloss_3d.npz"):
        with np.load(oracles / file, allow_pickle=False) as arrays:
            for case in CASES:
                logits = torch.tensor(arrays[f"{case}/logits"], requires_grad=True)
                target = torch.tensor(arrays[f"{case}/target"]).reshape(len(logits), 1, *logits.shape[2:])
                value = Criterion(loss)(logits, target)
                (gradient,) = torch.autograd.grad(value, logits)
                expected = torch.tensor(arrays[f"{case}/{name}/grad"])
                yield (
                    f"{file} {case}",
                    abs(value.item() - float(arrays[f"{case}/{name}/value"])),
                    (gradient - expected).abs().max().item(),
                )


def assert_reproduced(oracles: Path, name: str, loss: Loss) -> None:
    """The loss agrees with the published one to 1e-5."""
    differing = list(differences(oracles, name, loss))
    assert len(differing) == 2 * len(CASES)
    assert all(value < 1e-5 and gradient < 1e-5 for _, value, gradient in differing), differing
