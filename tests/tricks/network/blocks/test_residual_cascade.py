"""Parts in the second stage of a cascade, under a residual encoder."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.door import trainers
from nnunet_tricks.training.planned import Planned
from tests.tricks.network.blocks.planned import SIZES, plans_of

SLOTS = {"attention", "block", "bottleneck", "gates", "path", "shape", "skips"}
PARTS = tuple(
    info.name
    for info in CATALOGUE
    if {hook.removeprefix("network.") for hook in info.hooks if hook.startswith("network.")} & SLOTS
    and "network.backbone" not in info.hooks
    and not info.beside
    and info.dimensions in (0, 3)
)


@pytest.mark.parametrize("name", PARTS)
def test_every_weight_learns_from_image_and_first_stage(name: str) -> None:
    plans = plans_of("3d_fullres", "ResidualEncoderUNet")
    labels = {"channel_names": {"0": "MRI"}, "labels": {"background": 0, "organ": 1, "core": 2}}
    planned = Planned.of(plans, "3d_cascade_fullres", labels)
    trainer: Any = trainers.find(f"nnUNetTrainer{name}")
    torch.manual_seed(0)
    network = trainer.build_network_architecture(planned.plans, planned.configuration, *planned.channels, True)
    assert network.encoder.stem.convs[0].conv.in_channels == 1 + 2
    levels = network.train()(torch.randn(1, 3, *SIZES["3d_fullres"]))
    assert levels[0].shape == (1, 3, *SIZES["3d_fullres"])
    torch.stack([level.square().mean() for level in levels]).sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in network.parameters())


def test_all_parts_are_met() -> None:
    assert {"CBAM", "Dense", "AttentionGates", "DenseSkips", "ResidualPath", "NonLocalASPP", "ShapeStream"} <= {*PARTS}
