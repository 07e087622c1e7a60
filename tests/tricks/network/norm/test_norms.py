"""Norm layers inside nnU-Net's planned networks."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.training.nnUNetTrainer.variants.network_architecture.nnUNetTrainerBN import nnUNetTrainerBN
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from torch import nn

from nnunet_tricks.conformance.baseline import check_baseline
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.tiny_plans import tiny_plans
from nnunet_tricks.door import trainers
from nnunet_tricks.tricks.network.norm.layers import GroupNorm, LayerNorm

UNET = "dynamic_network_architectures.architectures.unet."
SIZES = {"2d": (32, 32), "3d_fullres": (6, 24, 24)}
NORMS = {"BN": nn.modules.batchnorm._BatchNorm, "GroupNorm": GroupNorm, "LayerNorm": LayerNorm}
NETWORKS = ("PlainConvUNet", "ResidualEncoderUNet")


def found(name: str) -> type[nnUNetTrainer]:
    trainer = trainers.find(f"nnUNetTrainer{name}")
    assert trainer is not None
    return trainer


def plans_of(configuration: str, network: str = "PlainConvUNet") -> dict[str, Any]:
    plans = tiny_plans("Dataset001_Tiny", flat=configuration == "2d", intensities={})
    architecture = plans["configurations"][configuration]["architecture"]
    architecture["network_class_name"] = UNET + network
    settings = architecture["arch_kwargs"]
    if network != "PlainConvUNet":
        settings["n_blocks_per_stage"] = settings.pop("n_conv_per_stage")
    return plans


def built(name: str, plans: dict[str, Any], configuration: str) -> nn.Module:
    manager = PlansManager(plans)
    torch.manual_seed(0)
    return found(name).build_network_architecture(manager, manager.get_configuration(configuration), 1, 3, False)


def norms_of(network: nn.Module) -> list[nn.Module]:
    """Each where it stands first in the tree, whatever it is."""
    kinds = (nn.modules.batchnorm._NormBase, nn.GroupNorm)
    return [module for module in network.modules() if isinstance(module, kinds)]


@pytest.mark.parametrize("name", ["BN_run2", "GroupNorm", "LayerNorm"])
@pytest.mark.parametrize("configuration", SIZES)
@pytest.mark.parametrize("network", NETWORKS)
def test_every_norm_layer_is_replaced_and_nothing_else(name: str, configuration: str, network: str) -> None:
    plans = plans_of(configuration, network)
    before = deepcopy(plans)
    mine, plain = built(name, plans, configuration), built("", plans, configuration)
    assert plans == before
    assert all(isinstance(layer, NORMS[name.removesuffix("_run2")]) for layer in norms_of(mine))
    assert len(norms_of(mine)) == len(norms_of(plain))
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    weights = {key: value for key, value in mine.state_dict().items() if not key.endswith(statistics)}
    assert weights.keys() == plain.state_dict().keys()
    # The same first weights, too: no layer draws any for its norm.
    assert all(torch.equal(value, weights[key]) for key, value in plain.state_dict().items())
    image = torch.rand(2, 1, *SIZES[configuration])
    assert mine(image).shape == plain(image).shape
    assert not torch.equal(mine(image), plain(image))


@pytest.mark.parametrize("dimension", ["2d", "3d"])
def test_batch_norm_is_nnunets_own_bit_for_bit(bench: Bench, dimension: str) -> None:
    trainer = found("BN_run2")
    assert trainer is not nnUNetTrainerBN
    report = check_baseline(bench, trainer, (), base=nnUNetTrainerBN, situation=Situation("labels", dimension, True))
    assert report.explain() == []


@pytest.mark.parametrize("network", NETWORKS)
def test_instance_norm_is_nnunets_own_even_beside_a_base(network: str) -> None:
    for configuration in SIZES:
        plans = plans_of(configuration, network)
        mine, plain = built("MedISeg3D_InstanceNorm", plans, configuration), built("", plans, configuration)
        assert str(mine) == str(plain)
        image = torch.rand(1, 1, *SIZES[configuration])
        assert torch.equal(mine(image), plain(image))


@given(st.integers(1, 6).map(lambda n: 4 * n), st.integers(2, 64), st.integers(0, 9))
def test_group_norm_is_torchs_with_as_many_groups_as_fit(channels: int, groups: int, seed: int) -> None:
    torch.manual_seed(seed)
    layer = GroupNorm(channels, groups=groups)
    image = torch.randn(2, channels, 5, 6)
    made = max(n for n in range(1, channels + 1) if channels % n == 0 and groups % n == 0)
    torch.testing.assert_close(layer(image), nn.functional.group_norm(image, made))


def test_as_many_groups_as_channels_are_instance_norm_and_one_is_layer_norm() -> None:
    image = torch.randn(2, 8, 5, 6, 7)
    torch.testing.assert_close(GroupNorm(8, groups=8)(image), nn.InstanceNorm3d(8, affine=True)(image))
    torch.testing.assert_close(
        LayerNorm(8)(image), nn.functional.layer_norm(image, image.shape[1:]), rtol=1e-4, atol=1e-5
    )


def test_normalisation_goes_with_instructive_features() -> None:
    plans = plans_of("2d")
    network = built("BN_IFECurvature", plans, "2d")
    assert all(isinstance(layer, nn.BatchNorm2d) for layer in norms_of(network))
    assert "Enhanced" in type(network.decoder).__name__


def test_layers_with_fewer_groups_are_in_the_log(bench: Bench) -> None:
    with bench.room(found("GroupNorm_groups4"), Situation("labels", "2d", True)) as run:
        log = Path(run.build().log_file).read_text()
    assert "layers of 4 channels have 4 groups, which is instance norm" in log
    assert "layers of 6 channels have 2 groups, not 4" in log
    assert "layers of 8" not in log


def log_with_batch_of(bench: Bench, name: str, batch: int, patch: list[int]) -> str:
    with bench.room(found(name), Situation("labels", "2d", True)) as run:
        planned = deepcopy(run.data.plans)
        planned["configurations"]["2d"] |= {"batch_size": batch, "patch_size": patch}
        trainer = run.trainer(
            {**planned, "continue_training": False}, "2d", 0, deepcopy(run.data.dataset_json), torch.device("cpu")
        )
        trainer.initialize()
        trainer.network.train()
        trainer.network(torch.rand(batch, 3, *patch))
        return Path(trainer.log_file).read_text()


def test_a_batch_of_one_is_said_to_be_one(bench: Bench) -> None:
    note = "a batch is one patch, which is normalised by itself in training"
    assert note in log_with_batch_of(bench, "BN_run2", 1, [32, 32])
    assert note not in log_with_batch_of(bench, "BN_run2", 2, [32, 32])


@pytest.mark.parametrize("name", ["BN_run2", "InstanceNorm_run2"])
def test_a_single_value_is_refused_before_it_is_normalised(bench: Bench, name: str) -> None:
    """Four stages pool a patch of 8 by 8 to one voxel."""
    with pytest.raises(ValueError, match=r"needs at least 2 values to normalise, and has 1 .* a patch of 8x8 has 1x1"):
        log_with_batch_of(bench, name, 1, [8, 8])


@pytest.mark.parametrize("name", ["BN_run2", "LayerNorm", "GroupNorm_groups2"])
def test_two_values_are_enough(bench: Bench, name: str) -> None:
    log_with_batch_of(bench, name, 2 if name == "BN_run2" else 1, [8, 8])


def test_networks_without_norm_layers_of_nnunets_kind_are_refused() -> None:
    plans = plans_of("2d")
    architecture = plans["configurations"]["2d"]["architecture"]
    del architecture["arch_kwargs"]["norm_op"]
    with pytest.raises(ValueError, match=r"LayerNorm replaces the norm layers of nnU-Net's own U-Nets"):
        built("LayerNorm", plans, "2d")
