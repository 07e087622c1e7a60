"""What is frozen stays, rates follow the schedule, and nothing is tuned that was not trained before."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from nnunetv2.run.run_training import maybe_load_checkpoint
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import Tensor

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.run import Run
from nnunet_tricks.nnunet.patches import Replacement
from nnunet_tricks.nnunet.sandbox import seed_everything
from nnunet_tricks.tricks.pretraining.finetuning.parts import depths
from nnunet_tricks.tricks.pretraining.weights import adding
from nnunet_tricks.tricks.pretraining.weights.encoder import of_network
from nnunet_tricks.tricks.pretraining.weights.store import Store
from tests.tricks.pretraining.conftest import SOLID, Room, checkpoint, log_of, trainer_of
from tests.tricks.pretraining.weights.published import nnssl

LITE0 = "EfficientNetLite0UNet_{}_PretrainedImageNet1k"


def state_of(trainer: nnUNetTrainer) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.network.state_dict().items()}


def changed(trainer: nnUNetTrainer, before: dict[str, Tensor]) -> set[str]:
    return {name for name, tensor in trainer.network.state_dict().items() if not torch.equal(tensor, before[name])}


def steps(trainer: nnUNetTrainer, epoch: int = 0, count: int = 2) -> None:
    """The training steps of an epoch."""
    trainer.current_epoch = epoch
    trainer.on_train_epoch_start()
    for _ in range(count):
        trainer.train_step(next(trainer.dataloader_train))


def started(run: Run, *, compiled: bool = False) -> nnUNetTrainer:
    # The backend traces as the others do and needs no compiler.
    with Replacement(torch, "compile", partial(torch.compile, backend="aot_eager")):
        trainer = run.build(compiled=compiled)
    trainer.on_train_start()
    return trainer


def of_encoder(trainer: nnUNetTrainer) -> set[str]:
    """Names of the tensors of a timm encoder in its network, also below the decoder, which holds it too."""
    return {name for name in trainer.network.state_dict() if ".backbone." in f".{name}"}


def heads(state: dict[str, Tensor]) -> set[str]:
    """Names of the output layers that learn; the smallest has no weight in nnU-Net's deep supervision."""
    return {name for name in state if ".seg_layers." in name and ".seg_layers.0." not in name}


@pytest.mark.parametrize("optimizer", ["", "_VanillaAdam"])
def test_a_frozen_encoder_stays_bit_by_bit_running_statistics_too(lite0: Store, room: Room, optimizer: str) -> None:
    with room(LITE0.format("Freeze") + optimizer) as run:
        trainer = started(run)
        before = state_of(trainer)
        steps(trainer)
        frozen = of_encoder(trainer)
        assert len(frozen) > 400
        assert not changed(trainer, before) & frozen
        assert {name for name in before if "encoder.stem" in name} | heads(before) <= changed(trainer, before)
        # As after --c: a new trainer, and the state of the old one.
        file = Path(trainer.output_folder, "checkpoint_latest.pth")
        trainer.save_checkpoint(str(file))
        again = run.build(continue_training=True)
        maybe_load_checkpoint(again, True, False)
        again.on_train_start()
        steps(again, epoch=1)
        assert not changed(again, before) & frozen
        assert changed(again, before)


@pytest.mark.slow
@pytest.mark.parametrize("first", ["", "_first1"])
def test_a_compiled_network_is_frozen_too(lite0: Store, room: Room, first: str) -> None:
    with room(LITE0.format(f"Freeze{first}")) as run:
        trainer = started(run, compiled=True)
        before = state_of(trainer)
        frozen = of_encoder(trainer)
        assert all(name.startswith("_orig_mod.") for name in frozen)
        assert len(frozen) > 400
        steps(trainer)
        assert not changed(trainer, before) & frozen
        assert heads(before) <= changed(trainer, before)
        if first:
            steps(trainer, epoch=1)
            assert changed(trainer, before) & frozen


def test_frozen_for_the_first_epochs_it_learns_afterwards(lite0: Store, room: Room) -> None:
    with room(LITE0.format("Freeze_first1")) as run:
        trainer = started(run)
        before = state_of(trainer)
        frozen = of_encoder(trainer)
        steps(trainer)
        assert changed(trainer, before)
        assert not changed(trainer, before) & frozen
        assert not any(layer.training for layer in of_network(trainer.network).module.modules())
        steps(trainer, epoch=1)
        assert {"encoder.backbone.conv_stem.weight", "encoder.backbone.bn1.running_mean"} <= changed(trainer, before)


def test_all_but_the_output_layers_are_frozen(room: Room, tmp_path: Path) -> None:
    with room("EfficientNetLite0UNet_Freeze_allbuthead") as run:
        file = checkpoint(run.build().network, tmp_path / "checkpoint_final.pth")
        trainer = run.build()
        maybe_load_checkpoint(trainer, False, False, str(file))
        trainer.on_train_start()
        before = state_of(trainer)
        steps(trainer)
        assert changed(trainer, before) == heads(before)


def test_a_decoder_without_weights_is_not_frozen(lite0: Store, room: Room) -> None:
    message = "Freeze_allbuthead keeps the decoder as it was loaded, too, and these weights are for the encoder only"
    with room(LITE0.format("Freeze_allbuthead")) as run, pytest.raises(ValueError, match=message):
        started(run)


def test_what_the_weights_lack_is_not_frozen(store: Store, room: Room, lite0_file: Path, tmp_path: Path) -> None:
    weights = torch.load(lite0_file, weights_only=True)
    del weights["bn1.weight"]
    torch.save(weights, tmp_path / "thin.pth")
    adding.add(store, tmp_path / "thin.pth", name="PretrainedImageNet1k", architecture="tf_efficientnet_lite0")
    message = r"only \d+ of \d+ tensors of the encoder can be loaded: bn1\.weight would stay random"
    with room(LITE0.format("Freeze")) as run, pytest.raises(ValueError, match=message):
        started(run)
    with room("EfficientNetLite0UNet_Freeze") as run:
        trainer = run.build()
        maybe_load_checkpoint(trainer, False, False, str(tmp_path / "thin.pth"))
        with pytest.raises(ValueError, match=message):
            trainer.on_train_start()
    with room(LITE0.format("EncoderLR_Freeze")) as run, pytest.raises(ValueError, match="without effect beside Freeze"):
        run.build()


def test_it_is_not_frozen_for_longer_than_the_training(lite0: Store, room: Room) -> None:
    message = "first of Freeze must be less than the 9 epochs"
    with room(f"{LITE0.format('Freeze_first9')}_9epochs") as run, pytest.raises(ValueError, match=message):
        run.build()


@pytest.mark.parametrize("schedule", ["", "_CosAnneal", "_StepLR_every1", "_ConstantLR", "_Warmup_length2"])
def test_a_factor_holds_in_every_epoch_of_every_schedule(lite0: Store, room: Room, schedule: str) -> None:
    with room(LITE0.format("EncoderLR_factor0p25") + schedule) as run:
        trainer = started(run)
        first, second = trainer.optimizer.param_groups
        assert {id(p) for p in second["params"]} == {id(p) for p in of_network(trainer.network).module.parameters()}
        assert len(first["params"]) + len(second["params"]) == len([*trainer.network.parameters()])
        with room(f"EfficientNetLite0UNet{schedule}") as plain:
            other = plain.build()
        for epoch in (0, 1, 2, 3, 500):
            trainer.current_epoch = epoch
            trainer.on_train_epoch_start()
            other.lr_scheduler.step(epoch)
            rate = other.optimizer.param_groups[0]["lr"]
            assert (first["lr"], second["lr"]) == (pytest.approx(rate), pytest.approx(0.25 * rate))
            assert trainer.logger.get_value("lrs", step=None)[-1] == pytest.approx(rate)


def test_the_groups_are_those_of_a_checkpoint(lite0: Store, room: Room) -> None:
    with room(LITE0.format("LayerDecay") + "_VanillaAdam") as run:
        trainer = started(run)
        steps(trainer, count=1)
        trainer.save_checkpoint(str(Path(trainer.output_folder, "checkpoint_latest.pth")))
        again = run.build(continue_training=True)
        maybe_load_checkpoint(again, True, False)
        settings = [
            [{key: value for key, value in group.items() if key != "params"} for group in other.optimizer.param_groups]
            for other in (trainer, again)
        ]
        assert settings[0] == settings[1]


def test_rates_fall_towards_the_image(lite0: Store, room: Room) -> None:
    with room(LITE0.format("LayerDecay_factor0p5")) as run:
        trainer = started(run)
        trainer.on_train_epoch_start()
        names = {id(parameter): name for name, parameter in trainer.network.named_parameters()}
        rates: dict[str, Any] = {}
        for group in trainer.optimizer.param_groups:
            rates |= {names[id(parameter)]: group["lr"] / 0.01 for parameter in group["params"]}
    assert rates["decoder.seg_layers.0.weight"] == rates["encoder.stem.convs.0.conv.weight"] == 1
    assert rates["encoder.backbone.conv_stem.weight"] == pytest.approx(0.5**8)
    assert [rates[f"encoder.backbone.blocks.{stage}.0.bn1.weight"] for stage in range(7)] == pytest.approx(
        [0.5**power for power in (7, 6, 5, 4, 3, 2, 1)]
    )


@pytest.mark.parametrize(("architecture", "last"), [("test_resnet", 4), ("test_vit", 6), ("test_efficientnet", 5)])
def test_stages_of_encoders_are_counted_from_the_image(architecture: str, last: int) -> None:
    import timm

    stages = [depth for _, depth in depths(timm.create_model(architecture, num_classes=0))]
    assert stages[0] == 0
    assert stages == sorted(stages)
    assert sorted(set(stages)) == [*range(last + 1)]


GENESIS = "GenesisUNet3D_{}_ModelsGenesis"


@pytest.mark.parametrize(
    ("trick", "learning"), [("Freeze", r"up_tr|out_tr"), ("Freeze_allbuthead", r"out_tr"), ("EncoderLR", r"\w")]
)
def test_models_genesis_has_an_encoder_in_its_network(bench: Bench, trick: str, learning: str) -> None:
    """Its weights are for the decoder, too, which learns on."""
    with bench.room(trainer_of(GENESIS.format(trick)), replace(SOLID, deep_supervision=False)) as run:
        trainer = started(run)
        before = state_of(trainer)
        steps(trainer)
        body = {name: name.removeprefix("body.") for name in before}
        assert changed(trainer, before) == {name for name in body if re.match(learning, body[name])}


def test_rates_of_models_genesis_fall_with_its_levels(bench: Bench) -> None:
    with bench.room(trainer_of(GENESIS.format("LayerDecay_factor0p5")), replace(SOLID, deep_supervision=False)) as run:
        trainer = started(run)
        names = {id(parameter): name for name, parameter in trainer.bare_network.body.named_parameters()}
        factors = {names[id(p)]: group["factor"] for group in trainer.optimizer.param_groups for p in group["params"]}
    levels = [factors[f"down_tr{level}.ops.1.conv1.weight"] for level in (64, 128, 256, 512)]
    assert levels == [0.5**4, 0.5**3, 0.5**2, 0.5]
    assert {factor for name, factor in factors.items() if not name.startswith("down_tr")} == {1.0}


def test_a_factor_of_one_is_nnunet_bit_for_bit(room: Room, tmp_path: Path) -> None:
    states = []
    with room("_run2", SOLID) as run:
        file = checkpoint(run.build().network, tmp_path / "checkpoint_final.pth")
        seed_everything(0)
        trainer = run.build()
        maybe_load_checkpoint(trainer, False, False, str(file))
        trainer.on_train_start()
        batch = next(trainer.dataloader_train)
        trainer.on_train_epoch_start()
        trainer.train_step(deepcopy(batch))
        states.append(trainer.network.state_dict())
    with room("EncoderLR_factor1", SOLID) as run:
        seed_everything(0)
        trainer = run.build()
        maybe_load_checkpoint(trainer, False, False, str(file))
        trainer.on_train_start()
        trainer.on_train_epoch_start()
        trainer.train_step(deepcopy(batch))
        states.append(trainer.network.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("trick", ["Freeze", "EncoderLR", "LayerDecay", "KeepHeads"])
def test_random_weights_are_not_tuned(room: Room, trick: str) -> None:
    with room(trick) as run:
        trainer = run.build()
        with pytest.raises(ValueError, match=rf"{trick} trains pretrained weights further, and none were loaded"):
            trainer.on_train_start()


def test_weights_of_nnunets_own_flag_are_frozen_and_noted(room: Room, tmp_path: Path) -> None:
    with room("Freeze", SOLID) as run:
        file = checkpoint(run.build().network, tmp_path / "checkpoint_final.pth")
        trainer = run.build()
        maybe_load_checkpoint(trainer, False, False, str(file))
        before = state_of(trainer)
        trainer.on_train_start()
        assert "checkpoint_final.pth (sha256 " in log_of(trainer)
        assert "all tensors but the output layers" in trainer.pretrained
        steps(trainer)
        assert not any("encoder." in name for name in changed(trainer, before))
        assert changed(trainer, before)


def test_a_checkpoint_in_nnssls_format_gives_its_encoder(room: Room, tmp_path: Path) -> None:
    with room("EncoderLR", SOLID) as run:
        donor = run.build().network
        checkpoint(donor, tmp_path / "own.pth")
        file = tmp_path / "nnssl.pth"
        torch.save(nnssl(donor.state_dict()), file)
        trainer = run.build()
        before = state_of(trainer)
        maybe_load_checkpoint(trainer, False, False, str(file))
        trainer.on_train_start()
        own = donor.state_dict()
        taken = {name for name, tensor in trainer.network.state_dict().items() if torch.equal(tensor, own[name])}
        assert taken >= {name for name in before if "encoder." in name}
        assert "tensors of the encoder" in trainer.pretrained


def test_a_file_of_another_network_is_refused(room: Room, tmp_path: Path) -> None:
    with room("_run2") as run:
        file = checkpoint(run.build().network, tmp_path / "checkpoint_final.pth")
    with room("Freeze", SOLID) as run:
        trainer = run.build()
        with pytest.raises(ValueError, match=r"checkpoint_final\.pth has \d+ of \d+ tensors of the encoder of nnunet"):
            maybe_load_checkpoint(trainer, False, False, str(file))


def test_output_layers_keep_labels_of_the_same_name(room: Room, tmp_path: Path) -> None:
    with room("KeepHeads", SOLID) as run:
        trainer = run.build()
        labels = trainer.dataset_json["labels"]
        names = [*labels]
        # Another data set: its labels come in another order, and the first one of ours is new there.
        theirs = {"background": 0, **{name: place + 1 for place, name in enumerate(reversed(names[2:]))}, "else": 9}
        theirs["else"] = len(theirs) - 1
        file = checkpoint(run.build().network, tmp_path / "old.pth", init_args={"dataset_json": {"labels": theirs}})
        heads = {k: v for k, v in torch.load(file, weights_only=True)["network_weights"].items() if ".seg_layers." in k}
        maybe_load_checkpoint(trainer, False, False, str(file))
        before = state_of(trainer)
        trainer.on_train_start()
        after = trainer.network.state_dict()
        for name, tensor in heads.items():
            for label, channel in labels.items():
                if label == "ignore":
                    continue
                wanted = tensor[theirs[label]] if label in theirs else before[name][channel]
                assert torch.equal(after[name][channel], wanted)
        assert f"new labels: {names[1]}" in log_of(trainer)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"background": 0, "whole": [1, 2], "core": 2}, "with regions on one side only, leave it out"),
        (None, "KeepHeads needs a checkpoint of nnU-Net with its labels"),
    ],
)
def test_heads_that_mean_nothing_here_are_refused(room: Room, tmp_path: Path, labels: Any, message: str) -> None:
    with room("KeepHeads", SOLID) as run:
        trainer = run.build()
        more = {"init_args": {"dataset_json": {"labels": labels}}} if labels else {}
        file = checkpoint(run.build().network, tmp_path / "old.pth", **more)
        maybe_load_checkpoint(trainer, False, False, str(file))
        with pytest.raises(ValueError, match=message):
            trainer.on_train_start()
