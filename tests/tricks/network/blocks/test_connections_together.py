"""Parts of several slots in one network, and what is true for all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from nnunetv2.run import run_training
from nnunetv2.run.load_pretrained_weights import load_pretrained_weights
from torch.nn.parallel import DistributedDataParallel

from nnunet_tricks.catalogue.naming import IllegalName, parse
from nnunet_tricks.tricks.network.enhancement.decoder import EnhancedDecoder
from nnunet_tricks.tricks.network.enhancement.pretrained import accept_plain_networks
from tests.tricks.network.blocks.connected import NETWORKS, SIZES, built, image_of, outputs_of, same

ALL = "ASPP_AttentionGates_BN_IFECurvature_ResidualPath"
"""A part of each slot, and norm layers, in the order of names."""
NESTED = "AttentionGates_DenseSkips_LayerNorm_NonLocal_ResidualPath"


def stepped(network: Any, image: torch.Tensor) -> None:
    torch.stack([level.square().mean() for level in network(image)]).sum().backward()


@pytest.mark.parametrize("trainer", [ALL, NESTED])
@pytest.mark.parametrize("configuration", SIZES)
@pytest.mark.parametrize("network", NETWORKS)
def test_parts_of_all_slots_stand_in_one_network(trainer: str, configuration: str, network: str) -> None:
    mine = built(trainer, configuration, network)
    decoder = mine.decoder
    assert isinstance(decoder, EnhancedDecoder)
    assert list(decoder.gates) == ["1", "2"]
    assert list(decoder.paths) == ["1", "2"]
    assert decoder.bottleneck is not None
    stepped(mine, image_of(configuration))
    assert all(weight.grad is not None for weight in mine.parameters())
    # Prediction builds it again without deep supervision.
    again = built(trainer, configuration, network)
    again.load_state_dict(mine.state_dict())
    image = image_of(configuration)
    assert same(outputs_of(again.eval(), image), outputs_of(mine.eval(), image))


@pytest.mark.parametrize("order", [("gates", "path"), ("path", "gates")])
def test_what_comes_along_is_passed_then_enhanced_then_gated(order: tuple[str, str]) -> None:
    """Whatever order the parts were put in."""
    from nnunet_tricks.tricks.network.blocks.attention_gates import put_gates
    from nnunet_tricks.tricks.network.blocks.residual_path import put_paths

    network = built("IFECurvature")
    for part in order:
        if part == "gates":
            put_gates(network, fine=False, full=False)
        else:
            put_paths(network, (1,), wide=True)
    seen: dict[str, torch.Tensor] = {}
    decoder = network.decoder
    decoder.paths["1"].register_forward_hook(lambda module, inputs, output: seen.update(passed=output))
    decoder.enhancements["1"].register_forward_hook(
        lambda module, inputs, output: seen.update(enhancing=inputs[0], enhanced=output)
    )
    decoder.gates["1"].register_forward_hook(
        lambda module, inputs, output: seen.update(gating=inputs[0], below=inputs[1], upsampled=inputs[2], alpha=output)
    )
    decoder.stages[1].register_forward_pre_hook(lambda module, inputs: seen.update(arrives=inputs[0]))
    network(image_of("2d"))
    assert torch.equal(seen["enhancing"], seen["passed"])
    assert torch.equal(seen["gating"], seen["passed"])
    assert seen["enhanced"].shape[1] > seen["passed"].shape[1]
    assert torch.equal(seen["arrives"], torch.cat([seen["upsampled"], seen["enhanced"] * seen["alpha"]], 1))


def test_slots_clash_with_themselves_and_with_whole_networks() -> None:
    for name in ("ASPP_NonLocal", "DenseSkips_IFECurvature", "DenseSkips_NoDeepSupervision", "ASPP_AttentionUNet"):
        with pytest.raises(IllegalName):
            parse(f"nnUNetTrainer{name}")
    with pytest.raises(IllegalName):
        parse("nnUNetTrainerAttentionGates_SegResNet")
    parse("nnUNetTrainerAttentionGates_ResNet50UNet")


@pytest.mark.parametrize("trainer", ["AttentionGates", "DenseSkips", "NonLocal", "ResidualPath", ALL])
def test_weights_of_a_plain_network_are_where_a_training_starts(
    trainer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through the function that ``nnUNetv2_train -pretrained_weights`` calls."""
    monkeypatch.setattr(run_training, "load_pretrained_weights", load_pretrained_weights)
    plain, mine = built("BN_run2" if "BN" in trainer else ""), built(trainer)
    for weight in plain.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    file = tmp_path / "checkpoint_final.pth"
    torch.save({"network_weights": plain.state_dict()}, file)
    first = {name: tensor.clone() for name, tensor in mine.state_dict().items()}
    accept_plain_networks()
    run_training.load_pretrained_weights(mine, str(file))
    said = capsys.readouterr().out
    theirs = plain.state_dict()
    for name, tensor in mine.state_dict().items():
        if "seg_layers" in name:
            continue
        if name not in theirs:
            assert torch.equal(tensor, first[name]), name
        elif tensor.shape == theirs[name].shape:
            assert torch.equal(tensor, theirs[name]), name
        else:
            known = theirs[name].shape[1]
            assert torch.equal(tensor[:, :known], theirs[name])
            assert not tensor[:, known:].any()
    assert "which it does not have, begin with new weights" in said
    # A file with the parts is taken as it is.
    torch.save({"network_weights": {name: 2 * tensor for name, tensor in first.items()}}, file)
    run_training.load_pretrained_weights(mine, str(file))
    assert all(
        torch.equal(tensor, 2 * first[name]) for name, tensor in mine.state_dict().items() if "seg_layers" not in name
    )


def test_under_ddp_every_weight_gets_its_gradient(tmp_path: Path) -> None:
    torch.distributed.init_process_group("gloo", init_method=(tmp_path / "group").as_uri(), rank=0, world_size=1)
    try:
        for trainer in (ALL, NESTED):
            wrapped = DistributedDataParallel(built(trainer))
            for _ in range(2):  # DDP complains in the second step about what the first one left out
                stepped(wrapped, image_of("2d"))
    finally:
        torch.distributed.destroy_process_group()


def test_a_network_of_timm_takes_them_too() -> None:
    network = built("AttentionGates_DenseSkips_NonLocal_ResidualPath_TimmUNet_test_resnet")
    levels = network(torch.randn(2, 1, 40, 33))
    assert {tuple(level.shape[2:]) for level in levels} == {(40, 33)}
    stepped(network, torch.randn(2, 1, 64, 64))
    assert all(weight.grad is not None for weight in network.decoder.gates.parameters())
