"""The trainer as nnU-Net's command builds it, on tiny preprocessed data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
import torch
from nnunetv2.training.loss.robust_ce_loss import RobustCrossEntropyLoss, TopKLoss
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_tricks.annotation.interpolation import interpolate
from nnunet_tricks.catalogue.naming import parse
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.run import Run
from nnunet_tricks.conformance.tiny_data import TRAINING_CASES
from nnunet_tricks.door import trainers
from nnunet_tricks.tricks.sparse.cases import OUTSIDE_UNKNOWN
from nnunet_tricks.tricks.sparse.trainer import nnUNetTrainerSparseSlices

VOLUMES = Situation("labels", "3d", True)
"""The first case has seven slices, the second five: of a density of 0.3 two each are annotated."""


@contextmanager
def built(bench: Bench, name: str, cell: Situation = VOLUMES, *, start: bool = True) -> Iterator[tuple[Any, Run]]:
    cls = trainers.find(f"nnUNetTrainer{name}")
    assert cls is not None
    with bench.room(cls, cell) as run:
        trainer = run.build()
        if start:
            trainer.on_train_start()
        yield trainer, run


def log_of(run: Run) -> str:
    return "".join(file.read_text() for file in (run.folder / "results").rglob("training_log*.txt"))


def shown(trainer: Any, case: str) -> np.ndarray:
    return trainer.dataloader_train.data_loader._data.load_case(case)[1][(slice(None),) * 4][0]


def stored(trainer: Any, case: str) -> np.ndarray:
    cases = trainer.dataset_class(trainer.preprocessed_dataset_folder, [case])
    return np.asarray(cases.load_case(case)[1][:])[0]


def annotated(trainer: Any, case: str) -> list[int]:
    labels = shown(trainer, case)
    known = (labels != trainer.label_manager.ignore_label) & (labels != OUTSIDE_UNKNOWN)
    return np.flatnonzero(known.any(axis=(1, 2))).tolist()


def test_the_chosen_slices_keep_their_labels_and_no_other_voxel_has_one(bench: Bench) -> None:
    with built(bench, "SparseSlices_density0p3") as (trainer, run):
        assert annotated(trainer, "case_0") == [1, 5]
        labels = stored(trainer, "case_0")
        assert (np.maximum(shown(trainer, "case_0")[[1, 5]], 0) == np.maximum(labels[[1, 5]], 0)).all()
        assert "annotated: 4 of 12 slices (33.3%) in 2 volumes, fixed" in log_of(run)


@pytest.mark.parametrize("labels", ["labels", "regions"])
def test_validation_is_dense_and_what_the_network_predicts_does_not_change(bench: Bench, labels: str) -> None:
    with built(bench, "SparseSlices_density0p3", Situation(labels, "3d", True)) as (trainer, run):
        ignore = trainer.label_manager.ignore_label
        training, validation = (
            next(loader)["target"][0] for loader in (trainer.dataloader_train, trainer.dataloader_val)
        )
        if labels == "regions":
            assert training[:, -1].any()
            assert not validation[:, -1].any()
        else:
            assert (training == ignore).any()
            assert not (validation == ignore).any()
        trainer.perform_actual_validation()
        summary = json.loads((Path(trainer.output_folder) / "validation" / "summary.json").read_text())
        truth = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(run.data.raw / "labelsTr" / "case_2.nii.gz")))
        (case,) = summary["metric_per_case"]
        sizes = {key: metrics["n_ref"] for key, metrics in case["metrics"].items()}
        expected = {"1": (truth == 1).sum(), "2": (truth == 2).sum()}
        if labels == "regions":
            expected = {"(1, 2)": (truth > 0).sum(), "2": (truth == 2).sum()}
        assert {key: int(value) for key, value in expected.items()} == {
            key.replace("(2,)", "2"): value for key, value in sizes.items()
        }
        assert trainer.network.decoder.seg_layers[-1].out_channels == (2 if labels == "regions" else 3)


def test_nnunet_validates_on_annotated_voxels_only(bench: Bench) -> None:
    """What would become of a study that writes its sparse labels for nnU-Net, validation cases too."""
    with bench.room(nnUNetTrainer, Situation("labels+ignore", "3d", True)) as run:
        trainer = run.build()
        trainer.on_train_start()
        trainer.perform_actual_validation()
        summary = json.loads((Path(trainer.output_folder) / "validation" / "summary.json").read_text())
        (case,) = summary["metric_per_case"]
    with bench.room(nnUNetTrainer, VOLUMES) as run:
        truth = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(run.data.raw / "labelsTr" / "case_2.nii.gz")))
    assert case["metrics"]["1"]["n_ref"] < (truth == 1).sum()


def test_validation_cases_that_are_sparse_themselves_are_named(bench: Bench) -> None:
    with built(bench, "SparseSlices", Situation("labels+ignore", "3d", True)) as (_, run):
        assert "WARNING: 1 of 1 validation cases are not annotated everywhere, such as case_2" in log_of(run)


def test_repetitions_choose_other_slices_and_a_seed_the_same(bench: Bench) -> None:
    chosen = []
    for name in ("", "_run2", "_run3"):
        with built(bench, f"SparseSlices_density0p3_random{name}") as (trainer, _):
            chosen.append([annotated(trainer, case) for case in TRAINING_CASES[:2]])
    assert len({str(slices) for slices in chosen}) > 1
    seeded = []
    for name in ("", "_run2"):
        with built(bench, f"SparseSlices_density0p3_random_seed3{name}") as (trainer, _):
            seeded.append([annotated(trainer, case) for case in TRAINING_CASES[:2]])
    assert seeded == [chosen[2]] * 2


def test_ual_chooses_by_images_alone(bench: Bench) -> None:
    with built(bench, "SparseSlices_density0p3_ual") as (trainer, _):
        assert [len(annotated(trainer, case)) for case in TRAINING_CASES[:2]] == [2, 2]


def test_fewer_volumes(bench: Bench) -> None:
    with built(bench, "SparseSlices_volumes0p5") as (trainer, _):
        training, validation = trainer.do_split()
        assert len(training) == len(trainer.dataloader_train.data_loader.indices) == 1
        assert validation == ["case_2"]


def test_interpolated_masks_are_labels_and_what_they_leave_out_is_background(bench: Bench) -> None:
    with built(bench, "SparseSlices_density0p3_mi") as (trainer, _):
        labels = np.maximum(stored(trainer, "case_0"), 0)
        made = interpolate(labels, [1, 5], spacing=(1.0, 1.0))
        assert (np.maximum(shown(trainer, "case_0"), 0) == made).all()
        assert not (made == labels).all()
        assert annotated(trainer, "case_0") == list(range(7))


def test_classes_are_balanced_by_what_is_annotated(bench: Bench) -> None:
    with built(bench, "WCE_SparseSlices_density0p3") as (trainer, run):
        expected = sum(
            np.bincount(np.maximum(stored(trainer, case)[annotated(trainer, case)], 0).ravel(), minlength=3)
            for case in TRAINING_CASES[:2]
        )
        assert trainer.training_voxels() == {label: number for label, number in enumerate(expected.tolist()) if number}
        assert expected.tolist()[2] == 0
        assert "no annotated slice of any training case shows label 2" in log_of(run)


def test_padding_and_slices_are_ignored_by_a_loss_of_ours_too(bench: Bench) -> None:
    name = parse("nnUNetTrainerTversky_SparseSlices_density0p1")
    assert [trick.info.name for trick in name.tricks] == ["Tversky", "SparseSlices"]
    with built(bench, "Tversky_SparseSlices_density0p1") as (trainer, run):
        assert trainer.criterion.ignore_label == trainer.label_manager.ignore_label == 3
        trainer.on_train_epoch_start()
        trainer.on_train_epoch_end([trainer.train_step(next(trainer.dataloader_train)) for _ in range(2)])
        assert "of the voxels of training patches" in log_of(run)


def test_an_epoch_without_annotated_voxels_is_an_error(bench: Bench) -> None:
    with built(bench, "SparseSlices_density0p1") as (trainer, _):
        batch = next(trainer.dataloader_train)
        batch["target"] = [torch.full_like(level, trainer.label_manager.ignore_label) for level in batch["target"]]
        with pytest.raises(RuntimeError, match="no patch of this epoch had an annotated voxel"):
            trainer.on_train_epoch_end([trainer.train_step(batch)])


class Counting(nnUNetTrainerSparseSlices):
    """Somebody's trainer, with a loss of nnU-Net's that takes its share of all voxels."""

    def _build_loss(self) -> Any:
        return TopKLoss(ignore_index=self.label_manager.ignore_label, k=10)


class Empty(nnUNetTrainerSparseSlices):
    """With nnU-Net's cross-entropy, which is not a number where nothing is annotated."""

    def _build_loss(self) -> Any:
        return RobustCrossEntropyLoss(ignore_index=self.label_manager.ignore_label)


@pytest.mark.parametrize(
    ("cls", "reason"), [(Counting, "counts voxels that nobody annotated"), (Empty, "is nan in a patch without")]
)
def test_a_loss_that_counts_what_is_not_annotated_is_refused(bench: Bench, cls: type, reason: str) -> None:
    with bench.room(cls, VOLUMES) as run, pytest.raises(ValueError, match=reason):
        run.build()


def test_slices_across_the_body_are_refused_for_networks_that_see_slices(bench: Bench) -> None:
    with bench.room(nnUNetTrainerSparseSlices, VOLUMES) as run:
        cls = trainers.find("nnUNetTrainerSparseSlices_density0p3")
        assert cls is not None
        plans = deepcopy(run.data.plans)
        full = plans["configurations"]["3d_fullres"]
        flat = {**full, "patch_size": full["patch_size"][1:], "spacing": full["spacing"][1:]}
        plans["configurations"]["2d"] = flat
        plans["transpose_forward"], plans["transpose_backward"] = [1, 0, 2], [1, 0, 2]
        trainer = cls({**plans, "continue_training": False}, "2d", 0, run.data.dataset_json, torch.device("cpu"))
        with pytest.raises(ValueError, match="takes slices along another axis than the patient's in 2 of 2 volumes"):
            trainer.training_voxels()
