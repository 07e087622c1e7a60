from __future__ import annotations

import pytest
import torch
from torch import nn

from nnunet_tricks.tricks.network.architecture.whole import WholeNetwork


class Halved(nn.Module):
    """Fails for odd sizes, as encoders with decoders do."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        small = nn.functional.max_pool2d(image, 2)
        return image + nn.functional.interpolate(small, scale_factor=2.0)


def test_images_of_any_size_come_out_as_large() -> None:
    assert WholeNetwork(Halved(), multiple=2)(torch.zeros(2, 3, 7, 10)).shape == (2, 3, 7, 10)
    with pytest.raises(RuntimeError, match="size of tensor"):
        WholeNetwork(Halved())(torch.zeros(2, 3, 7, 10))


def test_images_that_fit_get_what_the_network_itself_computes() -> None:
    body, image = nn.Conv2d(3, 2, 3, padding=1), torch.randn(2, 3, 16, 24)
    assert torch.equal(WholeNetwork(body, multiple=8)(image), body(image))


def test_nnunet_finds_its_switch_and_the_weights_once() -> None:
    network = WholeNetwork(nn.Conv2d(3, 2, 1))
    network.decoder.deep_supervision = True
    assert network.deep_supervision
    assert list(network.state_dict()) == ["body.weight", "body.bias"]
    assert isinstance(network(torch.zeros(1, 3, 4, 4)), torch.Tensor)
