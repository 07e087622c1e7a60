import json

import pytest

from nnunet_tricks.experiment.cells import make
from nnunet_tricks.experiment.costs import EVALUATION, START, Costs, group
from nnunet_tricks.experiment.nnunet_cells import Evaluate, Predict, Train
from nnunet_tricks.experiment.record import Attempt, Record
from nnunet_tricks.experiment.spec import read_experiment
from tests.experiment.conftest import DATASET
from tests.experiment.test_cells import checkpoint

SPEC = """datasets: [901]
configurations: [3d_fullres]
tricks: [Tversky]
epochs: 10
folds: [0, 1]
on: [validation, test]
"""
TIMING = {
    "step": 0.2,
    "validation_step": 0.1,
    "forward": 0.05,
    "steps_per_epoch": 250,
    "validation_steps_per_epoch": 50,
    "mirrored_axes": 3,
    "checkpoint_bytes": 1_000_000,
}
TILES = 2**3  # 24 voxels in patches of 16, with half of one as a step


@pytest.fixture
def cells(spec, preprocessed):
    return make(read_experiment(spec(SPEC)), preprocessed)


def first_of(cells, kind):
    return next(cell for cell in cells if isinstance(cell, kind))


def test_from_timed_steps(cells) -> None:
    train = first_of(cells, Train)
    costs = Costs(cells, {group(train): TIMING})
    case = TILES * 8 * 0.05
    assert costs.seconds(train) == pytest.approx(START + 10 * (250 * 0.2 + 50 * 0.1) + 2 * case)
    assert costs.seconds(first_of(cells, Predict)) == pytest.approx(START + 2 * case)
    assert costs.seconds(first_of(cells, Evaluate)) == EVALUATION
    assert costs.bytes(train) == 2_000_000 + sum(len("case_00") for _ in range(10)) // 5


def test_nobody_knows_without_either(cells) -> None:
    assert Costs(cells).seconds(first_of(cells, Train)) is None
    assert Costs(cells).bytes(first_of(cells, Train)) is None


def test_a_cell_that_is_done_tells_how_long_the_others_take(cells) -> None:
    first, second = [cell for cell in cells if isinstance(cell, Train)][:2]
    checkpoint(first.model, "final")
    first.model.validation.mkdir()
    (first.model.validation / "summary.json").write_text("{}")
    first.folder.mkdir(parents=True)
    attempt = Attempt(command="", began=0.0, device="0", seconds=77.0, returncode=0)
    Record().begin(first.folder, attempt)
    assert Costs(cells, {group(first): TIMING}).seconds(second) == 77


def test_what_an_interrupted_training_has_done_counts(cells) -> None:
    train = first_of(cells, Train)
    costs = Costs(cells, {group(train): TIMING})
    whole = costs.seconds(train)
    train.folder.mkdir(parents=True)
    (train.folder / "log.txt").write_text("2026-11-21 02:52:44.166402: Epoch 4 \n")
    assert costs.seconds(train) == whole  # no checkpoint: it begins anew
    checkpoint(train.model, "best")
    assert costs.seconds(train) == pytest.approx(0.6 * whole)


def test_slices_of_a_2d_configuration(cells, preprocessed) -> None:
    file = preprocessed.preprocessed / DATASET / "nnUNetPlans.json"
    plans = json.loads(file.read_text())
    plans["configurations"]["3d_fullres"]["patch_size"] = [24, 24]
    file.write_text(json.dumps(plans))
    predict = first_of(cells, Predict)
    seconds = Costs(cells, {group(predict): TIMING}).seconds(predict)
    assert seconds == pytest.approx(START + 2 * 24 * 8 * 0.05)
