"""Our own networks as large as they are trained."""

from __future__ import annotations

import pytest
import torch

from nnunet_tricks.catalogue import CATALOGUE
from tests.tricks.network.architecture.networks import built

MILLIONS = {
    "ViTB16": 91.67,
    "ViTL16": 310.36,
    "ViTB32": 93.35,
    "ViTL32": 312.59,
    "SINetV2": 24.96,
    "GenesisUNet3D": 19.07,
}
"""Parameters with two classes, three channels in 2D and one in 3D. SINetV2 has 24.93 with one class."""

DIMENSIONS = {info.name: info.dimensions for info in CATALOGUE}


@pytest.mark.parametrize("name", MILLIONS)
def test_parameters_are_as_many_as_known(name: str) -> None:
    dimensions = DIMENSIONS[name]
    patch = (224,) * 2 if dimensions == 2 else (96,) * 3
    network = built(name, dimensions=dimensions, patch=patch, channels=3 if dimensions == 2 else 1, device="meta")
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert parameters / 1e6 == pytest.approx(MILLIONS[name], abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("name", MILLIONS)
def test_a_step_reaches_every_weight(name: str) -> None:
    dimensions = DIMENSIONS[name]
    patch, channels = ((40, 72), 3) if dimensions == 2 else ((12, 24, 32), 1)
    network = built(name, dimensions=dimensions, patch=patch, channels=channels).train()
    logits = network(torch.randn(2, channels, *patch))
    assert logits.shape == (2, 2, *patch)
    truth = torch.randint(2, (2, *patch))
    torch.nn.functional.cross_entropy(logits, truth).backward()
    idle = [
        name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.isfinite().all()
    ]
    assert not idle
