import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.tiny_data import TRAINING_CASES
from nnunet_tricks.door import trainers
from nnunet_tricks.training import voxel_counts
from nnunet_tricks.training.class_balance import VoxelCounts
from nnunet_tricks.training.trainer import LossTrainer


@pytest.fixture
def preprocessed(bench: Bench, tmp_path: Path) -> Path:
    """A copy of preprocessed images, alone in a data set's folder."""
    data = bench.data("labels+ignore", flat=False)
    source = next(path.parent for path in data.preprocessed.glob("*/*_seg.b2nd"))
    return Path(shutil.copytree(source, tmp_path / "Dataset901_Tiny" / source.name))


def _count(folder: Path, cases: tuple[str, ...] = TRAINING_CASES) -> tuple[dict[int, int], list[str]]:
    said: list[str] = []
    return voxel_counts.count(nnUNetDatasetBlosc2(str(folder)), cases, log=said.append), said


def _cache(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}_voxel_counts.json")


def _expected(folder: Path, cases: tuple[str, ...] = TRAINING_CASES) -> dict[int, int]:
    dataset = nnUNetDatasetBlosc2(str(folder))
    labels = np.concatenate([np.maximum(dataset.load_case(case)[1][:], 0).ravel() for case in cases])
    return dict(zip(*(array.tolist() for array in np.unique(labels, return_counts=True)), strict=True))


def test_counts_every_voxel_once_and_keeps_it_for_every_fold(preprocessed: Path) -> None:
    found, said = _count(preprocessed, TRAINING_CASES[:2])
    assert found == _expected(preprocessed, TRAINING_CASES[:2])
    assert "in 2 cases" in said[0]
    found, said = _count(preprocessed)
    assert found == _expected(preprocessed)
    assert "in 1 cases" in said[0]
    assert _count(preprocessed) == (_expected(preprocessed), [])
    assert {path.name for path in preprocessed.parent.iterdir()} == {preprocessed.name, _cache(preprocessed).name}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"case_0": 3}',
        '{"case_0": {"voxels": {"a": 1}, "preprocessed": 1}}',
        '{"case_0": {"voxels": {"0": Infinity}, "preprocessed": 1}}',
        "\x00\xff",
    ],
)
def test_a_file_that_cannot_be_read_is_made_anew(preprocessed: Path, content: str) -> None:
    _cache(preprocessed).write_text(content, encoding="latin-1")
    found, said = _count(preprocessed)
    assert found == _expected(preprocessed)
    assert "cannot be read" in said[0]
    assert set(json.loads(_cache(preprocessed).read_text())) == set(TRAINING_CASES)


def test_a_case_that_was_preprocessed_anew_is_counted_anew(preprocessed: Path) -> None:
    _count(preprocessed)
    for ending in ("_seg.b2nd", ".b2nd", ".pkl"):
        shutil.copy(preprocessed / f"case_1{ending}", preprocessed / f"case_0{ending}")
    os.utime(preprocessed / "case_0.pkl", ns=(1, 1))
    found, said = _count(preprocessed)
    assert found == _expected(preprocessed)
    assert "in 1 cases" in said[0]


def test_where_nothing_may_be_written_every_training_counts_for_itself(preprocessed: Path) -> None:
    _cache(preprocessed).mkdir()  # a folder in its place, since tests may run as root, who may write anywhere
    for _ in range(2):
        found, said = _count(preprocessed)
        assert found == _expected(preprocessed)
        assert "in 3 cases" in said[0]
    assert [path for path in preprocessed.parent.iterdir() if path.is_file()] == []


@pytest.fixture(params=["labels", "labels+ignore", "regions", "regions+ignore"])
def trainer(request, bench: Bench) -> Iterator[LossTrainer]:
    found = trainers.find("nnUNetTrainerDice")
    assert found is not None
    with bench.room(found, Situation(request.param, "3d", False)) as run:
        yield run.build()


def test_a_fold_counts_its_training_cases_only_and_nothing_that_is_ignored(trainer: LossTrainer) -> None:
    labels = _expected(Path(trainer.preprocessed_dataset_folder), TRAINING_CASES[:2])
    ignored = labels.pop(3, 0)
    assert (ignored > 0) == (trainer.label_manager.ignore_label is not None)
    counts = trainer.count_voxels()
    assert counts.annotated == sum(labels.values())
    if trainer.has_regions:
        assert counts == (("whole", "core"), (labels[1] + labels[2], labels[2]), sum(labels.values()), True)
    else:
        assert counts == (("background", "organ", "core"), tuple(labels.values()), sum(labels.values()), False)


def _log(trainer: LossTrainer) -> str:
    return Path(trainer.log_file).read_text()


def test_a_class_that_the_fold_lacks_weighs_nothing_and_the_log_says_so(trainer: LossTrainer) -> None:
    split = Path(trainer.preprocessed_dataset_folder_base) / "splits_final.json"
    kept = split.read_text()
    split.write_text(json.dumps([{"train": ["case_1"], "val": ["case_2"]}]))  # which has no core
    try:
        weights = trainer.overlap_weights(0.999)
    finally:
        split.write_text(kept)
    assert weights == pytest.approx((1, 0))
    assert "core: not in the training cases of this fold" in _log(trainer)


@pytest.mark.parametrize("name", ["BalancedCE", "ExpLog"])
def test_every_loss_that_counts_says_what_the_fold_lacks(name: str, bench: Bench) -> None:
    found = trainers.find(f"nnUNetTrainer{name}")
    assert found is not None
    with bench.room(found, Situation("labels", "2d", False)) as run:
        split = run.data.preprocessed / "splits_final.json"
        kept = split.read_text()
        split.write_text(json.dumps([{"train": ["case_1"], "val": ["case_2"]}]))  # which has no core
        try:
            log = _log(run.build())
        finally:
            split.write_text(kept)
    assert "core: not in the training cases of this fold" in log


def test_a_balance_that_changes_nothing_says_so(trainer: LossTrainer) -> None:
    assert trainer.overlap_weights(0.1) == pytest.approx((1, 1))
    assert "this balances nothing" in _log(trainer)
    trainer.decision_weights(0.1)
    assert _log(trainer).count("this balances nothing") == 2
    trainer.overlap_weights(1)
    assert _log(trainer).count("this balances nothing") == 2


def test_regions_of_one_size_are_balanced_against_what_is_outside(
    trainer: LossTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = VoxelCounts(("whole", "core"), (100, 100), 1000, regions=True)
    monkeypatch.setattr(trainer, "count_voxels", lambda: counts)
    assert np.array(trainer.decision_weights(1)) == pytest.approx(np.array([(0.2, 1.8)] * 2))
    assert "this balances nothing" not in _log(trainer)


def test_overlap_of_one_class_has_nothing_to_be_balanced_against(
    trainer: LossTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = VoxelCounts(("background", "lesion"), (900, 100), 1000, regions=False)
    monkeypatch.setattr(trainer, "count_voxels", lambda: counts)
    assert trainer.overlap_weights(0.9999) == pytest.approx((1,))
    assert "this balances nothing: there is one class only" in _log(trainer)


def test_labels_may_be_written_as_lists_of_one(trainer: LossTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    names, labels = trainer.class_names, trainer.dataset_json["labels"]
    listed = {name: value if isinstance(value, list) else [value] for name, value in labels.items()}
    monkeypatch.setitem(trainer.dataset_json, "labels", listed)
    assert trainer.class_names == names
