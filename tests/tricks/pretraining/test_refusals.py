"""What ``nnUNetv2_train`` refuses before it makes a folder: through nnU-Net's own function, with its own arguments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from nnunetv2.run import run_training

from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.run import CONFIGURATIONS
from nnunet_tricks.door import trainers
from nnunet_tricks.nnunet.training_call import TrainingCall
from nnunet_tricks.training import network_sizes
from nnunet_tricks.training.planned import Planned
from nnunet_tricks.tricks.pretraining.weights import adding
from nnunet_tricks.tricks.pretraining.weights.store import Store
from tests.tricks.pretraining.conftest import FLAT, SOLID, Room, checkpoint, trainer_of

LITE0 = "EfficientNetLite0UNet_PretrainedImageNet1k"

Refused = Callable[..., str]


class Code:
    """What a file of somebody else's may hold."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return Path.touch, (Path("ran"),)  # type: ignore[return-value]


@pytest.fixture
def refused(room: Room, monkeypatch: pytest.MonkeyPatch) -> Refused:
    """The reason why a training is refused, once it is certain that nothing was written."""
    if hasattr(run_training, "recursive_find_trainer_class_by_name"):
        monkeypatch.setattr(run_training, "recursive_find_trainer_class_by_name", trainers.find)
    else:  # nnU-Net 2.7
        monkeypatch.setattr(
            run_training, "recursive_find_python_class", lambda folder, name, module: trainers.find(name)
        )

    def refuse(name: str, situation: Situation = FLAT, *, file: Path | None = None) -> str:
        with room(name, situation) as run:
            with pytest.raises(ValueError) as error:  # noqa: PT011, its words are what the tests are about
                run_training.run_training(
                    run.data.name,
                    CONFIGURATIONS[situation.dimension],
                    0,
                    f"nnUNetTrainer{name}",
                    pretrained_weights=str(file) if file else None,
                    device=torch.device("cpu"),
                )
            assert not (run.folder / "results").exists()
        return str(error.value)

    return refuse


def donor(room: Room, folder: Path, name: str = "_run2", situation: Situation = FLAT, **more: object) -> Path:
    """A checkpoint of another training's network."""
    with room(name, situation) as run:
        return checkpoint(run.build().network, folder / "checkpoint_final.pth", **more)


@pytest.mark.parametrize("trick", ["Freeze", "EncoderLR", "LayerDecay"])
def test_random_weights_are_not_tuned(refused: Refused, trick: str) -> None:
    assert refused(trick).startswith(f"{trick} trains pretrained weights further, and none were loaded")


def test_two_beginnings(lite0: Store, refused: Refused, tmp_path: Path) -> None:
    file = tmp_path / "any.pth"
    assert refused(LITE0, file=file).startswith("PretrainedImageNet1k and -pretrained_weights are two beginnings")
    assert "are two beginnings" in refused("EfficientNetLite0UNet_Freeze_PretrainedImageNet1k", file=file)


def test_an_entry_of_another_shape_says_which(store: Store, room: Room, refused: Refused, tmp_path: Path) -> None:
    adding.add(store, donor(room, tmp_path, situation=SOLID), name="organs", architecture="nnunet")
    reason = refused("Pretrained_organs")
    assert reason.startswith("organs for nnunet has 12 of 16 tensors of the encoder of nnunet")
    assert (
        "stages.0.0.convs.0.conv.weight is 4x1x1x3x3 in the file and 4x3x3x3 in the network (4 such tensors)" in reason
    )


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04 cut off", "cannot be read, it may be damaged"),
        (None, "is not there"),
    ],
)
@pytest.mark.parametrize("name", ["Tversky", "Freeze"])
def test_files_that_cannot_be_read(
    refused: Refused, tmp_path: Path, name: str, file: bytes | None, reason: str
) -> None:
    path = tmp_path / "weights.pth"
    if file is not None:
        path.write_bytes(file)
    assert reason in refused(name, file=path)


@pytest.mark.parametrize("name", ["Tversky", "Freeze"])
def test_code_is_not_run(refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"network_weights": {}, "more": Code()}, tmp_path / "weights.pth")
    assert "so opening it would run code that came with it" in refused(name, file=tmp_path / "weights.pth")
    assert not Path("ran").exists()


def test_a_file_of_another_network(room: Room, refused: Refused, tmp_path: Path) -> None:
    file = donor(room, tmp_path, situation=SOLID)
    assert "conv.weight is 4x1x1x3x3 in the file and 4x3x3x3 here (" in refused("Tversky", file=file)
    assert "it is of the same kind in other sizes" in refused("Freeze", file=file)
    torch.save({"state_dict": {"layer1.0.conv1.weight": torch.zeros(64, 64, 1, 1)}}, file)
    assert "is no checkpoint of nnU-Net, it has no 'network_weights'" in refused("Tversky", file=file)
    assert "has 0 of 16 tensors of the encoder of nnunet" in refused("Freeze", file=file)


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ({"background": 0, "whole": [1, 2], "core": 2}, "with regions on one side only, leave it out"),
        (None, "KeepHeads needs a checkpoint of nnU-Net with its labels"),
    ],
)
def test_heads_that_mean_nothing_here(
    room: Room, refused: Refused, tmp_path: Path, labels: dict[str, object] | None, reason: str
) -> None:
    more = {"init_args": {"dataset_json": {"labels": labels}}} if labels else {}
    assert reason in refused("KeepHeads", file=donor(room, tmp_path, **more))


def test_heads_without_a_file(store: Store, room: Room, refused: Refused, tmp_path: Path) -> None:
    adding.add(store, donor(room, tmp_path), name="organs", architecture="nnunet")
    assert refused("KeepHeads_Pretrained_organs").startswith("KeepHeads needs a checkpoint of nnU-Net with its labels")


@pytest.mark.parametrize("name", ["ViTB16_Freeze_allbuthead", "ViTB16_KeepHeads"])
def test_output_layers_of_other_networks(refused: Refused, tmp_path: Path, name: str) -> None:
    reason = refused(name, file=tmp_path / "any.pth")
    assert reason.endswith("needs the output layers of nnU-Net's decoder, and ViTUNet has another")


def test_a_given_checkpoint_of_the_same_network_is_no_reason(room: Room, tmp_path: Path) -> None:
    """What nnU-Net takes is not refused, by any trainer; so is a plain U-Net for an enhanced one."""
    file = donor(room, tmp_path)
    for name in ("Tversky", "Freeze", "IFECurvature"):
        trainer = trainer_of(name)
        with room(name) as run:
            # Not initialized: a trainer that then never starts would leave nnU-Net's function patched.
            planned = Planned.of(run.data.plans, "2d", run.data.dataset_json, TrainingCall(file))
            trainer.check_fresh(planned)


@pytest.mark.parametrize(
    ("theirs", "mine", "fits"),
    [
        ((64, 96), (64, 96), True),
        ((64, 64), (96, 64), True),  # positions of a square are resampled
        ((64, 96), (96, 64), False),  # as many positions, in another order
        ((64, 96), (64, 64), False),  # not those of a square
    ],
)
def test_positions_of_a_transformer_are_those_of_its_patches(
    room: Room,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    theirs: tuple[int, int],
    mine: tuple[int, int],
    fits: bool,
) -> None:
    trainer = trainer_of("ViTB16_EncoderLR")
    with room("ViTB16_EncoderLR") as run:
        monkeypatch.setenv(network_sizes.VARIABLE, "small")
        plans = run.data.plans

        def planned(patch: tuple[int, int]) -> Planned:
            configuration = plans["configurations"]["2d"] | {"patch_size": [*patch]}
            changed = plans | {"configurations": plans["configurations"] | {"2d": configuration}}
            return Planned.of(changed, "2d", run.data.dataset_json, TrainingCall(file))

        file = tmp_path / "checkpoint_final.pth"
        network = trainer.planned_network(planned(theirs))
        assert network is not None
        arguments = {"plans": planned(theirs).plans.plans, "configuration": "2d"}
        checkpoint(network.to_empty(device="cpu"), file, init_args=arguments)
        if fits:
            trainer.check_fresh(planned(mine))
        else:
            with pytest.raises(ValueError, match="learns where things are in a patch of one size"):
                trainer.check_fresh(planned(mine))
