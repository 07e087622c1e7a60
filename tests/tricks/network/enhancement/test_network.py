"""nnU-Net's planned networks with enhanced skip connections."""

from __future__ import annotations

import re
from argparse import Namespace
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from nnunetv2.run import run_training
from nnunetv2.run.load_pretrained_weights import load_pretrained_weights
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.tiny_plans import tiny_plans
from nnunet_tricks.door import trainers
from nnunet_tricks.tricks.network.enhancement.decoder import EnhancedDecoder, enhanced_decoder
from nnunet_tricks.tricks.network.enhancement.pretrained import accept_plain_networks

TRICKS = ("IFECurvature", "IFEEntropy", "IFERandom")
UNET = "dynamic_network_architectures.architectures.unet."
SIZES = {"2d": (32, 32), "3d_fullres": (6, 24, 24)}


def plans_of(configuration: str, network: str = "PlainConvUNet", stages: int = 4) -> PlansManager:
    plans = tiny_plans("Dataset001_Tiny", flat=configuration == "2d", intensities={})
    architecture = plans["configurations"][configuration]["architecture"]
    settings = architecture["arch_kwargs"]
    architecture["network_class_name"] = UNET + network
    settings["n_stages"] = stages
    for key in ("features_per_stage", "kernel_sizes", "strides", "n_conv_per_stage"):
        settings[key] = settings[key][:stages]
    settings["n_conv_per_stage_decoder"] = settings["n_conv_per_stage_decoder"][: stages - 1]
    if network != "PlainConvUNet":
        settings["n_blocks_per_stage"] = settings.pop("n_conv_per_stage")
    return PlansManager(plans)


def built(trainer: str, configuration: str = "2d", network: str = "PlainConvUNet", stages: int = 4) -> Any:
    found = trainers.find(f"nnUNetTrainer{trainer}")
    assert found is not None
    plans = plans_of(configuration, network, stages)
    manager = plans.get_configuration(configuration)
    torch.manual_seed(0)
    return found.build_network_architecture(plans, manager, 1, 3, True)  # type: ignore[attr-defined]


def shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(weight.shape) for name, weight in network.named_parameters()}


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("configuration", SIZES)
@pytest.mark.parametrize("network", ["PlainConvUNet", "ResidualEncoderUNet"])
def test_only_the_decoder_convolutions_of_the_chosen_stages_differ(
    trick: str, configuration: str, network: str
) -> None:
    plain, mine = built("", configuration, network), built(f"{trick}_r0p5x1", configuration, network)
    assert type(mine) is type(plain)
    assert list(mine.state_dict()) == list(plain.state_dict())
    theirs = shapes(plain)
    different = {name: shape for name, shape in shapes(mine).items() if shape != theirs[name]}
    # Features are 4, 6, 8, 8: of three skip connections the deeper two, half of 6 channels and all 8 more.
    expected = {"decoder.stages.1.convs.0.conv.weight": 3, "decoder.stages.0.convs.0.conv.weight": 8}
    assert {name: shape[1] - theirs[name][1] for name, shape in different.items()} == expected
    assert all(shape[0] == theirs[name][0] and shape[2:] == theirs[name][2:] for name, shape in different.items())


@pytest.mark.parametrize("network", ["PlainConvUNet", "ResidualEncoderUNet"])
def test_new_weights_are_drawn_as_nnunet_draws_them(network: str) -> None:
    mine, plain = built("IFECurvature_r1x1", "2d", network), built("", "2d", network)
    new, old = (net.decoder.stages[0].convs[0].conv for net in (mine, plain))
    assert (new.bias == 0).all()
    # He's rule for LeakyReLU: variance in inverse proportion to the inputs.
    ratio = (new.weight.std() * new.in_channels**0.5) / (old.weight.std() * old.in_channels**0.5)
    assert ratio.item() == pytest.approx(1, abs=0.15)


def test_flat_kernels_make_flat_neighbourhoods() -> None:
    decoder = built("IFECurvature_r0p5x0p5x0p5", "3d_fullres").decoder
    assert [enhancement.axes for _, enhancement in decoder.enhanced()] == [(1, 2), (0, 1, 2), (0, 1, 2)]


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("configuration", SIZES)
def test_every_weight_learns_with_and_without_deep_supervision(trick: str, configuration: str) -> None:
    network = built(trick, configuration)
    levels = network(torch.randn(2, 1, *SIZES[configuration]))
    assert len(levels) == 3
    torch.stack([level.square().mean() for level in levels]).sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in decoder_kernels(network))
    network.decoder.deep_supervision = False
    with torch.inference_mode():
        assert network(torch.randn(1, 1, *SIZES[configuration])).shape == (1, 3, *SIZES[configuration])


def decoder_kernels(network: Any) -> list[Tensor]:
    return [stage.convs[0].conv.weight for stage in network.decoder.stages]


@pytest.mark.parametrize("trick", TRICKS)
def test_an_image_is_predicted_alike_whatever_stands_beside_it(trick: str) -> None:
    network = built(trick).eval()
    images = torch.randn(3, 1, 32, 32)
    with torch.no_grad():
        together = network(images)[0]
        alone = torch.cat([network(image[None])[0] for image in images])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("trick", [*TRICKS, "IFEEntropy_reference", "IFEEntropy_unique", "IFEEntropy_bins65536"])
def test_the_compiler_needs_no_break_in_its_graph(trick: str) -> None:
    """That the whole network is trained alike when compiled is for the conformance tests."""
    (_, layer), *_ = built(trick).decoder.enhanced()
    features = torch.randn(2, 6, 9, 8)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    assert torch.equal(compiled(features), layer(features))


def test_under_ddp_every_weight_gets_its_gradient(tmp_path: Path) -> None:
    torch.distributed.init_process_group("gloo", init_method=(tmp_path / "group").as_uri(), rank=0, world_size=1)
    try:
        wrapped = DistributedDataParallel(built("IFEEntropy"))
        for _ in range(2):  # DDP complains in the second step about what the first one left out
            torch.stack([level.mean() for level in wrapped(torch.randn(2, 1, 32, 32))]).sum().backward()
        assert isinstance(enhanced_decoder(wrapped), EnhancedDecoder)
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize("network", ["PlainConvUNet", "ResidualEncoderUNet"])
@pytest.mark.parametrize("compiled", [False, True])
def test_pretrained_weights_of_a_plain_network_are_where_the_training_starts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    network: str,
    compiled: bool,
) -> None:
    """Through the function that ``nnUNetv2_train -pretrained_weights`` calls."""
    monkeypatch.setattr(run_training, "load_pretrained_weights", load_pretrained_weights)
    plain, mine = built("", network=network), built("IFECurvature", network=network)
    file = tmp_path / "checkpoint_final.pth"
    torch.save({"network_weights": plain.state_dict()}, file)
    with pytest.raises(AssertionError, match="shape"):
        run_training.load_pretrained_weights(mine, str(file))
    accept_plain_networks()
    accept_plain_networks()
    run_training.load_pretrained_weights(torch.compile(mine, backend="eager") if compiled else mine, str(file))
    assert f"{file} holds a plain U-Net" in capsys.readouterr().out
    mine.decoder.seg_layers.load_state_dict(plain.decoder.seg_layers.state_dict())  # which nnU-Net never takes over
    images = torch.randn(2, 1, 32, 32)
    torch.testing.assert_close(mine(images), plain(images))
    mine(images)[0].square().mean().backward()
    new = mine.decoder.stages[1].convs[0].conv.weight
    assert new.grad[:, 12:].abs().sum() > 0


def test_pretrained_weights_that_fit_stay_as_they_are_and_others_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_training, "load_pretrained_weights", load_pretrained_weights)
    accept_plain_networks()
    curvature, other = built("IFECurvature"), built("IFEEntropy_r0p75x0p5")
    file = tmp_path / "checkpoint_final.pth"
    weights = {name: 2 * weight for name, weight in curvature.state_dict().items()}
    torch.save({"network_weights": weights}, file)
    run_training.load_pretrained_weights(other, str(file))
    loaded = {name: weight for name, weight in other.state_dict().items() if "seg_layers" not in name}
    assert all(torch.equal(weight, weights[name]) for name, weight in loaded.items())
    for target in (built("IFECurvature_r0p5x0p5"), built("")):
        with pytest.raises(AssertionError, match="shape"):
            run_training.load_pretrained_weights(target, str(file))


def test_a_file_that_holds_more_than_data_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_training, "load_pretrained_weights", load_pretrained_weights)
    file = tmp_path / "checkpoint_final.pth"
    torch.save({"network_weights": built("").state_dict(), "args": Namespace(lr=0.01)}, file)
    accept_plain_networks()
    with pytest.raises(ValueError, match=r"argparse\.Namespace.*give a file with its weights alone: torch\.save"):
        run_training.load_pretrained_weights(built("IFECurvature"), str(file))


def test_the_start_of_a_training_ends_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_training, "load_pretrained_weights", load_pretrained_weights)
    found = trainers.find("nnUNetTrainerIFECurvature")
    assert found is not None
    with bench.room(found, Situation("labels", "2d", True)) as run:
        trainer = run.build()
        assert run_training.load_pretrained_weights is not load_pretrained_weights
        trainer.on_train_start()
        assert run_training.load_pretrained_weights is load_pretrained_weights


def said_by(bench: Bench, trick: str) -> str:
    found = trainers.find(f"nnUNetTrainer{trick}")
    assert found is not None
    with bench.room(found, Situation("labels", "2d", True)) as run:
        trainer = run.build()
        return Path(trainer.log_file).read_text()


def test_the_log_says_what_is_enhanced(bench: Bench) -> None:
    log = said_by(bench, "IFECurvature")
    assert "IFECurvature: skip connection 1 shows 4 of its 6 channels twice" in log
    assert "IFECurvature: skip connection 2 shows 4 of its 8 channels twice" in log
    assert "nothing" not in log


@pytest.mark.parametrize("ratios", ["r0x0", "r0p1x0p1"])
def test_ratios_that_select_no_channel_are_nnunets_network_and_say_so(bench: Bench, ratios: str) -> None:
    log = said_by(bench, f"IFECurvature_{ratios}")
    assert "skip connection 1 shows 0 of its 6 channels twice, so nothing changes there" in log
    assert "changes nothing, its ratios select no channel: this is the network without it" in log
    plain, mine = built(""), built(f"IFECurvature_{ratios}")
    assert shapes(plain) == shapes(mine)
    images = torch.randn(2, 1, 32, 32)
    torch.testing.assert_close(mine(images), plain(images), atol=0, rtol=0)


@pytest.mark.parametrize(
    ("trainer", "stages", "named"),
    [
        ("IFECurvature_r0p5x0p5x0p5x0p5", 4, "r names ratios of 4 stages, but the network has 3 skip connections"),
        ("IFECurvature_shallow", 3, "the network has 2 skip connections, 1 of them below full resolution"),
        ("IFEEntropy_bins200", 4, "bins must be a square number.* got 200"),
    ],
)
def test_settings_that_the_network_cannot_have_are_refused(trainer: str, stages: int, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        built(trainer, stages=stages)


def test_a_network_that_is_not_nnunets_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    own = staticmethod(lambda *arguments: nn.Conv2d(1, 3, 1))
    monkeypatch.setattr(nnUNetTrainer, "build_network_architecture", own)
    with pytest.raises(ValueError, match=re.escape("nnU-Net's own U-Nets (PlainConvUNet, ResidualEncoderUNet)")):
        built("IFECurvature")


def test_a_network_can_be_copied() -> None:
    network = built("IFEEntropy").eval()
    images = torch.randn(1, 1, 32, 32)
    torch.testing.assert_close(deepcopy(network)(images), network(images))
