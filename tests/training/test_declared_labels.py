"""Labels that dataset.json does not have stop every trainer before its first step."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import blosc2
import numpy as np
import pytest
from nnunetv2.utilities.label_handling.label_handling import LabelManager

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.run import Run
from nnunet_tricks.conformance.tiny_data import TRAINING_CASES
from nnunet_tricks.door import trainers
from nnunet_tricks.training import declared_labels

CASE = TRAINING_CASES[0]
CELLS = {"labels": Situation("labels", "2d", True), "regions+ignore": Situation("regions+ignore", "3d", False)}


@pytest.fixture(scope="module")
def own_bench() -> Iterator[Bench]:
    with Bench() as made:
        yield made


def _trainer_on(run: Run, stray: int) -> object:
    """A trainer that is built, and then one voxel of a training case has another label."""
    trainer = run.build()
    (file,) = Path(trainer.preprocessed_dataset_folder).glob(f"{CASE}_seg.b2nd")
    labels = blosc2.open(str(file), mode="r")[:]
    labels = np.array(labels, np.int16)
    labels[(0,) * labels.ndim] = stray
    file.unlink()
    blosc2.asarray(labels, urlpath=str(file))
    for cache in file.parent.parent.glob("*_voxel_counts.json"):
        cache.unlink()
    return trainer


@pytest.mark.parametrize("name", ["_2epochs", "Tversky", "CE", "Boundary", "SparseSlices", "Lovasz_SparseSlices"])
@pytest.mark.parametrize(("labels", "stray"), [("labels", 3), ("labels", -7), ("regions+ignore", 4)])
def test_one_stray_voxel_stops_the_training_with_case_and_label(
    own_bench: Bench, name: str, labels: str, stray: int
) -> None:
    found = trainers.find(f"nnUNetTrainer{name}")
    assert found is not None
    with own_bench.room(found, CELLS[labels]) as run:
        trainer = _trainer_on(run, stray)
        with pytest.raises(ValueError, match=rf"case '{CASE}' has label {stray} \(1 voxels\), which dataset.json of"):
            trainer.on_train_start()


def test_what_nnunet_marks_as_outside_is_no_label(own_bench: Bench) -> None:
    found = trainers.find("nnUNetTrainerTversky")
    assert found is not None
    with own_bench.room(found, CELLS["labels"]) as run:
        _trainer_on(run, -1).on_train_start()


@pytest.mark.parametrize("name", ["_2epochs", "Tversky", "CE", "Boundary", "SparseSlices"])
def test_labels_with_a_gap_stop_before_a_folder_is_made(bench: Bench, name: str) -> None:
    found = trainers.find(f"nnUNetTrainer{name}")
    assert found is not None
    with bench.room(found, CELLS["labels"]) as run:
        described = deepcopy(run.data.dataset_json)
        described["labels"] = {"background": 0, "organ": 1, "core": 3}
        run.data = replace(run.data, dataset_json=described)
        with pytest.raises(ValueError, match=r"has the labels 0, 1, 3; nnU-Net needs 0, 1, 2, \.\.\. without a gap"):
            run.build()
        assert not list((run.folder / "results").rglob("training_log*"))


def test_regions_may_unite_any_labels_and_single_labels_may_be_lists() -> None:
    regions = LabelManager({"background": 0, "whole": [1, 4], "core": 4}, [1, 4])
    declared_labels.check_consecutive(regions, "Dataset001_Any")
    declared_labels.check_cases({"a": {0: 5, 1: 2, 4: 1}}, regions, "Dataset001_Any")
    with pytest.raises(ValueError, match=r"case 'a' has label 2 \(3 voxels\).* and 1 more cases .* it has 0, 1, 4:"):
        declared_labels.check_cases({"b": {3: 1}, "a": {0: 5, 2: 3}}, regions, "Dataset001_Any")
    lists = LabelManager({"background": 0, "a": [1], "b": [2], "ignore": 3}, None)
    declared_labels.check_consecutive(lists, "Dataset001_Any")
    declared_labels.check_cases({"a": {0: 5, 3: 2}}, lists, "Dataset001_Any")
