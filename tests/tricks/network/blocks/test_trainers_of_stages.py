"""Trainers with other blocks or attention: what they say, and what they refuse."""

from __future__ import annotations

from contextlib import nullcontext
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.door import trainers
from nnunet_tricks.training.planned import Planned


def found(name: str) -> Any:
    return trainers.find(f"nnUNetTrainer{name}")


def log_of(bench: Bench, name: str) -> str:
    with bench.room(found(name), Situation("labels", "2d", True)) as run:
        return Path(run.build().log_file).read_text()


def test_the_log_says_where_and_at_what_cost(bench: Bench) -> None:
    log = log_of(bench, "Residual_SqueezeExcitation")
    assert "Residual: blocks of 4 stages of the encoder and 3 of the decoder" in log
    assert "SqueezeExcitation: behind 4 stages of the encoder and 3 of the decoder" in log
    assert "SqueezeExcitation: stages of 4 and 6 and 8 channels cannot be reduced 16 times" in log
    lines = [line for line in log.splitlines() if "compared with the network without it" in line]
    assert len(lines) == 2
    # 4, 6 and 8 channels with one value between the layers, behind seven stages; no convolution.
    assert any("SqueezeExcitation: " in line and "multiply-adds a patch (+0." in line for line in lines)


@pytest.mark.parametrize(
    "name", ["IFEEntropy", "Residual", "ShapeStream", "SqueezeExcitation", "TwoPointFiveD", "Wider"]
)
def test_a_stage_of_one_voxel_is_refused_before_a_folder_is_made(bench: Bench, name: str) -> None:
    with bench.room(found(name), Situation("labels", "2d", True)) as run:
        plans = deepcopy(run.data.plans)
        plans["configurations"]["2d"] |= {"patch_size": [8, 8]}
        with pytest.raises(ValueError, match="a patch of 8x8 has 1 there, which InstanceNorm2d cannot"):
            run.trainer({**plans, "continue_training": False}, "2d", 0, run.data.dataset_json, torch.device("cpu"))
        assert not (Path(run.folder) / "results").exists()


@pytest.mark.parametrize(
    ("name", "because"),
    [
        ("DenseSkips_prune1_ShapeStream", "prune of DenseSkips leaves out the deepest stages"),
        ("MixUp_ShapeStream", "MixUp blends two patches, whose edges lie in different places"),
        ("PartialLabels_ShapeStream", "PartialLabels trains on cases in which some classes"),
        ("MixUp_ShapeStream_edge0", ""),
        ("DenseSkips_ShapeStream", ""),
    ],
)
def test_beside_which_tricks_a_shape_stream_has_edges(bench: Bench, name: str, because: str) -> None:
    with bench.room(found(name), Situation("labels", "2d", True)) as run:
        planned = Planned.of(deepcopy(run.data.plans), "2d", run.data.dataset_json)
        with pytest.raises(ValueError, match=because) if because else nullcontext():
            found(name).check_planned(planned)


def test_batch_norm_takes_one_voxel_of_two_patches(bench: Bench) -> None:
    with bench.room(found("BN_Residual"), Situation("labels", "2d", True)) as run:
        plans = deepcopy(run.data.plans)
        plans["configurations"]["2d"] |= {"patch_size": [8, 8], "batch_size": 2}
        trainer = run.trainer(
            {**plans, "continue_training": False}, "2d", 0, deepcopy(run.data.dataset_json), torch.device("cpu")
        )
        trainer.initialize()
        trainer.network.train()
        assert trainer.network(torch.rand(2, 3, 8, 8))[0].isfinite().all()


@pytest.mark.parametrize("name", ["DepthwiseSeparable", "CBAM"])
def test_weights_of_a_plain_network_are_refused_before_a_folder_is_made(
    bench: Bench, tmp_path: Path, name: str
) -> None:
    with bench.room(found(name), Situation("labels", "2d", True)) as run:
        planned = Planned.of(deepcopy(run.data.plans), "2d", run.data.dataset_json)
        network = found(name).planned_network(planned)
        plain = found("_run2").planned_network(planned)
        file = tmp_path / "checkpoint_final.pth"
        torch.save(
            {"network_weights": {key: torch.zeros(value.shape) for key, value in plain.state_dict().items()}}, file
        )
        with pytest.raises(ValueError, match="takes a checkpoint whose network has the same layers"):
            found(name).check_given(file, network, planned)


@pytest.mark.parametrize("name", ["CBAM_SegResNet"])
def test_networks_of_other_kinds_are_refused(bench: Bench, name: str) -> None:
    with bench.room(found(name), Situation("labels", "3d", False)) as run:
        planned = Planned.of(deepcopy(run.data.plans), "3d_fullres", run.data.dataset_json)
        with pytest.raises(ValueError, match=r"CBAM changes the stages of nnU-Net's own U-Nets .* name \w*SegResNet"):
            found(name).check_planned(planned)
