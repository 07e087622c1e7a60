"""What name, plans and data set tell is refused before nnU-Net makes a folder."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.run import CONFIGURATIONS
from nnunet_tricks.door.lookup import find_trainer
from nnunet_tricks.nnunet.plans_file import NOT_TO_ONE_SPACING

CELL = Situation("labels", "3d", True)


def one_patch(plans: dict[str, Any]) -> None:
    plans["configurations"]["3d_fullres"]["batch_size"] = 1


def small_patch(plans: dict[str, Any]) -> None:
    plans["configurations"]["3d_fullres"]["patch_size"] = [2, 8, 8]


def unresampled(plans: dict[str, Any]) -> None:
    plans["configurations"]["3d_fullres"]["resampling_fn_data"] = NOT_TO_ONE_SPACING[0]


def other_network(plans: dict[str, Any]) -> None:
    architecture = plans["configurations"]["3d_fullres"]["architecture"]
    architecture["network_class_name"] = "dynamic_network_architectures.architectures.primus.PrimusS"
    architecture["arch_kwargs"] = {"patch_embed_size": [2, 8, 8], "input_shape": [6, 24, 24]}
    architecture["_kw_requires_import"] = []


def long_name(plans: dict[str, Any]) -> None:
    plans["plans_name"] = "nnUNetPlans" + "_of_this_site" * 18


REFUSED: list[tuple[str, Callable[[dict[str, Any]], None] | None, str]] = [
    ("Warmup_20epochs", None, "length of Warmup must be less than the 20 epochs of the training, got 50"),
    ("Warmup_length7_7epochs", None, "less than the 7 epochs"),
    ("Warmup_50epochs_shared_run2", None, "less than the 50 epochs"),
    ("DiceWCE_weights1x2", None, "weights of DiceWCE must hold 3 numbers, one for each of background, organ, core"),
    ("WCE_weights1x2x3x4", None, "weights of WCE must hold 3 numbers"),
    ("WCE_weights0x0x0", None, "must not all be 0"),
    ("Tversky_alpha0_beta0", None, "alpha and beta of Tversky must not both be 0"),
    ("TverskyCE_alpha0_beta0_cb1", None, "alpha and beta of TverskyCE must not both be 0"),
    ("FocalTversky_alpha0_beta0", None, "alpha and beta of FocalTversky must not both be 0"),
    ("FocalTverskyCE_alpha0_beta0", None, "alpha and beta of FocalTverskyCE must not both be 0"),
    ("Blob_alpha0_beta0", None, "alpha and beta of Blob must not both be 0"),
    ("SGD_momentum0_nesterov", None, "SGD: nesterov looks ahead"),
    ("MedISeg3D_SGD_momentum0_nesterov", None, "SGD: nesterov looks ahead"),
    ("RandomErasing_high0", None, "low of RandomErasing must be at most high"),
    ("RandomErasing_low0p5", None, "low of RandomErasing must be at most high"),
    ("IFEEntropy_bins5", None, "bins must be a square number"),
    ("BN_IFEEntropy_bins5", None, "bins must be a square number"),
    ("IFECurvature_r0p5x0p5x0p5x0p5", None, "r names ratios of 4 stages, but the network has 3 skip connections"),
    ("IFERandom_r0p5x0p5x0p5_shallow", None, "2 of them below full resolution"),
    ("MixUp", one_patch, "a batch of this process has 1"),
    ("CutMix", one_patch, "a batch of this process has 1"),
    ("Hausdorff_both", unresampled, "does not resample images to it"),
    ("InstanceNorm", small_patch, "needs at least 2 values to normalise"),
    ("GroupNorm", other_network, "replaces the norm layers of nnU-Net's own U-Nets"),
    ("Tversky", long_name, "a folder's name has at most 255"),
]


@pytest.mark.parametrize(("name", "change", "reason"), REFUSED, ids=[f"{name}" for name, *_ in REFUSED])
def test_it_is_refused_before_a_folder_is_made(
    bench: Bench, name: str, change: Callable[[dict[str, Any]], None] | None, reason: str
) -> None:
    trainer = find_trainer(f"nnUNetTrainer{name}")
    with bench.room(trainer, CELL) as run:
        plans = deepcopy(run.data.plans)
        if change:
            change(plans)
        before = torch.random.get_rng_state()
        with pytest.raises(ValueError, match=reason):
            trainer(
                plans={**plans, "continue_training": False},
                configuration=CONFIGURATIONS["3d"],
                fold=0,
                dataset_json=deepcopy(run.data.dataset_json),
                device=torch.device("cpu"),
            )
        assert torch.equal(torch.random.get_rng_state(), before)
        assert not (Path(run.folder) / "results").exists()
