from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import pytest
import torch

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.door import trainers
from nnunet_tricks.training.criterion import Criterion, Loss
from nnunet_tricks.tricks.targets.maps import AppendMaps
from nnunet_tricks.tricks.targets.trainer import MappedLossTrainer
from tests.tricks.loss.cases import CLASSES, Case, maps_of


class _Made(NamedTuple):
    loss: Loss
    maps: AppendMaps | None


@pytest.fixture(scope="session")
def _make(bench: Bench) -> Callable[..., _Made]:
    @cache
    def make(name: str, mode: str, dimension: str, batch_dice: bool, classes: int) -> _Made:
        cls = trainers.find(name)
        assert cls is not None
        with bench.room(cls, Situation(mode, dimension, False)) as run:
            plans, described = deepcopy((run.data.plans, run.data.dataset_json))
            for configuration in plans["configurations"].values():
                configuration["batch_dice"] = batch_dice
            known = len(described["labels"])
            if classes > CLASSES:
                described["labels"] |= {f"absent {label}": label for label in range(known, classes)}
            run.data = replace(run.data, plans=plans, dataset_json=described)
            trainer = run.build()
            criterion = trainer.loss
            assert isinstance(criterion, Criterion)
            maps = trainer.maps_of_truth if isinstance(trainer, MappedLossTrainer) else None
            return _Made(criterion.loss, maps)

    return make


@pytest.fixture(scope="session")
def made_of(_make: Callable[..., _Made]) -> Callable[..., _Made]:
    """The loss that a trainer makes, and what makes its maps."""
    return lambda name, mode, dimension: _make(name, mode, dimension, False, CLASSES)


@pytest.fixture(scope="session")
def loss_of(_make: Callable[..., _Made]) -> Callable[..., Loss]:
    """The loss that a trainer makes, from a trainer that nnU-Net could train."""
    return lambda name, mode="labels", *, batch_dice=False: _make(name, mode, "2d", batch_dice, CLASSES).loss


@pytest.fixture(scope="session")
def criterion_of(_make: Callable[..., _Made]) -> Callable[..., Criterion]:
    """A trainer's criterion for a case, in the middle of the training and with the maps of the case's truth."""

    def make(name: str, mode: str, case: Case, *, spacing: tuple[float, ...] = ()) -> Criterion:
        dimension = f"{case.logits.ndim - 2}d"
        made = _make(name, mode, dimension, False, CLASSES if case.regions else case.logits.shape[1])
        criterion = case.criterion(made.loss)
        criterion.progress = 0.5
        if made.maps is not None:
            maps = maps_of(case, made.maps.map_of_kinds, made.maps.layout, spacing)
            criterion.maps = maps.to(case.logits.dtype)
        return criterion

    return make


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
