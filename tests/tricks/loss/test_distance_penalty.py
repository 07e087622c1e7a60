from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812, its standard name
from scipy.ndimage import distance_transform_edt

from nnunet_tricks.training.criterion import Criterion
from nnunet_tricks.tricks.loss.cross_entropy import cross_entropy
from nnunet_tricks.tricks.loss.distance_penalty import distance_penalty
from nnunet_tricks.tricks.targets.closeness import closeness
from tests.tricks.loss.cases import MODES, REGIONS, make


@pytest.mark.parametrize("mode", MODES)
def test_a_constant_map_is_a_factor(mode: str) -> None:
    case = make(mode)
    criterion = case.criterion(distance_penalty)
    plain = case.criterion(cross_entropy)(case.logits, case.target)
    torch.testing.assert_close(criterion(case.logits, case.target), plain)
    for value in (0, 0.5, 1):
        criterion.maps = torch.full((2, REGIONS if case.regions else 1, *case.logits.shape[2:]), value)
        torch.testing.assert_close(criterion(case.logits, case.target), (1 + value) * plain)


@pytest.mark.parametrize("mode", MODES)
def test_its_gradient_is_that_of_its_value(mode: str) -> None:
    case = make(mode, spatial=(3, 4), dtype=torch.float64)
    criterion = case.criterion(distance_penalty)
    criterion.maps = torch.rand(2, REGIONS if case.regions else 1, 3, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(criterion, (case.logits, case.target))


def test_it_is_calivas_penalty_on_a_disc() -> None:
    """Transcribed with scipy: distances inside and outside, each inverted by its largest."""
    y, x = torch.meshgrid(torch.arange(20), torch.arange(20), indexing="ij")
    disc = (y - 9) ** 2 + (x - 8) ** 2 < 30
    inside = torch.from_numpy(distance_transform_edt(disc)) - 1  # our border is the disc's own outermost voxels
    outside = torch.from_numpy(distance_transform_edt(~disc))
    phi = torch.where(disc, 1 - inside / inside.max(), 1 - outside / outside.max())
    logits = torch.randn(1, 2, 20, 20, dtype=torch.float64)
    losses = F.cross_entropy(logits, disc[None].long(), reduction="none")
    criterion = Criterion(distance_penalty)
    criterion.maps = torch.from_numpy(closeness(disc.numpy(), (1, 1)))[None, None].double()
    loss = criterion(logits, disc[None, None].to(torch.int16))
    # Inside, scipy measures to the nearest voxel outside, which need not be one edge behind the border.
    torch.testing.assert_close(loss, ((1 + phi) * losses).mean(), rtol=0.02, atol=0)
