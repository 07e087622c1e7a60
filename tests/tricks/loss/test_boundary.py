from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.door import trainers
from nnunet_tricks.training.criterion import Criterion
from nnunet_tricks.training.trainer import LossTrainer
from nnunet_tricks.tricks.loss.boundary import BoundaryLoss
from nnunet_tricks.tricks.loss.generalized_dice import GeneralizedDiceLoss
from nnunet_tricks.tricks.targets.distance import signed_distance
from tests.tricks.loss.cases import MODES, make


def _criterion(case, progress: float, maps: torch.Tensor | None, weight: float = 1) -> Criterion:
    criterion = case.criterion(BoundaryLoss(weight=weight, batch=False))
    criterion.maps, criterion.progress = maps, progress
    return criterion


def _boundary_alone(distances: torch.Tensor) -> Criterion:
    criterion = Criterion(BoundaryLoss(weight=1, batch=False))
    criterion.maps, criterion.progress = distances, 1
    return criterion


@pytest.mark.parametrize("mode", MODES)
def test_weight_moves_from_generalized_dice_to_the_boundary(mode: str) -> None:
    case = make(mode)
    classes = case.logits.shape[1] - (0 if case.regions else 1)
    maps = torch.randn(2, classes, *case.logits.shape[2:])
    probabilities = (case.logits.sigmoid() if case.regions else case.logits.softmax(1))[:, -classes:]
    weights = case.annotated[:, None].float()
    boundary = (probabilities * maps * weights).sum() / (weights.sum() * classes)
    dice = case.criterion(GeneralizedDiceLoss(batch=False))(case.logits, case.target)
    for progress, expected in ((0, dice), (1, boundary), (0.25, 0.75 * dice + 0.25 * boundary)):
        torch.testing.assert_close(_criterion(case, progress, maps)(case.logits, case.target), expected)


@pytest.mark.parametrize("mode", MODES)
def test_its_gradient_is_that_of_its_value(mode: str) -> None:
    case = make(mode, spatial=(3, 4), dtype=torch.float64)
    maps = torch.randn(2, case.logits.shape[1] - (0 if case.regions else 1), 3, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(_criterion(case, 0.5, maps), (case.logits, case.target))


def test_lower_levels_and_patches_without_an_object_have_generalized_dice_alone() -> None:
    case = make("labels")
    dice = case.criterion(GeneralizedDiceLoss(batch=False))(case.logits, case.target)
    other_size = torch.randn(2, 2, 9, 9, 9)
    torch.testing.assert_close(_criterion(case, 0.5, other_size)(case.logits, case.target), dice)
    nothing = torch.zeros(2, 2, *case.logits.shape[2:])
    torch.testing.assert_close(_criterion(case, 0.5, nothing)(case.logits, case.target), 0.5 * dice)


def test_the_surveys_equation_12_is_its_terms_before_they_are_summed() -> None:
    """It prints phi_G(p) s(p) without a sum; the loss is the mean over the voxels."""
    truth = torch.zeros(1, 1, 12, 12, dtype=torch.int16)
    truth[..., 3:9, 3:9] = 1
    distances = torch.from_numpy(signed_distance(truth[0, 0].bool().numpy(), (1, 1)))[None, None]
    logits = torch.randn(1, 2, 12, 12)
    terms = distances[0, 0] * logits.softmax(1)[0, 1]
    torch.testing.assert_close(_boundary_alone(distances)(logits, truth), terms.mean())


def test_the_truth_is_the_best_prediction_and_far_alarms_cost_more_than_near_ones() -> None:
    truth = torch.zeros(1, 1, 16, 16, dtype=torch.int16)
    truth[..., 4:9, 4:9] = 1
    distances = torch.from_numpy(signed_distance(truth[0, 0].bool().numpy(), (1, 1)))[None, None]

    def cost(predicted: torch.Tensor) -> float:
        logits = torch.stack([~predicted, predicted], 1).float() * 40 - 20
        return _boundary_alone(distances)(logits, truth).item()

    exact = truth[:, 0].bool()
    near, far = exact.clone(), exact.clone()
    near[..., 9, 5:8] = True
    far[..., 14, 5:8] = True
    assert cost(exact) < cost(near) < cost(far)


def test_it_learns_two_objects() -> None:
    truth = torch.zeros(1, 1, 24, 24, dtype=torch.int16)
    truth[..., 3:11, 4:12] = 1
    truth[..., 14:20, 13:21] = 2
    maps = torch.stack([torch.from_numpy(signed_distance((truth[0, 0] == c).numpy(), (1, 1))) for c in (1, 2)])[None]
    logits = torch.zeros(1, 3, 24, 24, requires_grad=True)
    criterion = Criterion(BoundaryLoss(weight=0.99, batch=False))
    criterion.maps = maps
    optimizer = torch.optim.Adam([logits], lr=0.1)
    for step in range(150):
        criterion.progress = step / 150
        optimizer.zero_grad()
        criterion(logits, truth).backward()
        optimizer.step()
    predicted = logits.argmax(1, keepdim=True)
    for label in (1, 2):
        mine, true = predicted == label, truth == label
        assert 2 * (mine & true).sum() / (mine.sum() + true.sum()) > 0.9


def test_the_schedule_is_in_the_log_and_debug_json_and_survives_continuing(bench: Bench) -> None:
    cls = trainers.find("nnUNetTrainerBoundary_4epochs")
    assert cls is not None
    with bench.room(cls, Situation("labels", "2d", False)) as run:
        trainer = run.build()
        trainer.on_train_start()
        trainer.current_epoch = 1
        trainer.on_train_epoch_start()
        trainer.save_checkpoint(str(run.folder / "checkpoint.pth"))
        again = run.build(continue_training=True)
        again.load_checkpoint(str(run.folder / "checkpoint.pth"))  # nnU-Net goes on with the next epoch
        again.on_train_epoch_start()
        log = Path(trainer.log_file).read_text()
        debug = json.loads(Path(trainer.output_folder, "debug.json").read_text())
    assert isinstance(trainer, LossTrainer)
    assert trainer.criterion.progress == 0.25
    assert again.criterion.progress == 0.5
    assert "Weight of the boundary term: 0.2475" in log
    assert debug["boundary_schedule"] == "0.99 * epoch / 4, the first epoch being 0"
