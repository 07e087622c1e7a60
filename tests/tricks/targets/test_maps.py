from __future__ import annotations

import pickle
from copy import deepcopy

import numpy as np
import pytest
import torch

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import LABEL_MODES, Situation
from nnunet_tricks.door import trainers
from nnunet_tricks.tricks.targets.distance import signed_distance_in_voxels
from nnunet_tricks.tricks.targets.maps import AppendMaps, Layout
from nnunet_tricks.tricks.targets.pieces import map_of_annotated
from nnunet_tricks.tricks.targets.trainer import MappedLossTrainer


@pytest.mark.parametrize("labels", LABEL_MODES)
@pytest.mark.parametrize("dimension", ["2d", "3d"])
@pytest.mark.parametrize("deep_supervision", [True, False])
def test_maps_are_those_of_the_augmented_truth(
    bench: Bench, labels: str, dimension: str, deep_supervision: bool
) -> None:
    cls = trainers.find("nnUNetTrainerBoundary")
    assert cls is not None
    with bench.room(cls, Situation(labels, dimension, deep_supervision)) as run:
        trainer = run.build()
        assert isinstance(trainer, MappedLossTrainer)
        trainer.on_train_start()
        batch = next(trainer.dataloader_train)
        plain = trainer._without_maps(deepcopy(batch))
        maps = trainer.criterion.maps
        assert maps is not None
        full = plain["target"][0] if deep_supervision else plain["target"]
        layout, spacing = trainer.layout, trainer.configuration_manager.spacing
        for sample in range(len(full)):
            for mask, stored in zip(layout.kinds(full[sample]), maps[sample], strict=True):
                made = map_of_annotated(signed_distance_in_voxels, mask, spacing, layout.annotated(full[sample]))
                np.testing.assert_array_equal(stored, made)
        assert full.shape[1] == layout.channels
        assert full.dtype == (torch.bool if layout.regions else torch.int16)
        if deep_supervision:
            assert all(level.shape[1] == layout.channels for level in plain["target"][1:])
        assert maps.abs().max() > 1


def test_the_trainer_is_as_before_once_the_loaders_are_there(bench: Bench) -> None:
    cls = trainers.find("nnUNetTrainerBoundary")
    assert cls is not None
    with bench.room(cls, Situation("labels", "2d", True)) as run:
        trainer = run.build()
        trainer.on_train_start()
        assert not {"get_training_transforms", "get_validation_transforms"} & set(vars(trainer))


def test_workers_can_pickle_it() -> None:
    append = AppendMaps(signed_distance_in_voxels, Layout(2, False, True), (3, 1, 1))
    again = pickle.loads(pickle.dumps(append))
    truth = torch.zeros(1, 4, 8, 8, dtype=torch.int16)
    truth[..., 2:5, 2:5] = 1
    made = again(image=torch.zeros(1, 4, 8, 8), segmentation=[truth, truth[..., ::2]])["segmentation"]
    assert made[0].shape == (3, 4, 8, 8)
    assert made[1].shape == (1, 4, 8, 4)
    assert not made[0][2].any()  # the second class is not there


def test_splitting_gives_back_what_was_joined() -> None:
    for layout in (Layout(3, True, True), Layout(3, True, False), Layout(3, False, True)):
        target = torch.randint(0, 2, (2, layout.channels, 5, 6)).to(torch.bool if layout.regions else torch.int16)
        maps = torch.randn(2, 3, 5, 6)
        back, again = layout.split(torch.cat([target.float(), maps], 1))
        assert back.dtype == target.dtype
        assert torch.equal(back, target)
        assert torch.equal(again, maps)
