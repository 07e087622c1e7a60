"""Trainings start from the store, and from nowhere else; what continues or predicts needs no store."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from nnunetv2.run.run_training import maybe_load_checkpoint

from nnunet_tricks.tricks.pretraining.weights import adding
from nnunet_tricks.tricks.pretraining.weights.encoder import of_network
from nnunet_tricks.tricks.pretraining.weights.store import Store, digest
from tests.tricks.pretraining.conftest import SOLID, Room, checkpoint, log_of

LITE0 = "EfficientNetLite0UNet_PretrainedImageNet1k"


def test_a_training_starts_from_the_entry_and_says_so(lite0: Store, lite0_file: Path, room: Room) -> None:
    with room(LITE0) as run:
        trainer = run.build()
        before = {name: tensor.clone() for name, tensor in of_network(trainer.network).tensors.items()}
        trainer.on_train_start()
        after = of_network(trainer.network).tensors
        original = torch.load(lite0_file, weights_only=True)
        assert all(torch.equal(tensor, original[name]) for name, tensor in after.items())
        assert not all(torch.equal(tensor, before[name]) for name, tensor in after.items())
        log = log_of(trainer)
        debug = json.loads(Path(trainer.output_folder, "debug.json").read_text())
    for text in (log, debug["pretrained"]):
        assert "PretrainedImageNet1k for tf_efficientnet_lite0 from lite0.pth" in text
        assert digest(lite0_file) in text
    assert "missing     none" in log
    assert "licence unknown, no licence is known" in log  # nobody can tell that of a file of this name
    assert "WARNING: these weights know colours from 0 to 1 with mean 0.5 0.5 0.5" in log
    assert len(after) == 240  # the encoder has no conv_head and bn2, which the file has


def test_a_missing_entry_is_refused_before_a_folder_is_made(store: Store, room: Room) -> None:
    with room(LITE0) as run:
        with pytest.raises(ValueError, match=r"has no PretrainedImageNet1k for tf_eff.*'nnunet-tricks weights fetch"):
            run.build()
        assert not [*(run.folder / "results").rglob("*")]


def test_an_entry_that_has_changed_is_refused_before_a_folder_is_made(lite0: Store, room: Room) -> None:
    file = lite0.file("PretrainedImageNet1k", "tf_efficientnet_lite0")
    file.write_bytes(file.read_bytes() + b"x")
    with room(LITE0) as run:
        with pytest.raises(ValueError, match="has changed"):
            run.build()
        assert not [*(run.folder / "results").rglob("*")]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("PretrainedMoCo", "PretrainedMoCo has weights of resnet50, and nnU-Net's planned network is none of these"),
        ("PretrainedMAE", "as in nnUNetTrainerViTB16_PretrainedMAE "),
        ("ModelsGenesis", "as in nnUNetTrainerGenesisUNet3D_ModelsGenesis "),
        (
            "SegResNet_PretrainedImageNet1k",
            "with an encoder that has published weights, and the network of",
        ),
        ("SegResNet_Freeze", "Freeze needs a network whose encoder can start from pretrained weights"),
    ],
)
def test_networks_that_cannot_take_weights_are_refused(store: Store, room: Room, name: str, message: str) -> None:
    with room(name, SOLID) as run:
        with pytest.raises(ValueError, match=message):
            run.build()
        assert not [*(run.folder / "results").rglob("*")]


def test_another_beginning_beside_it_is_refused(lite0: Store, room: Room, tmp_path: Path) -> None:
    with room(LITE0) as run:
        trainer = run.build()
        file = checkpoint(run.build().network, tmp_path / "checkpoint_final.pth")
        maybe_load_checkpoint(trainer, False, False, str(file))
        with pytest.raises(ValueError, match="PretrainedImageNet1k and -pretrained_weights are two beginnings"):
            trainer.on_train_start()


def test_what_goes_on_needs_no_store(lite0: Store, room: Room) -> None:
    with room(LITE0) as run:
        first = run.build()
        first.on_train_start()
        for name in ("latest", "final"):
            first.save_checkpoint(str(Path(first.output_folder, f"checkpoint_{name}.pth")))
        shutil.rmtree(lite0.folder)
        weights = {name: tensor.clone() for name, tensor in first.network.state_dict().items()}
        again = run.build(continue_training=True)
        maybe_load_checkpoint(again, True, False)
        again.on_train_start()
        assert all(torch.equal(tensor, weights[name]) for name, tensor in again.network.state_dict().items())
        assert again.pretrained == "a checkpoint of this training"
        validating = run.build(continue_training=True)
        maybe_load_checkpoint(validating, False, True)
        # Prediction builds the network on the class, and never asks for anything else.
        network = run.trainer.build_network_architecture(
            first.plans_manager, first.configuration_manager, 3, first.label_manager.num_segmentation_heads, False
        )
        network.load_state_dict(weights)


def test_continue_without_a_checkpoint_is_a_new_training(lite0: Store, lite0_file: Path, room: Room) -> None:
    with room(LITE0) as run:
        trainer = run.build(continue_training=True)
        maybe_load_checkpoint(trainer, True, False)
        trainer.on_train_start()
        assert "lite0.pth" in trainer.pretrained
        name, tensor = next(iter(of_network(trainer.network).tensors.items()))
        assert torch.equal(tensor, torch.load(lite0_file, weights_only=True)[name])


def test_a_planned_network_starts_from_a_checkpoint(store: Store, room: Room, tmp_path: Path) -> None:
    with room("Pretrained_organs", SOLID) as run:
        with pytest.raises(ValueError, match=r"no organs for nnunet: 'nnunet-tricks weights add FILE --as organs"):
            run.build()
        with room("_run2", SOLID) as other:
            donor = other.build().network
        file = checkpoint(donor, tmp_path / "checkpoint_final.pth")
        adding.add(store, file, name="organs", architecture="nnunet")
        trainer = run.build()
        trainer.on_train_start()
        mine = trainer.network.state_dict()
        theirs = donor.state_dict()
        same = {name for name, tensor in mine.items() if torch.equal(tensor, theirs[name])}
        assert same == {name for name in mine if "encoder." in name}
