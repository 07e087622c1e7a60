"""What is done with trained models in an experiment: cells, their order, and what a file may say."""

import json
from pathlib import Path

import pytest

from nnunet_tricks.commands.compare import _of_spec
from nnunet_tricks.experiment.arm import Arm
from nnunet_tricks.experiment.cells import inferred, make
from nnunet_tricks.experiment.cluster.cell_file import as_data, of_data
from nnunet_tricks.experiment.entry import SpecError
from nnunet_tricks.experiment.inference import read_setting
from nnunet_tricks.experiment.inference_cells import RECORD, Ensemble, Postprocess, PredictViews
from nnunet_tricks.experiment.job_lines import chains
from nnunet_tricks.experiment.nnunet_cells import Train
from nnunet_tricks.experiment.spec import read_experiment
from tests.experiment.conftest import CASES, DATASET
from tests.experiment.test_cells import checkpoint

BASE = """datasets: [901]
configurations: [3d_fullres]
tricks: [Tversky]
epochs: 5
folds: [0, 1]
baseline_runs: 2
"""
ARMS = [Arm(label="baseline", name="nnUNetTrainer"), Arm(label="A + B", name="nnUNetTrainerA_B")]
PLACE = "__nnUNetPlans__3d_fullres"


def cells_of(file: Path, folders, **how):
    return make(read_experiment(file), folders, **how)


def test_a_setting_can_name_the_way_to_train_that_it_is_for() -> None:
    setting = read_setting("A + B + TTA_mirror + EnsembleVote + 1+2:KeepLargest_connectivityface + FillHoles", ARMS)
    assert (setting.arm, setting.views, setting.ensemble) == (ARMS[1], "TTA_mirror", "EnsembleVote")
