"""MixUp and CutMix: what is mixed with what, how often, and that labels stay labels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812, its standard name
from batchgeneratorsv2.transforms.utils.deep_supervision_downsampling import DownsampleSegForDSTransform
from hypothesis import given
from hypothesis import strategies as st
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from scipy.stats import beta, binomtest, chisquare, kstest

from nnunet_tricks.catalogue.naming import IllegalName, parse
from nnunet_tricks.conformance.baseline import check_baseline
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.door import trainers
from nnunet_tricks.nnunet.sandbox import seed_everything
from nnunet_tricks.tricks.augmentation.cut_mix import pasted, random_box
from nnunet_tricks.tricks.augmentation.mix_up import BlendedLoss
from nnunet_tricks.tricks.augmentation.mixing import others

CELL = Situation("labels", "2d", True)
DRAWS = 400


def found(name: str) -> type[nnUNetTrainer]:
    trainer = trainers.find(f"nnUNetTrainer{name}")
    assert trainer is not None
    return trainer


@contextmanager
def started(bench: Bench, name: str, cell: Situation = CELL) -> Iterator[Any]:
    with bench.room(found(name), cell) as run:
        trainer = run.build()
        trainer.on_train_start()
        seed_everything(0)
        yield trainer


def seen_by_nnunet(trainer: Any, batch: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Where nnU-Net's own step takes over, its batch and its loss."""
    batches: list[dict[str, Any]] = []

    def step(self: nnUNetTrainer, mixed: dict[str, Any]) -> dict[str, Any]:
        batches.append({**mixed, "loss": self.loss})
        return {"loss": np.zeros(1)}

    monkeypatch.setattr(nnUNetTrainer, "train_step", step)
    for _ in range(DRAWS):
        trainer.train_step(batch)
    return batches


@given(st.integers(2, 9), st.integers(0, 99))
def test_every_patch_is_mixed_with_another_one_and_each_is_used_once(count: int, seed: int) -> None:
    np.random.seed(seed)
    order = others(count)
    assert sorted(order.tolist()) == list(range(count))
    assert all(order != torch.arange(count))


def test_all_partners_are_alike() -> None:
    seed_everything(0)
    partners = [int(others(4)[0]) for _ in range(DRAWS)]
    assert chisquare(np.bincount(partners, minlength=4)[1:]).pvalue > 0.01


def test_blends_are_drawn_as_written(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with started(bench, "MixUp_alpha0p4_p0p7") as trainer:
        batch = next(trainer.dataloader_train)
        plain = trainer.loss
        batches = seen_by_nnunet(trainer, batch, monkeypatch)
        assert trainer.loss is plain
    blended = [mixed for mixed in batches if isinstance(mixed["loss"], BlendedLoss)]
    assert binomtest(len(blended), DRAWS, 0.7).pvalue > 0.01
    assert kstest([mixed["loss"].share for mixed in blended], beta(0.4, 0.4).cdf).pvalue > 0.01
    for mixed in blended[:20]:
        share, order = mixed["loss"].share, mixed["loss"].order
        torch.testing.assert_close(mixed["data"], share * batch["data"] + (1 - share) * batch["data"][order])
    untouched = next(mixed for mixed in batches if not isinstance(mixed["loss"], BlendedLoss))
    assert torch.equal(untouched["data"], batch["data"])
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(batches[0]["target"], batch["target"], strict=True))


@pytest.mark.parametrize("dimension", ["2d", "3d"])
def test_boxes_are_drawn_as_written_and_carry_their_labels(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, dimension: str
) -> None:
    with started(bench, "CutMix_p0p5", Situation("labels+ignore", dimension, True)) as trainer:
        batch = next(trainer.dataloader_train)
        size = batch["data"].shape[2:]
        # Each voxel of an image says what it is, and its label too.
        marks = torch.arange(2 * np.prod(size), dtype=torch.float32).reshape(2, 1, *size)
        batch = {**batch, "data": marks, "target": [marks, *batch["target"][1:]]}
        batches = seen_by_nnunet(trainer, batch, monkeypatch)
    mixed = [patches for patches in batches if not torch.equal(patches["data"], marks)]
    assert binomtest(len(mixed), DRAWS, 0.5).pvalue > 0.01
    assert all(torch.equal(patches["data"], patches["target"][0]) for patches in batches)
    parts = []
    for patches in mixed:
        away = (patches["data"] != marks)[0, 0]
        assert torch.equal(patches["data"][:, :, away], marks.flip(0)[:, :, away])
        corners = away.nonzero()
        sides = corners.max(0).values - corners.min(0).values + 1
        assert away.sum() == sides.prod()
        parts.append(float(away.float().mean()))
    # Sides are whole voxels: what is left of that is small where there are many.
    assert kstest(parts, "uniform").pvalue > 0.001 if dimension == "2d" else 0.4 < np.mean(parts) < 0.6


@given(st.floats(0, 1), st.lists(st.integers(1, 40), min_size=2, max_size=3), st.integers(0, 99))
def test_a_box_has_the_patchs_proportions_and_lies_inside(part: float, size: list[int], seed: int) -> None:
    np.random.seed(seed)
    box = random_box(size, part)[0, 0]
    sides = box.nonzero().max(0).values - box.nonzero().min(0).values + 1
    assert box.sum() == sides.prod()
    for side, whole in zip(sides.tolist(), size, strict=True):
        assert side == max(1, round(whole * part ** (1 / len(size)))) or abs(
            side - whole * part ** (1 / len(size))
        ) == pytest.approx(0.5)


@given(st.integers(0, 999), st.sampled_from([(33, 20), (6, 24, 25)]))
def test_pasting_truth_at_every_level_is_pasting_before_nnunet_makes_the_levels(
    seed: int, size: tuple[int, ...]
) -> None:
    seed_everything(seed)
    labels = torch.randint(0, 4, (3, 1, *size), dtype=torch.int16)
    scales = [[1.0] * len(size), [0.5] * len(size), [0.3] + [0.25] * (len(size) - 1)]
    down = DownsampleSegForDSTransform(scales)

    def levels(truth: torch.Tensor) -> list[torch.Tensor]:
        single = [down(image=torch.zeros(1, *size), segmentation=level)["segmentation"] for level in truth]
        return [torch.stack(level) for level in zip(*single, strict=True)]

    box, order = random_box(size, np.random.uniform()), others(3)
    mine = pasted(levels(labels), box, order)
    theirs = levels(torch.where(box, labels[order], labels))
    assert all(torch.equal(level, other) for level, other in zip(mine, theirs, strict=True))


def test_the_blended_loss_of_cross_entropy_is_that_of_the_blended_truth() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(3, 4, 5, 6), torch.randint(0, 4, (3, 5, 6))
    order, share = torch.tensor([1, 2, 0]), 0.3
    hot = F.one_hot(labels, 4).movedim(-1, 1).float()
    blended = BlendedLoss(F.cross_entropy, share, order)
    torch.testing.assert_close(blended(logits, labels), F.cross_entropy(logits, share * hot + (1 - share) * hot[order]))


def test_each_loss_gets_its_own_truths_maps(bench: Bench) -> None:
    with started(bench, "Boundary_MixUp") as trainer:
        batch = next(trainer.dataloader_train)
        pairs: list[tuple[torch.Tensor, torch.Tensor]] = []
        loss = trainer.loss

        def watched(output: Any, target: Any) -> torch.Tensor:
            pairs.append((trainer.criterion.maps, target[0]))
            return loss(output, target)

        trainer.loss = watched
        while not pairs:
            trainer.train_step(deepcopy(batch))
    (own, truth), (other, others_truth) = pairs
    assert torch.equal(own.flip(0), other)
    assert torch.equal(truth.flip(0), others_truth)


@pytest.mark.parametrize("name", ["MixUp_p0", "CutMix_p0", "CutMix_alpha0p3_p0"])
def test_probability_0_is_nnunet_bit_for_bit(bench: Bench, name: str) -> None:
    assert check_baseline(bench, found(name), ()).explain() == []
    with started(bench, name) as trainer:
        assert f"{name[:6].rstrip('_')} changes nothing: p is 0" in Path(trainer.log_file).read_text()


def test_validation_is_on_whole_patches(bench: Bench) -> None:
    with started(bench, "MixUp_alpha1") as mixing, started(bench, "Oversample_fixed") as plain:
        batch = next(mixing.dataloader_val)
        plain.network.load_state_dict(mixing.network.state_dict())
        for trainer in (mixing, plain):
            trainer.network.eval()
        with torch.no_grad():
            values = [trainer.validation_step(deepcopy(batch))["loss"] for trainer in (mixing, plain)]
    assert values[0] == values[1]


def test_shared_randomness_reaches_the_mixing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    shares: list[float] = []
    for name in ("MixUp_shared", "Dice_MixUp_shared"):
        with started(bench, name) as trainer, monkeypatch.context() as patched:
            seed_everything(len(shares))
            batch = next(trainer.dataloader_train)
            shares.append(seen_by_nnunet(trainer, batch, patched)[0]["loss"].share)
    assert shares[0] == shares[1]


@pytest.mark.parametrize("name", ["MixUp", "CutMix"])
def test_a_batch_of_one_is_refused(bench: Bench, name: str) -> None:
    with bench.room(found(name), CELL) as run:
        plans = deepcopy(run.data.plans)
        plans["configurations"]["2d"]["batch_size"] = 1
        with pytest.raises(ValueError, match=f"{name} mixes the patches of a batch .* has 1; at least 2 are needed"):
            run.trainer(
                {**plans, "continue_training": False}, "2d", 0, deepcopy(run.data.dataset_json), torch.device("cpu")
            )


def test_maps_of_the_truth_cannot_be_cut() -> None:
    with pytest.raises(IllegalName, match="Boundary and CutMix both set the targets"):
        parse("nnUNetTrainerBoundary_CutMix")
    with pytest.raises(IllegalName, match="both set the"):
        parse("nnUNetTrainerCutMix_MixUp")
