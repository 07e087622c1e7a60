"""Vision transformers under a convolutional decoder."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from torch import nn

from nnunet_tricks.tricks.network.architecture.vit import ViTUNet

TINY = {"encoder": "vit_tiny_patch16_224", "embed_dim": 24, "num_heads": 2, "depth": 2, "hidden": 16}


def tiny(patch: int = 16, size: tuple[int, int] = (48, 32), channels: int = 3, **changes: Any) -> ViTUNet:
    torch.manual_seed(0)
    return ViTUNet(channels, 3, patch=patch, image_size=size, **TINY | changes).eval()


@pytest.mark.parametrize(("patch", "channels", "size"), [(16, 3, (48, 32)), (16, 1, (33, 50)), (32, 4, (64, 40))])
def test_output_has_the_size_of_the_image(patch: int, channels: int, size: tuple[int, int]) -> None:
    logits = tiny(patch, channels=channels)(torch.randn(2, channels, *size))
    assert logits.shape == (2, 3, *size)
    assert logits.isfinite().all()


def test_every_weight_is_trained() -> None:
    network = tiny().train()
    network(torch.randn(2, 3, 48, 32)).square().mean().backward()
    assert not [name for name, weight in network.named_parameters() if weight.grad is None]


def test_image_of_another_size_is_padded_with_zeros() -> None:
    network, image = tiny(), torch.randn(1, 3, 40, 27)
    padded = nn.functional.pad(image, (0, 5, 0, 8))
    torch.testing.assert_close(network(image), network(padded)[..., :40, :27])


def test_each_token_sees_the_whole_image() -> None:
    network, image = tiny(), torch.zeros(1, 3, 64, 64)
    logits = network(image.requires_grad_())
    logits[0, 0, -1, -1].backward()
    assert image.grad is not None
    assert image.grad[0, :, :8, :8].abs().max() > 0


def test_positions_are_those_of_the_image() -> None:
    assert tiny(size=(48, 32)).encoder.pos_embed.shape[1] == 1 + 3 * 2
    assert tiny(size=(33, 50)).encoder.pos_embed.shape[1] == 1 + 3 * 4


@pytest.mark.parametrize(
    ("encoder", "patch", "millions"),
    [
        ("vit_base_patch16_224", 16, 85.80),
        ("vit_base_patch32_224", 32, 87.46),
        ("vit_large_patch16_224", 16, 303.30),
        ("vit_large_patch32_224", 32, 305.51),
    ],
)
def test_encoders_are_timms(encoder: str, patch: int, millions: float) -> None:
    with torch.device("meta"):
        own = ViTUNet(3, 2, encoder=encoder, patch=patch, image_size=(224, 224)).encoder
        timms = timm.create_model(encoder, num_classes=0)
    shapes = [{name: weight.shape for name, weight in each.state_dict().items()} for each in (own, timms)]
    assert shapes[0] == shapes[1]
    assert sum(weight.numel() for weight in own.parameters()) / 1e6 == pytest.approx(millions, abs=0.005)


def test_nothing_is_dropped_unless_it_is_told_to() -> None:
    image = torch.randn(2, 3, 48, 32)
    plain, dropping = tiny().train(), tiny(dropout=0.1).train()
    assert torch.equal(plain(image), plain(image))
    assert not torch.equal(dropping(image), dropping(image))
    rates = {name: layer.p for name, layer in dropping.encoder.named_modules() if isinstance(layer, nn.Dropout)}
    assert {name for name, rate in rates.items() if rate} == {
        "pos_drop",
        *(f"blocks.{number}.mlp.drop{place}" for number in range(2) for place in (1, 2)),
    }


@pytest.mark.parametrize("patch", [0, 2, 12, 64])
def test_patches_that_cannot_be_enlarged_are_refused(patch: int) -> None:
    with pytest.raises(ValueError, match=f"patch must be a power of 2 from 4 to 32, got {patch}"):
        tiny(patch)
