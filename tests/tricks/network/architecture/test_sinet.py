"""SINetV2: what its paper says about its parts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.tricks.network.architecture.sinet import (
    OUTPUTS,
    NeighborConnection,
    ReversalStage,
    SINetV2,
    TextureEnhancement,
    interleaved,
)
from tests.tricks.network.architecture.networks import built, trainer_of

TINY = {"layers": (1, 1, 1, 1), "channels": (8, 16, 16, 16), "base_width": 26, "stem_width": 8}


def tiny(channels: int = 3, classes: int = 2, **changes: Any) -> SINetV2:
    torch.manual_seed(0)
    return SINetV2(channels, classes, **TINY | changes).eval()


def unused(network: nn.Module) -> list[str]:
    return [name for name, weight in network.named_parameters() if weight.grad is None]


def test_weights_are_as_many_as_published() -> None:
    with torch.device("meta"):
        network = SINetV2(3, 1)
    weights = sum(weight.numel() for weight in network.parameters())
    classifier = 2048 * 1000 + 1000
    assert weights == 24_926_642
    assert (weights + classifier) / 1e6 == pytest.approx(26.98, abs=0.005)


@pytest.mark.parametrize(("channels", "classes", "size"), [(1, 1, (64, 96)), (3, 4, (45, 33)), (4, 2, (20, 16))])
def test_all_outputs_have_the_size_of_the_image(channels: int, classes: int, size: tuple[int, int]) -> None:
    network, image = tiny(channels, classes), torch.randn(2, channels, *size)
    alone = network(image)
    network.decoder.deep_supervision = True
    outputs = network(image)
    assert [output.shape for output in outputs] == [(2, classes, *size)] * OUTPUTS
    assert torch.equal(outputs[0], alone)


@pytest.mark.parametrize("deep_supervision", [False, True])
def test_every_weight_is_trained(deep_supervision: bool) -> None:
    network = tiny(deep_supervision=deep_supervision).train()
    outputs = network(torch.randn(2, 3, 64, 64))
    (outputs[0] if deep_supervision else outputs).square().mean().backward()
    assert not unused(network)


def test_textures_are_seen_as_far_as_the_paper_says() -> None:
    texture = TextureEnhancement(4).eval()
    features = torch.randn(1, 4, 41, 41, requires_grad=True)
    texture(features)[0, :, 20, 20].sum().backward()
    assert features.grad is not None
    rows = features.grad.abs().amax((0, 1, 3)).nonzero().flatten()
    # 7 x 7 in two steps, 3 x 3 with gaps of 7, and 3 x 3 where the branches are joined.
    assert (rows[0], rows[-1]) == (20 - 3 - 7 - 1, 20 + 3 + 7 + 1)


def test_deep_features_gate_shallow_ones() -> None:
    connection = NeighborConnection(2).eval()
    shallow, middle, deep = (torch.randn(1, 32, side, side) for side in (12, 6, 3))
    joined: list[torch.Tensor] = []
    connection.join_three.register_forward_pre_hook(lambda _, inputs: joined.extend(inputs))
    for gate in (connection.gated_gate, connection.middle_gate):
        nn.init.zeros_(gate[1].weight)
        nn.init.constant_(gate[1].bias, 3.0)
    connection(shallow, middle, deep)
    torch.testing.assert_close(joined[0][:, :32], 9 * shallow)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_guides_stand_behind_each_group(groups: int) -> None:
    features, guides = torch.randn(2, 4, 3, 3), torch.randn(2, 3, 3, 3)
    rows = interleaved(features, guides, groups).unflatten(1, (groups, -1))
    assert torch.equal(rows[:, :, : 4 // groups].flatten(1, 2), features)
    assert torch.equal(rows[:, :, 4 // groups :], guides.unsqueeze(1).expand(-1, groups, -1, -1, -1))


def test_a_stage_begins_with_what_the_logits_leave_out() -> None:
    stage, logits = ReversalStage(2), torch.randn(1, 2, 5, 5)
    for weight in stage.parameters():
        nn.init.zeros_(weight)
    torch.testing.assert_close(stage(torch.randn(1, 32, 5, 5), logits), logits + 1 - logits.sigmoid())


def test_the_decoder_sees_textures_as_they_are() -> None:
    network, image = tiny(deep_supervision=True), torch.randn(1, 3, 64, 64)
    before = network(image)
    network.reversal_inputs[0] = nn.Threshold(torch.inf, 0.0)
    after = network(image)
    assert [torch.equal(*outputs) for outputs in zip(before, after, strict=True)] == [False, True, True, True]


@pytest.mark.usefixtures("small")
def test_outputs_are_compared_with_the_truth_at_full_size_and_weigh_alike(bench: Bench) -> None:
    with bench.room(trainer_of("SINetV2"), Situation("labels", "2d", True)) as run:
        trainer = run.build()
        assert trainer._get_deep_supervision_scales() == [[1.0, 1.0]] * OUTPUTS
        assert trainer.loss.weight_factors == (1 / OUTPUTS,) * OUTPUTS


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("IFECurvature_r0p75x0p75x1_SINetV2", (24, 24, 32)),
        ("IFEEntropy_r0p75_unique_SINetV2", (24, 0, 0)),
        ("IFERandom_r0x0p5_SINetV2", (0, 16, 0)),
    ],
)
def test_ife_shows_textures_to_the_stages_as_the_paper_does(name: str, counts: tuple[int, ...]) -> None:
    networks = (built(each, device="meta") for each in ("SINetV2", name))
    plain, enhanced = ({key: weight.shape for key, weight in network.state_dict().items()} for network in networks)
    added = {
        f"reversal_inputs.{stage}.1.{part}": (32, 32 + count, 3, 3) if part == "weight" else (32,)
        for stage, count in enumerate(counts)
        if count
        for part in ("weight", "bias")
    }
    assert {key: shape for key, shape in enhanced.items() if plain.get(key) != shape and "score" not in key} == added


@pytest.mark.usefixtures("small")
def test_the_chosen_textures_come_first() -> None:
    network = built("IFECurvature_r0p5x0x0_SINetV2").eval()
    enhancement, back = network.reversal_inputs[0]
    assert enhancement.selected_first
    shown: list[torch.Tensor] = []
    back.register_forward_pre_hook(lambda _, inputs: shown.extend(inputs))
    textures = torch.rand(1, 32, 8, 8)
    network.reversal_inputs[0](textures)
    assert torch.equal(shown[0][:, 16:], textures)
    assert torch.equal(shown[0][:, :16], textures[0, enhancement.choose(textures)[0]].unsqueeze(0))


def test_a_fourth_ratio_has_no_place() -> None:
    with pytest.raises(ValueError, match=r"r names 4 ratios, but SINetV2 has 3 places \(texture at 1/8, "):
        built("IFECurvature_r1x1x1x1_SINetV2", device="meta")
