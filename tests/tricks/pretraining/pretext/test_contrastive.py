from __future__ import annotations

from math import log

import pytest
import torch
import torch.nn.functional as F  # noqa: N812, its standard name
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from monai.losses import ContrastiveLoss
from torch import nn

from nnunet_tricks.tricks.pretraining.pretext.chance import Chance
from nnunet_tricks.tricks.pretraining.pretext.contrastive import NTXentLoss, ProjectedEncoder, similarities
from nnunet_tricks.tricks.pretraining.pretext.views import partners, two_views, view_sides

CPU = torch.device("cpu")


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
@pytest.mark.parametrize("patches", [2, 5])
def test_the_loss_is_monais(temperature, patches) -> None:
    projections = torch.randn(2 * patches, 16, requires_grad=True)
    mine = NTXentLoss(temperature)(projections, partners(patches, CPU))
    (gradient,) = torch.autograd.grad(mine, projections)
    theirs = ContrastiveLoss(temperature=temperature)(*projections.chunk(2))
    (expected,) = torch.autograd.grad(theirs, projections)
    assert mine.item() == pytest.approx(theirs.item(), rel=1e-5)
    assert torch.allclose(gradient, expected, atol=1e-6)


def test_an_encoder_with_instance_norm_learns_to_tell_patches_apart() -> None:
    """Means of its features are nearly those of all other patches: the projection has to remove what all share."""
    torch.manual_seed(0)
    network = PlainConvUNet(
        1, 3, (8, 16, 32), nn.Conv2d, 3, (1, 2, 2), (1, 1, 1), 2, (1, 1), True, nn.InstanceNorm2d, {"affine": True},
        nonlin=nn.LeakyReLU,
    )  # fmt: skip
    projected, loss = ProjectedEncoder(network), NTXentLoss(0.5)
    numbers = partners(8, CPU)
    # Textures of eight sizes.
    patches = [F.interpolate(torch.randn(1, 1, 4 * n, 4 * n), size=(32, 32), mode="bicubic") for n in range(1, 9)]
    images = torch.cat(patches)
    optimizer = torch.optim.SGD(projected.parameters(), 0.01, momentum=0.99, nesterov=True)
    found = []
    for _ in range(60):
        views = torch.cat(
            [images.roll(int(shift), 3) + 0.1 * torch.randn_like(images) for shift in torch.randint(32, (2,))]
        )
        value = loss(projected(views), numbers)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        found.append(value.item())
    assert sum(found[-10:]) / 10 < 0.8 * log(15)


def test_lengths_of_projections_do_not_matter() -> None:
    projections = torch.randn(6, 8)
    loss = NTXentLoss(0.5)
    assert loss(projections * torch.rand(6, 1).add(0.1), partners(3, CPU)) == pytest.approx(
        float(loss(projections, partners(3, CPU))), rel=1e-5
    )


def test_partners_are_nearest_where_projections_of_a_patch_agree() -> None:
    projections = torch.eye(5).repeat(2, 1)
    assert torch.equal(similarities(projections).argmax(1), partners(5, CPU)[:, 0])


@pytest.mark.parametrize("shape", [(48, 40), (9, 32, 32)])
def test_views_come_from_their_patch_and_differ(shape) -> None:
    sides = view_sides(shape, [[1] * len(shape), [2] * len(shape), [2] * len(shape)])
    # The grey values of each patch are in a range of their own.
    images = torch.rand(3, 2, *shape) + 10 * torch.arange(3.0).view(3, *[1] * (len(shape) + 1))
    views, numbers = two_views(images, sides, Chance(0, CPU), mirrored=range(len(shape)))
    assert views.shape == (6, 2, *sides)
    for number, view in enumerate(views):
        assert round(float(view.mean() / 10 - 0.05)) == number % 3
        assert not torch.equal(view, views[numbers[number, 0]])


def test_a_view_without_chance_is_a_crop() -> None:
    sides = view_sides((8, 8), [[1, 1], [2, 2]])
    assert all(2 <= side < 8 for side in sides)
    image = torch.arange(64.0).view(1, 8, 8)

    class Still(Chance):
        def yes(self, probability: float) -> bool:
            return False

        def normal(self, shape) -> torch.Tensor:
            return torch.zeros(tuple(shape))

    views, _ = two_views(image[None], sides, Still(1, CPU), mirrored=(0, 1))
    windows = image[0].unfold(0, sides[0], 1).unfold(1, sides[1], 1).flatten(0, 1)
    assert all(bool((windows == view[0]).all((1, 2)).any()) for view in views)
