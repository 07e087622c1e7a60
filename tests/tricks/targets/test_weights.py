"""Weight maps on their way from the raw data set to the loss."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import torch

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.run import Run
from nnunet_tricks.door import trainers
from nnunet_tricks.nnunet.sandbox import seed_everything
from nnunet_tricks.tricks.targets.weights import FOLDER, ImageWithWeights

VOLUMES = Situation("labels", "3d", True)
AUGMENTATIONS = ["GTAugA", "GTAugB", "GTAugAB", "RandomErasing", "FastDA", "Rotate90", "Translate"]


@pytest.fixture(scope="module")
def own_bench() -> Iterator[Bench]:
    """Data that these tests may change."""
    with Bench() as bench:
        yield bench


def run_of(bench: Bench, name: str, situation: Situation = VOLUMES):
    cls = trainers.find(f"nnUNetTrainer{name}")
    assert cls is not None
    return bench.room(cls, situation)


def changed(run: Run, values, case: str = "case_0") -> Path:
    """Another map for a case, newer than the stored one."""
    file = run.data.raw / FOLDER / f"{case}{run.data.ending}"
    old = sitk.ReadImage(str(file))
    image = sitk.GetImageFromArray(values(sitk.GetArrayFromImage(old)))
    if image.GetSize() == old.GetSize():
        image.CopyInformation(old)
    sitk.WriteImage(image, str(file))
    newer = file.stat().st_mtime + 100
    os.utime(file, (newer, newer))
    return file


@contextmanager
def kept(run: Run) -> Iterator[Path]:
    """The map of a case, which is as before afterwards."""
    file = run.data.raw / FOLDER / f"case_0{run.data.ending}"
    content = file.read_bytes()
    try:
        yield file
    finally:
        file.write_bytes(content)


def with_corner(like, value: float) -> np.ndarray:
    """Weights of 1, but for one voxel."""
    weights = np.ones(like.shape, np.float32)
    weights[0, 0, 0] = value
    return weights


@pytest.mark.parametrize("dimension", ["2d", "3d"])
@pytest.mark.parametrize("labels", ["labels+ignore", "regions"])
def test_weights_move_with_the_labels(bench: Bench, dimension: str, labels: str) -> None:
    with run_of(bench, "WeightMap", Situation(labels, dimension, True)) as run:
        seed_everything(0)
        trainer = run.build()
        trainer.on_train_start()
        seen = set()
        for _ in range(4):
            batch = next(trainer.dataloader_train)
            plain = trainer._without_weights(batch)
            weights = trainer.criterion.weights
            assert weights.shape[1:] == plain["target"][0].shape[2:] == batch["data"].shape[2:]
            assert batch["data"].shape[1] == (3 if dimension == "2d" else 1)
            assert weights.min() >= 1 - 1e-2
            assert weights.max() <= 3 + 1e-2
            for case, of_case in zip(batch["keys"], weights, strict=True):
                seen.add(case)
                if case == "case_1":
                    assert torch.equal(of_case, torch.ones_like(of_case))  # it has no map
                else:
                    assert of_case.std() > 0.1
        assert seen == {"case_0", "case_1"}


def test_a_map_made_of_the_labels_stays_on_them(own_bench: Bench) -> None:
    """With weights of 3 on objects and 1 elsewhere, augmented weights agree with augmented labels but at borders."""
    with run_of(own_bench, "WeightMap_binary") as run:
        for case in ("case_0", "case_2"):
            labels = sitk.GetArrayFromImage(sitk.ReadImage(str(run.data.raw / "labelsTr" / f"{case}{run.data.ending}")))
            changed(run, lambda _, labels=labels: (labels > 0).astype(np.uint8), case)
        seed_everything(0)
        trainer = run.build()
        trainer.on_train_start()
        shares = []
        for _ in range(6):
            batch = next(trainer.dataloader_train)
            target = trainer._without_weights(batch)["target"][0]
            weights = trainer.criterion.weights
            assert set(weights.unique().tolist()) <= {0.0, 1.0}
            for case, labels, of_case in zip(batch["keys"], target[:, 0], weights, strict=True):
                # What lies outside of an image is background, and weighs 1.
                inside = (labels > 0) | (of_case == 0)
                if case == "case_0":
                    shares.append(float(((labels > 0) == (of_case > 0))[inside].float().mean()))
        assert np.mean(shares) > 0.95


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_our_augmentations_move_them_too(bench: Bench, name: str) -> None:
    with run_of(bench, f"WeightMap_{name}", Situation("labels", "2d", True)) as run:
        seed_everything(1)
        trainer = run.build()
        trainer.on_train_start()
        for _ in range(3):
            batch = next(trainer.dataloader_train)
            trainer._without_weights(batch)
            assert trainer.criterion.weights.min() >= 1 - 1e-2
            assert trainer.criterion.weights.max() <= 3 + 1e-2


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (lambda old: with_corner(old, np.nan), "holds NaN or infinity in 1 voxels"),
        (lambda old: with_corner(old, -1), "holds weights from -1 to 1"),
        (lambda old: old[:-1], "both must have the same grid"),
        (lambda old: with_corner(old, 1e4), "they must be from 0 to 1000"),
    ],
)
def test_what_is_no_weight_is_refused_before_a_folder_is_made(own_bench: Bench, values, words: str) -> None:
    with run_of(own_bench, "WeightMap") as run:
        file = run.data.raw / FOLDER / f"case_0{run.data.ending}"
        kept = file.read_bytes()
        try:
            changed(run, values)
            with pytest.raises(ValueError, match=words):
                run.build()
            assert not run.model_folder().exists()
        finally:
            file.write_bytes(kept)


def test_maps_of_unknown_cases_are_refused(own_bench: Bench) -> None:
    with run_of(own_bench, "WeightMap") as run:
        stray = run.data.raw / FOLDER / f"case_9{run.data.ending}"
        stray.touch()
        try:
            with pytest.raises(ValueError, match=r"case_9.* no maps of preprocessed cases"):
                run.build()
        finally:
            stray.unlink()


@pytest.mark.parametrize("mixing", ["MixUp", "CopyPaste", "GANAug"])
def test_a_trick_that_mixes_cases_is_refused(bench: Bench, mixing: str) -> None:
    with (
        run_of(bench, f"WeightMap_{mixing}") as run,
        pytest.raises(ValueError, match=f"{mixing} brings voxels of other cases"),
    ):
        run.build()


def test_without_maps_it_is_nnunets_loss_and_says_so(own_bench: Bench) -> None:
    with run_of(own_bench, "WeightMap") as run:
        hidden = (run.data.raw / FOLDER).rename(run.data.raw / "hidden")
        try:
            trainer = run.build()
            trainer.on_train_start()
            batch = next(trainer.dataloader_train)
            assert trainer._without_weights(batch) is batch
            log = next(Path(trainer.output_folder).glob("training_log*.txt")).read_text()
            assert "WeightMap changes nothing" in log
        finally:
            hidden.rename(run.data.raw / FOLDER)


def test_weights_are_read_where_the_image_is_cropped() -> None:
    image, weights = np.random.rand(2, 5, 6, 7).astype(np.float32), np.random.rand(5, 6, 7).astype(np.float16)
    box = (slice(0, 3), slice(1, 4), slice(0, 6), slice(2, 7))
    joined = ImageWithWeights(image, weights)
    assert joined.shape == (3, 5, 6, 7)
    np.testing.assert_array_equal(joined[box][:2], image[:, 1:4, :, 2:7])
    np.testing.assert_array_equal(joined[box][2], weights[1:4, :, 2:7].astype(np.float32) - 1)
    assert not ImageWithWeights(image, None)[box][2].any()


def test_another_map_is_noticed_though_its_file_is_older(own_bench: Bench) -> None:
    with run_of(own_bench, "WeightMap") as run, kept(run):
        folder = run.build()._weights_folder
        before = np.load(folder / "case_0.npy")
        file = changed(run, lambda like: with_corner(like, 7))
        os.utime(file, (1e9, 1e9))
        run.build()
        assert not np.array_equal(np.load(folder / "case_0.npy"), before)


def test_stored_maps_that_are_not_complete_are_no_maps(own_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with run_of(own_bench, "WeightMap") as run, kept(run):
        run.build()
        changed(run, lambda like: with_corner(like, float("nan")))
        with pytest.raises(ValueError, match="case_0"):
            run.build()
        with monkeypatch.context() as without_raw_data:
            without_raw_data.setattr("nnunetv2.paths.nnUNet_raw", None)
            with pytest.raises(ValueError, match="is not complete"):
                run.build()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.array([None, 1]), "case_0.npy cannot be read as an array of numbers"),
        (np.array([["a", "b"]]), "case_0.npy must hold real numbers"),
        (np.ones((1, 1, 2, 2)), "along two or three axes"),
        (np.ones((0, 2, 2)), "must hold real numbers for each voxel"),
    ],
)
def test_arrays_that_are_no_maps_are_named(own_bench: Bench, values: np.ndarray, words: str) -> None:
    with run_of(own_bench, "WeightMap") as run, kept(run) as file:
        file.unlink()
        array = file.with_name("case_0.npy")
        np.save(array, values)
        try:
            with pytest.raises(ValueError, match=words):
                run.build()
        finally:
            array.unlink()
