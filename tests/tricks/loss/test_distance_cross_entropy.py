from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812, its standard name

from nnunet_tricks.training.criterion import Criterion
from nnunet_tricks.tricks.loss.cross_entropy import cross_entropy
from nnunet_tricks.tricks.loss.distance_cross_entropy import DistanceCrossEntropy
from nnunet_tricks.tricks.targets.border import border_weights
from tests.tricks.loss.cases import CLASSES, MODES, REGIONS, make


def _criterion(case, maps: torch.Tensor | None, weights=None) -> Criterion:
    rows = weights or ((((1.0, 1.0),) * REGIONS) if case.regions else ((1.0,) * CLASSES,))
    criterion = case.criterion(DistanceCrossEntropy(weights=rows))
    criterion.maps = maps
    return criterion


@pytest.mark.parametrize("mode", MODES)
def test_without_a_border_it_is_cross_entropy(mode: str) -> None:
    case = make(mode)
    expected = case.criterion(cross_entropy)(case.logits, case.target)
    nothing = torch.zeros(2, REGIONS if case.regions else 1, *case.logits.shape[2:])
    for maps in (None, nothing):
        torch.testing.assert_close(_criterion(case, maps)(case.logits, case.target), expected)


@pytest.mark.parametrize("mode", MODES)
def test_its_gradient_is_that_of_its_value(mode: str) -> None:
    case = make(mode, spatial=(3, 4), dtype=torch.float64)
    maps = torch.rand(2, REGIONS if case.regions else 1, 3, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(_criterion(case, maps), (case.logits, case.target))


def test_it_is_u_nets_equation_2() -> None:
    truth = torch.zeros(1, 1, 12, 14, dtype=torch.int16)
    truth[..., 2:6, 2:6], truth[..., 2:6, 7:11] = 1, 1
    logits = torch.randn(1, 2, 12, 14, dtype=torch.float64)
    near = border_weights(truth[0, 0].numpy(), (1, 1), border=10, sigma=5)
    w_c = (0.2, 1.8)
    weights = np.where(truth[0, 0] == 1, w_c[1], w_c[0]) + near
    expected = (torch.from_numpy(weights) * F.cross_entropy(logits, truth[:, 0].long(), reduction="none")).mean()
    criterion = Criterion(DistanceCrossEntropy(weights=(w_c,)))
    criterion.maps = torch.from_numpy(near)[None, None].double()
    torch.testing.assert_close(criterion(logits, truth), expected)


def test_the_surveys_equation_5_adds_the_map_which_then_teaches_nothing() -> None:
    case = make("labels", dtype=torch.float64)
    maps = torch.rand(2, 1, *case.logits.shape[2:], dtype=torch.float64)
    printed = case.criterion(lambda prediction: cross_entropy(prediction) + maps.mean())
    plain, as_printed, ours = (
        torch.autograd.grad(criterion(case.logits, case.target), case.logits)[0]
        for criterion in (case.criterion(cross_entropy), printed, _criterion(case, maps))
    )
    torch.testing.assert_close(as_printed, plain)
    assert (ours - plain).abs().max() > 0.1 * plain.abs().max()


def test_a_bridge_between_two_cells_costs_most_there() -> None:
    truth = torch.zeros(1, 1, 12, 14, dtype=torch.int16)
    truth[..., 2:6, 2:6], truth[..., 2:6, 7:11] = 1, 1
    criterion = Criterion(DistanceCrossEntropy(weights=((1.0, 1.0),)))
    make_map = partial(border_weights, border=10, sigma=2)
    criterion.maps = torch.from_numpy(make_map(truth[0, 0].numpy(), (1, 1)))[None, None]

    def cost(*at: int) -> torch.Tensor:
        predicted = truth[:, 0] > 0
        predicted[0, at[0], at[1]] = True
        return criterion(torch.stack([~predicted, predicted], 1).float() * 8, truth)

    assert cost(3, 6) > 3 * cost(11, 13)
