"""The networks against published numbers and torch, and masks against what they came from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from nnunet_tricks.tricks.synthesis.cases import scaled, unscaled
from nnunet_tricks.tricks.synthesis.discriminator import RECEPTIVE_FIELD, AdversarialLoss, patch_discriminator
from nnunet_tricks.tricks.synthesis.generator import UNetGenerator
from nnunet_tricks.tricks.synthesis.masks import new_mask, one_hot
from nnunet_tricks.tricks.synthesis.spade import SpadeGenerator, SpadeLayer


def _millions(network: torch.nn.Module) -> float:
    return round(sum(parameter.numel() for parameter in network.parameters()) / 1e6, 3)


def test_the_networks_have_as_many_parameters_as_the_published_program_prints() -> None:
    with torch.device("meta"):
        assert _millions(UNetGenerator(inputs=3, outputs=3, depth=8)) == 54.414
        assert _millions(patch_discriminator(6)) == 2.769


def test_an_output_of_the_discriminator_sees_70_by_70_voxels() -> None:
    images = torch.rand(1, 2, 160, 160, requires_grad=True)
    outputs = patch_discriminator(2, width=4).eval()(images)[-1]
    outputs[0, 0, 9, 9].backward()
    seen = torch.nonzero(images.grad[0].abs().sum(0))  # type: ignore[index]
    assert (seen.amax(0) - seen.amin(0) + 1).tolist() == [RECEPTIVE_FIELD, RECEPTIVE_FIELD]


def test_the_adversarial_loss_is_torchs_cross_entropy() -> None:
    logits = torch.randn(2, 1, 5, 5)
    for real in (True, False):
        expected = functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))
        torch.testing.assert_close(AdversarialLoss()([logits], real=real), expected)
    assert AdversarialLoss()([logits], real=True, of_generator=True) == AdversarialLoss()([logits], real=True)


@pytest.mark.parametrize("kind", [UNetGenerator, SpadeGenerator])
def test_a_generator_takes_images_of_any_size_and_draws_with_noise(kind: type[UNetGenerator]) -> None:
    generator = kind(inputs=3, outputs=4, depth=3, width=4).eval()
    mask = torch.rand(1, 3, 21, 34)
    with torch.no_grad():
        first, second = generator(mask), generator(mask)
        torch.manual_seed(0)
        third = generator(mask)
        torch.manual_seed(0)
        assert torch.equal(generator(mask), third)
    assert first.shape == (1, 4, 21, 34)
    assert first.abs().max() <= 1
    assert not torch.equal(first, second)


def test_the_norm_of_spade_reads_the_mask_at_the_size_of_the_features() -> None:
    layer = SpadeLayer(before=4, after=3, condition=2, then=torch.nn.Identity())
    features, masks = torch.rand(1, 4, 8, 8), torch.zeros(2, 1, 2, 64, 64)
    masks[1, :, 0, :32], masks[1, :, 1, 32:] = 1, 1
    drawn = [layer(features, mask).detach() for mask in masks]
    assert drawn[0].shape == (1, 3, 16, 16)
    assert not torch.allclose(drawn[0], drawn[1])
    # Without a mask nothing is added, and what remains is torch's instance norm.
    plain = functional.instance_norm(layer.enlarge(features)).detach()
    middle = (..., slice(6, 8), slice(6, 8))
    assert (drawn[1] - plain)[middle].abs().max() > (drawn[0] - plain)[middle].abs().max()


def test_a_condition_is_torchs_one_hot_with_a_channel_for_outside() -> None:
    labels = torch.randint(-1, 3, (2, 6, 5))
    expected = functional.one_hot(labels + 1, 4).movedim(-1, 1).float()
    assert torch.equal(one_hot(labels, [0, 1, 2]), expected)
    with pytest.raises(ValueError, match=r"labels \[2\], and those of the data set are \[0, 1\]"):
        one_hot(labels, [0, 1])


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(8, 24), st.integers(8, 24))
def test_a_new_mask_has_the_labels_of_the_old_one_and_no_corners(seed: int, height: int, width: int) -> None:
    np.random.seed(seed)
    torch.manual_seed(seed)
    labels = np.zeros((2, height, width), np.int16)
    labels[:, height // 3 : height // 2 + 1, width // 3 : width // 2 + 1] = 2
    labels[:, height // 2 + 1 :, : width // 3] = 3
    moved = new_mask(labels, 3.0)
    assert moved.shape == labels.shape
    assert set(np.unique(moved)) <= {0, 2, 3}
    assert (moved > 0).any()
    # All slices of a volume move alike.
    assert np.array_equal(moved[0], moved[1])


def test_a_new_mask_is_new() -> None:
    np.random.seed(0)
    labels = np.zeros((1, 32, 32), np.int16)
    labels[:, 4:14, 8:20] = 1
    masks = [new_mask(labels, 3.0) for _ in range(20)]
    assert len({mask.tobytes() for mask in [labels, *masks]}) == 21
    # nnU-Net's scales, 0.7 to 1.4, change areas by their squares.
    areas = [int(mask.sum()) / labels.sum() for mask in masks]
    assert min(areas) < 0.8 < 1.2 < max(areas)


def test_grey_values_come_back() -> None:
    image = torch.rand(2, 3, 4) * 5 - 2
    ranges = [(-2.0, 3.0), (-2.5, 4.0)]
    torch.testing.assert_close(unscaled(scaled(image, ranges), ranges), image)
    assert scaled(image * 100, ranges).abs().max() == 1
