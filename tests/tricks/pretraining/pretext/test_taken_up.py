"""Trainings that start from a pretext training: what they load, and what they refuse before a folder is made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from nnunetv2.run.run_training import maybe_load_checkpoint
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_tricks.catalogue.naming import parse
from nnunet_tricks.catalogue.pretext import pretext_of
from nnunet_tricks.conformance.run import Run
from tests.tricks.pretraining.pretext.conftest import log_of, made

Solid = tuple[Run, dict[str, nnUNetTrainer]]


def begun(run: Run, name: str) -> nnUNetTrainer:
    """A trainer that has loaded what it starts from, before its first step."""
    trainer = made(run, name)
    trainer.initialize()
    trainer.on_train_start()
    return trainer


@pytest.mark.parametrize(
    ("token", "source", "said"),
    [
        ("Genesis_after1", "PretextGenesis_1epochs", "34 of 34 tensors taken over"),
        ("Tversky_EncoderLR_Masked_after1_noskips", "PretextMasked_noskips_1epochs", "16 of 34 tensors taken over"),
        (
            "Contrastive_after1_Freeze_run3",
            "PretextContrastive_1epochs",
            "the decoder was not trained and stays random",
        ),
        ("Freeze_allbuthead_Genesis_after1", "PretextGenesis_1epochs", "34 of 34 tensors taken over"),
    ],
)
def test_all_tensors_that_were_trained_are_taken_over_and_counted(
    solid: Solid, token: str, source: str, said: str
) -> None:
    run, trainers = solid
    trainer = begun(run, token)
    assert said in log_of(trainer)
    theirs, mine = trainers[source].network.state_dict(), trainer.network.state_dict()
    whole = "Genesis" in token
    for key, tensor in mine.items():
        if ".seg_layers." not in key and (whole or key.startswith(("encoder.", "decoder.encoder."))):
            assert torch.equal(tensor, theirs[key]), key
    # Layers begin with biases of 0, also those of a random decoder.
    key = "decoder.stages.0.convs.0.conv.weight"
    assert torch.equal(mine[key], theirs[key]) == whole
    assert "checkpoint_final.pth (sha256 " in trainer.pretrained


def test_weights_are_loaded_at_the_start_only(solid: Solid) -> None:
    run, _ = solid
    trainer = made(run, "Masked_after1_noskips_run2")
    trainer.num_epochs, trainer.save_every = 1, 1
    trainer.run_training()
    after = deepcopy(trainer.network.state_dict())
    with away(trainer, "PretextMasked_noskips_1epochs"):
        again = made(run, "Masked_after1_noskips_run2", plans={**run.data.plans, "continue_training": True})
        maybe_load_checkpoint(again, True, False)
        again.on_train_start()
        assert again.pretrained == "a checkpoint of this training"
        for key, tensor in again.network.state_dict().items():
            assert torch.equal(tensor, after[key])


def test_the_command_that_is_missing_is_named_before_a_folder_is_made(room: Run) -> None:
    with pytest.raises(
        ValueError,
        match=r"First run 'nnUNetv2_train Dataset\w+ 3d_fullres 0 -tr nnUNetTrainerPretextMasked_ratio0p5_50epochs'$",
    ):
        made(room, "Masked_after50_ratio0p5_2epochs")
    assert not Path(room.folder / "results").exists() or not list((room.folder / "results").rglob("fold_0"))


def test_a_training_that_was_interrupted_is_to_be_continued(solid: Solid) -> None:
    run, trainers = solid
    final = Path(trainers["PretextGenesis_1epochs"].output_folder) / "checkpoint_final.pth"
    latest = final.rename(final.with_name("checkpoint_latest.pth"))
    try:
        with pytest.raises(
            ValueError, match=r"First run 'nnUNetv2_train .* -tr nnUNetTrainerPretextGenesis_1epochs --c' to"
        ):
            made(run, "Genesis_after1_run5")
    finally:
        latest.rename(final)


def test_a_training_on_all_cases_is_not_taken_for_a_fold(solid: Solid) -> None:
    run, trainers = solid
    folder = Path(trainers["PretextGenesis_1epochs"].output_folder)
    moved = folder.rename(folder.with_name("fold_all"))
    try:
        with pytest.raises(
            ValueError, match=r"has seen the images which fold 0 keeps for validation. First run 'nnUNetv2"
        ):
            made(run, "Genesis_after1_run5")
        assert "34 of 34" in made_for_all(run)
    finally:
        moved.rename(folder)


def made_for_all(run: Run) -> str:
    trainer = made(run, "Genesis_after1_run6", fold="all")
    trainer.initialize()
    trainer.on_train_start()
    return log_of(trainer)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("spacing", [2.0, 1.0, 1.0], r"spacing differs \(\[3.0, 1.0, 1.0\] there, \[2.0, 1.0, 1.0\] now\)"),
        ("normalization_schemes", ["CTNormalization"], "normalization_schemes differs"),
        ("patch_size", [6, 24, 32], r"patch_size differs \(\[6, 24, 24\] there, \[6, 24, 32\] now\)"),
    ],
)
def test_a_checkpoint_of_other_plans_is_refused(solid: Solid, key: str, value: Any, said: str) -> None:
    run, _ = solid
    plans = deepcopy(run.data.plans)
    plans["configurations"]["3d_fullres"][key] = value
    with pytest.raises(ValueError, match=f"other plans of the name nnUNetPlans: {said}"):
        made(run, "Genesis_after1_run5", plans={**plans, "continue_training": False})


def test_images_that_the_present_split_keeps_for_validation_are_noticed(solid: Solid) -> None:
    run, _ = solid
    splits = run.data.preprocessed / "splits_final.json"
    before = splits.read_text()
    splits.write_text(json.dumps([{"train": ["case_0", "case_2"], "val": ["case_1"]}]))
    try:
        with pytest.raises(
            ValueError, match="was trained on case_1, which the present split keeps for validation in fold 0"
        ):
            made(run, "Genesis_after1_run5")
    finally:
        splits.write_text(before)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "Genesis_after1_KeepHeads",
            "KeepHeads keeps output layers for labels, and nnUNetTrainerPretextGenesis_1epochs",
        ),
        ("Freeze_allbuthead_Masked_after1_noskips", "has no decoder that could be taken over: take Freeze"),
        ("SegResNet_Genesis_after1", "Genesis is for nnU-Net's planned networks"),
    ],
)
def test_tricks_that_need_more_are_refused(solid: Solid, name: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        made(solid[0], name)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("nnUNetTrainerGenesis", "nnUNetTrainerPretextGenesis"),
        (
            "nnUNetTrainerTversky_Masked_after20_ratio0p5_5epochs_shared_run2",
            "nnUNetTrainerPretextMasked_ratio0p5_20epochs",
        ),
        ("nnUNetTrainerBN_Contrastive_temperature0p1", "nnUNetTrainerPretextContrastive_temperature0p1_BN"),
        ("nnUNetTrainerFreeze_Pretrained", None),
    ],
)
def test_a_name_says_what_it_starts_from(name: str, source: str | None) -> None:
    pretext = pretext_of(parse(name))
    assert (str(pretext) if pretext else None) == source


@contextmanager
def away(trainer: nnUNetTrainer, source: str) -> Iterator[None]:
    """Take a pretext training away for a while."""
    base = Path(trainer.output_folder_base)
    folder = next(base.parent.glob(f"nnUNetTrainer{source}__*"))
    moved = folder.rename(folder.with_name("away"))
    try:
        yield
    finally:
        moved.rename(folder)
