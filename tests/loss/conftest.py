from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import pytest

from nnunet_tricks import trainers
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Cell
from nnunet_tricks.criterion import Criterion, Loss


@pytest.fixture(scope="session")
def loss_of(bench: Bench) -> Callable[..., Loss]:
    """The loss that a trainer makes, from a trainer that nnU-Net could train."""
    made: dict[tuple[str, str, bool], Loss] = {}

    def make_loss(name: str, mode: str = "labels", *, batch_dice: bool = False) -> Loss:
        if (name, mode, batch_dice) not in made:
            trainer = trainers.find(name)
            assert trainer is not None
            with bench.room(trainer, Cell(mode, "2d", False)) as run:
                planned = deepcopy(run.data.plans)
                planned["configurations"]["2d"]["batch_dice"] = batch_dice
                run.data = replace(run.data, plans=planned)
                criterion = run.build().loss
                assert isinstance(criterion, Criterion)
                made[name, mode, batch_dice] = criterion.loss
        return made[name, mode, batch_dice]

    return make_loss
