"""What a trainer with parts in its decoder says and refuses."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest
import torch

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.door import trainers


def log_of(bench: Bench, name: str, patch: tuple[int, int] = (32, 32)) -> str:
    found = trainers.find(f"nnUNetTrainer{name}")
    assert found is not None
    with bench.room(found, Situation("labels", "2d", True)) as run:
        planned = deepcopy(run.data.plans)
        planned["configurations"]["2d"] |= {"patch_size": list(patch)}
        trainer = run.trainer(
            {**planned, "continue_training": False}, "2d", 0, deepcopy(run.data.dataset_json), torch.device("cpu")
        )
        trainer.initialize()
        return Path(trainer.log_file).read_text()


def test_the_log_says_what_does_not_fit_and_what_it_costs(bench: Bench) -> None:
    log = log_of(bench, "AttentionGates_NonLocalASPP_tokens16_ResidualPath", patch=(64, 64))
    assert "NonLocalASPP: rates 2, 4, 6 have the common factor 2" in log
    assert "the 64 voxels of a bottleneck of 8x8 are more than 16 tokens: each looks at 4 means over 4x4 voxels" in log
    for trick in ("AttentionGates", "NonLocalASPP", "ResidualPath"):
        assert f"{trick}: " in log
    assert log.count("multiply-adds a patch") == 3
    log = log_of(bench, "PyramidPooling")
    assert "pools of 1, 2, 3, 6 cells are 1x1, 2x2, 3x3 in a bottleneck of 4x4" in log
    assert "ASPP: rates 2, 4, 6 are 2x2, 3x3 in a bottleneck of 4x4" in log_of(bench, "ASPP")
    assert "predictions leave out 1 of 4 stages" in log_of(bench, "DenseSkips_prune1")


@pytest.mark.parametrize("name", ["AttentionGates", "DenseSkips", "PyramidPooling", "ResidualPath"])
def test_a_single_voxel_is_refused_where_instance_norm_compares_voxels(bench: Bench, name: str) -> None:
    with pytest.raises(ValueError, match="at least 2 voxels, and a patch of 8x8 has 1 there, which InstanceNorm2d"):
        log_of(bench, name, patch=(8, 8))


def test_what_a_network_cannot_have_is_refused_before_a_folder_is_made(bench: Bench) -> None:
    found = trainers.find("nnUNetTrainerDenseSkips_prune3")
    assert found is not None
    with bench.room(found, Situation("labels", "2d", True)) as run:
        before = sorted(run.folder.rglob("*"))
        with pytest.raises(ValueError, match="prune of DenseSkips must be at most 2"):
            run.trainer(
                {**deepcopy(run.data.plans), "continue_training": False},
                "2d",
                0,
                deepcopy(run.data.dataset_json),
                torch.device("cpu"),
            )
        assert sorted(run.folder.rglob("*")) == before
