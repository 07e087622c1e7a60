from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812, its standard name
from hypothesis import given
from hypothesis import strategies as st
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import Tensor

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.door import trainers
from nnunet_tricks.tricks.supervision.full_size import enlarged
from nnunet_tricks.tricks.supervision.levels import equal_weights

TRICKS = ("FullSizeDeepSupervision", "UniformDeepSupervision")


def _built(
    bench: Bench, name: str, *, dimension: str = "3d", ddp: bool = False
) -> tuple[nnUNetTrainer, list[Tensor], list[Tensor]]:
    """A trainer, outputs of its network and nnU-Net's targets for them."""
    cls = trainers.find(f"nnUNetTrainer{name}")
    assert cls is not None
    with bench.room(cls, Situation("labels", dimension, True)) as run:
        trainer = run.build()
        trainer.is_ddp = ddp
        trainer.loss = trainer._build_loss()
        trainer.is_ddp = False
        trainer.on_train_start()
        batch = next(trainer.dataloader_train)
        outputs = trainer.network(batch["data"])
    return trainer, list(outputs), batch["target"]


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=6), st.sampled_from([0.0, 1e-6]), st.integers(1, 8))
def test_the_last_levels_weigh_alike_and_all_make_one(weights: list[float], lowest: float, levels: int) -> None:
    equal = equal_weights([*weights, lowest], levels)
    trained = min(levels, len(equal))
    assert sum(equal) == pytest.approx(1)
    assert equal[:trained] == pytest.approx([1 / trained] * trained, rel=1e-5)
    assert all((weight > 0) == (lowest > 0) and weight < 1e-5 for weight in equal[trained:])


@pytest.mark.parametrize("dimension", ["2d", "3d"])
def test_uniform_is_the_mean_of_nnunets_losses_of_the_levels(bench: Bench, dimension: str) -> None:
    trainer, outputs, targets = _built(bench, "UniformDeepSupervision_levels2", dimension=dimension)
    single = trainer.loss.loss
    expected = (single(outputs[0], targets[0]) + single(outputs[1], targets[1])) / 2
    torch.testing.assert_close(trainer.loss(outputs, targets), expected)


@pytest.mark.parametrize("dimension", ["2d", "3d"])
def test_full_size_holds_every_level_against_the_full_truth(bench: Bench, dimension: str) -> None:
    trainer, outputs, targets = _built(bench, "FullSizeDeepSupervision_levels2", dimension=dimension)
    assert outputs[1].shape[2:] != targets[0].shape[2:]
    mode = "bilinear" if dimension == "2d" else "trilinear"
    large = F.interpolate(outputs[1], size=targets[0].shape[2:], mode=mode)
    single = trainer.loss.loss
    expected = (single(outputs[0], targets[0]) + single(large, targets[0])) / 2
    torch.testing.assert_close(trainer.loss(outputs, targets), expected)
    others = [torch.zeros_like(target) for target in targets[1:]]
    torch.testing.assert_close(trainer.loss(outputs, [targets[0], *others]), expected)


@pytest.mark.parametrize("trick", TRICKS)
def test_one_level_is_nnunet_without_deep_supervision(bench: Bench, trick: str) -> None:
    trainer, outputs, targets = _built(bench, f"{trick}_levels1")
    torch.testing.assert_close(trainer.loss(outputs, targets), trainer.loss.loss(outputs[0], targets[0]))


@pytest.mark.parametrize("trick", TRICKS)
def test_a_loss_trick_is_weighed_the_same_way(bench: Bench, trick: str) -> None:
    trainer, outputs, targets = _built(bench, f"Tversky_{trick}")
    assert "tversky_index" in str(trainer.loss.loss)
    plain, _, _ = _built(bench, trick)
    assert trainer.loss.weight_factors == plain.loss.weight_factors
    assert trainer.loss(outputs, targets).isfinite()


@pytest.mark.parametrize("trick", TRICKS)
def test_uncompiled_ddp_gets_a_gradient_for_every_output(bench: Bench, trick: str) -> None:
    trainer, outputs, targets = _built(bench, f"{trick}_levels1", ddp=True)
    leaves = [output.detach().requires_grad_() for output in outputs]
    trainer.loss.loss.ddp = False  # no group of processes here
    gradients = torch.autograd.grad(trainer.loss(leaves, targets), leaves, allow_unused=True)
    assert all(gradient is not None for gradient in gradients)


def test_without_deep_supervision_nothing_changes(bench: Bench) -> None:
    for trick in TRICKS:
        cls = trainers.find(f"nnUNetTrainer{trick}")
        assert cls is not None
        with bench.room(cls, Situation("labels", "2d", False)) as run:
            assert not isinstance(run.build().loss, DeepSupervisionWrapper)


def test_enlarging_keeps_means_and_leaves_full_size_alone() -> None:
    logits = torch.randn(2, 3, 4, 6, 6)
    assert enlarged(logits, (4, 6, 6)) is logits
    constant = torch.full((1, 1, 3, 3), 7.0)
    torch.testing.assert_close(enlarged(constant, (6, 12)), torch.full((1, 1, 6, 12), 7.0))


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_is_enlarged_in_float32(half: torch.dtype) -> None:
    logits = torch.randn(1, 2, 3, 3).to(half)
    torch.testing.assert_close(enlarged(logits, (12, 12)), enlarged(logits.float(), (12, 12)))
