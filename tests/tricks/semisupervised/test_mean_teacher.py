"""A network that learns from its own average where nobody annotated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.special import expit, softmax

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.checks import equal
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.tiny_images import IGNORED
from nnunet_tricks.door import trainers
from nnunet_tricks.nnunet import checkpoint
from nnunet_tricks.nnunet.sandbox import seed_everything
from nnunet_tricks.training.criterion import Prediction
from nnunet_tricks.tricks.semisupervised.consistency import consistency

PICTURES = Situation("labels+ignore", "2d", True)
FULL = "MeanTeacher_weight5_rampup0"


@contextmanager
def begun(bench: Bench, name: str, situation: Situation = PICTURES) -> Iterator[Any]:
    """A trainer of a name, before its first step, from one seed."""
    cls = trainers.find(f"nnUNetTrainer{name}")
    assert cls is not None
    with bench.room(cls, situation) as run:
        seed_everything(0)
        trainer = run.build()
        trainer.on_train_start()
        yield trainer


def batches(trainer: Any, count: int) -> list[dict[str, Any]]:
    drawn = []
    for number in range(count):
        seed_everything(number)
        drawn.append(next(trainer.dataloader_train))
    return drawn


def weights_after(trainer: Any, drawn: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    for batch in drawn:
        trainer.train_step(deepcopy(batch))
    return {name: tensor.clone() for name, tensor in trainer.network.state_dict().items()}


def log_of(trainer: Any) -> str:
    return "".join(file.read_text() for file in sorted(Path(trainer.output_folder).glob("training_log*.txt")))


@pytest.fixture(scope="module")
def plainly(bench: Bench) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, torch.Tensor]]]:
    """Batches as they are drawn, the same without any ignored voxel, and what plain nnU-Net learns from each."""
    results = []
    with begun(bench, "_run2") as trainer:
        as_drawn = batches(trainer, 2)
    annotated = deepcopy(as_drawn)
    for batch in annotated:
        for level in batch["target"]:
            level[level == IGNORED] = 0
    for drawn in (as_drawn, annotated):
        with begun(bench, "_run2") as trainer:
            results.append(weights_after(trainer, drawn))
    return as_drawn, annotated, results


@settings(max_examples=30)
@given(arrays.arrays(np.float32, (2, 3, 4, 3), elements=st.floats(-5, 5, width=32)), st.integers(0, 9), st.booleans())
def test_the_cost_is_the_mean_squared_difference_where_nobody_annotated(
    logits: np.ndarray, seed: int, regions: bool
) -> None:
    generator = np.random.default_rng(seed)
    teacher = generator.random(logits.shape, np.float32)
    ignored = generator.random((2, 4, 3)) < 0.4
    labels = np.where(ignored, 3, generator.integers(0, 3, ignored.shape))[:, None]
    target = np.concatenate([generator.random(logits.shape) < 0.5, ignored[:, None]], 1) if regions else labels
    prediction = Prediction(torch.from_numpy(logits), torch.from_numpy(target), regions=regions, ignore_label=3)
    differences = ((expit(logits) if regions else softmax(logits, 1)) - teacher) ** 2
    expected = differences.transpose(0, 2, 3, 1)[ignored].mean() if ignored.any() else 0
    assert float(consistency(prediction, torch.from_numpy(teacher))) == pytest.approx(expected, abs=1e-6)


def test_weight_0_is_the_plain_trainer_bit_for_bit(bench: Bench, plainly: Any) -> None:
    as_drawn, _, (expected, _) = plainly
    with begun(bench, "MeanTeacher_weight0") as trainer:
        assert equal(weights_after(trainer, as_drawn), expected)
        assert "MeanTeacher changes nothing: weight is 0" in log_of(trainer)
    with begun(bench, FULL) as trainer:
        assert not equal(weights_after(trainer, as_drawn), expected)


def test_where_all_voxels_are_annotated_it_is_the_plain_trainer_bit_for_bit(bench: Bench, plainly: Any) -> None:
    _, annotated, (_, expected) = plainly
    with begun(bench, FULL) as trainer:
        assert equal(weights_after(trainer, annotated), expected)


def test_a_patch_without_annotation_is_learned_from(bench: Bench, plainly: Any) -> None:
    (batch, _), _, _ = plainly
    batch = deepcopy(batch)
    for level in batch["target"]:
        level[:] = IGNORED
    with begun(bench, "_run2") as trainer:
        before = deepcopy(trainer.network.state_dict())
        trainer.train_step(deepcopy(batch))
        plain = max(float((trainer.network.state_dict()[name] - value).abs().max()) for name, value in before.items())
    with begun(bench, FULL) as trainer:
        trainer.train_step(deepcopy(batch))
        felt = max(float((trainer.network.state_dict()[name] - value).abs().max()) for name, value in before.items())
    assert felt > plain  # weight decay alone moves the plain one


def test_the_teacher_is_the_exponential_average_of_the_network(bench: Bench, plainly: Any) -> None:
    drawn = plainly[0]
    with begun(bench, "MeanTeacher_weight5_decay0p6_rampup0") as trainer:
        expected: dict[str, np.ndarray] = {}
        for decay, batch in zip((0, 1 / 2, 0.6, 0.6), drawn * 2, strict=True):  # 1 - 1/3 is above 0.6
            students = weights_after(trainer, [batch])
            expected = {
                name: decay * expected.get(name, 0) + (1 - decay) * tensor.double().numpy()
                for name, tensor in students.items()
            }
        for name, tensor in trainer.teacher.module.state_dict().items():
            np.testing.assert_allclose(tensor.numpy(), expected[name], rtol=1e-5, atol=1e-7)
        assert not any(parameter.requires_grad for parameter in trainer.teacher.parameters())


@pytest.mark.parametrize("name", [FULL, f"{FULL}_teacher"])
def test_a_continued_training_is_as_without_an_interruption(
    bench: Bench, plainly: Any, tmp_path: Path, name: str
) -> None:
    first, second = plainly[0]
    with begun(bench, name) as trainer:
        students = weights_after(trainer, [first])
        trainer.save_checkpoint(str(tmp_path / "checkpoint.pth"))
        teacher = deepcopy(trainer.teacher.module.state_dict())
        whole = weights_after(trainer, [second]), deepcopy(trainer.teacher.state_dict())
    stored = checkpoint.read(tmp_path / "checkpoint.pth")
    predicting, other = (teacher, students) if "teacher" in name else (students, teacher)
    assert equal(dict(stored["network_weights"]), dict(predicting))
    assert equal(dict(stored["mean_teacher"]["weights"]), dict(other))
    cls = trainers.find(f"nnUNetTrainer{name}")
    with bench.room(cls, PICTURES) as run:
        seed_everything(5)
        trainer = run.build()
        trainer.load_checkpoint(str(tmp_path / "checkpoint.pth"))
        assert equal(dict(trainer.network.state_dict()), dict(predicting))  # as --val takes it
        trainer.on_train_start()
        continued = weights_after(trainer, [second]), trainer.teacher.state_dict()
    assert equal(continued, whole)


def test_it_says_so_where_there_is_nothing_to_learn_from(bench: Bench) -> None:
    with begun(bench, "MeanTeacher", Situation("labels", "2d", True)) as trainer:
        assert "MeanTeacher changes nothing: the data set has no ignore label" in log_of(trainer)
        trainer.train_step(batches(trainer, 1)[0])
        assert trainer.teacher is None


@pytest.mark.parametrize("name", ["SparseSlices_density0p5", "Tversky"])
def test_it_stands_beside_other_tricks(bench: Bench, name: str) -> None:
    situation = Situation("labels", "3d", False) if "Sparse" in name else PICTURES
    with begun(bench, f"{name}_{FULL}", situation) as trainer:
        weights_after(trainer, batches(trainer, 2))
        trainer.on_train_epoch_end([{"loss": 0.0}])
        assert "consistency with the teacher: " in log_of(trainer)
        assert ", weight 5" in log_of(trainer)


def test_blended_patches_are_refused(bench: Bench) -> None:
    with pytest.raises(ValueError, match="MixUp blends patches of two cases"), begun(bench, "MixUp_MeanTeacher"):
        pass
