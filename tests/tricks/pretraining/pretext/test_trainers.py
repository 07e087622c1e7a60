"""What pretext trainers do with nnU-Net's network, images and checkpoints."""

from __future__ import annotations

import json
import shutil
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nnunetv2.run.run_training import maybe_load_checkpoint
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from skimage import io

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.checks import equal
from nnunet_tricks.conformance.run import Run
from nnunet_tricks.conformance.tiny_data import TRAINING_CASES
from nnunet_tricks.tricks.pretraining.pretext import exchange, picture, prepared_with, preparing, unlabelled
from nnunet_tricks.tricks.pretraining.pretext.chance import Chance
from nnunet_tricks.tricks.pretraining.pretext.restoration import all_count
from nnunet_tricks.tricks.pretraining.weights import matching, reading
from nnunet_tricks.tricks.pretraining.weights.encoder import of_network
from tests.tricks.pretraining.pretext.conftest import FLAT, full_size, log_of, made, trained

GENESIS, MASKED, CONTRASTIVE = (
    "PretextGenesis_1epochs",
    "PretextMasked_noskips_1epochs",
    "PretextContrastive_1epochs",
)
ALL = (GENESIS, MASKED, CONTRASTIVE)
Solid = tuple[Run, dict[str, nnUNetTrainer]]


def plain_network(run: Run) -> torch.nn.Module:
    trainer = made(run, "_run2")
    trainer.initialize()
    network: torch.nn.Module = trainer.network
    return network


@pytest.mark.parametrize("name", ALL)
def test_a_training_leaves_a_result_a_picture_and_two_checkpoints(solid: Solid, name: str) -> None:
    trainer = solid[1][name]
    folder = Path(trainer.output_folder)
    result = json.loads((folder / "validation" / "pretext.json").read_text())
    assert list(result["cases"]) == [TRAINING_CASES[2]]
    assert np.isfinite(list(result["mean"].values())).all()
    assert not result["images_were_trained_on"]
    assert [file.name for file in (folder / "validation").iterdir()] == ["pretext.json"]
    assert len(list(folder.glob("*_epoch0.png"))) == 1
    assert (folder / "checkpoint_final.pth").is_file()
    assert 0 <= trainer.logger.get_value("mean_fg_dice", step=-1) <= 1
    assert "labels are not read" in log_of(trainer)
    assert ("patches in a batch PretextContrastive tells each view from" in log_of(trainer)) == (name == CONTRASTIVE)


@pytest.mark.parametrize("name", ALL)
def test_its_weights_are_read_in_nnssls_format(solid: Solid, name: str) -> None:
    run, trainers = solid
    file = Path(trainers[name].output_folder) / "nnssl_checkpoint.pth"
    content = torch.load(file, weights_only=True)
    plan, weights = content["nnssl_adaptation_plan"], content["network_weights"]
    assert plan["pretrain_num_input_channels"] == 1
    assert plan["recommended_downstream_patchsize"] == [6, 24, 24]
    assert any(key.startswith(f"{plan['key_to_stem']}.") for key in weights)
    assert {f"{key}.weight" for key in plan["keys_to_in_proj"]} <= set(weights)
    network = plain_network(run)
    encoder = of_network(network)
    assert encoder is not None
    matched = matching.match(reading.read(file), encoder)
    assert matched.share == 1
    assert all(torch.equal(matched.weights[key], weights[f"encoder.{key}"]) for key in encoder.tensors)
    # As nnU-Net's loader will: what stands below the plan's key goes into the encoder's stages.
    stages = {key.removeprefix("encoder.stages."): t for key, t in weights.items() if key.startswith("encoder.stages.")}
    network.get_submodule(plan["key_to_encoder"]).load_state_dict(stages)


@pytest.mark.parametrize("name", ALL)
def test_stock_pretrained_weights_takes_all_tensors_but_the_heads(solid: Solid, name: str) -> None:
    from nnunetv2.run.load_pretrained_weights import load_pretrained_weights

    run, trainers = solid
    network, file = plain_network(run), Path(trainers[name].output_folder) / "checkpoint_final.pth"
    load_pretrained_weights(network, str(file))
    theirs = torch.load(file, weights_only=False)["network_weights"]
    state = network.state_dict()
    body = [key for key in state if ".seg_layers." not in key]
    assert len(body) > 60
    assert all(torch.equal(state[key], theirs[key]) for key in body)


def test_nothing_is_predicted_with_it(solid: Solid) -> None:
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    from nnunet_tricks.door.lookup import findable

    trainer = solid[1][GENESIS]
    predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    with findable(type(trainer)), pytest.raises(ValueError, match=r"predicts no segmentation.*nnUNetTrainerGenesis"):
        predictor.initialize_from_trained_model_folder(trainer.output_folder_base, (0,), "checkpoint_final.pth")


@pytest.mark.parametrize("name", ["PretextGenesis", "PretextMasked", "PretextContrastive"])
def test_continuing_is_bit_equal_to_not_being_interrupted(bench: Bench, name: str) -> None:
    weights = []
    for interrupted in (False, True):
        with full_size(bench, FLAT) as run:
            trainer = made(run, f"{name}_2epochs_shared")
            trainer.save_every = 1
            if interrupted:
                end = trainer.on_epoch_end

                def stop(end: Any = end) -> None:
                    end()
                    raise KeyboardInterrupt

                trainer.on_epoch_end = stop
                with pytest.raises(KeyboardInterrupt):
                    trainer.run_training()
                trainer = made(run, f"{name}_2epochs_shared", plans={**run.data.plans, "continue_training": True})
                maybe_load_checkpoint(trainer, True, False)
                assert trainer.current_epoch == 1
            trainer.run_training()
            weights.append(deepcopy(trainer.network.state_dict()))
    assert equal(*weights)


def test_only_images_of_the_fold_and_those_without_labels_are_learned_from(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with full_size(bench, FLAT) as run:
        name, ending = run.data.name, run.data.ending
        raw = run.data.raw / "imagesUn"
        raw.mkdir()
        shutil.copy(run.data.raw / "imagesTs" / f"case_3_0000{ending}", raw / f"extra_0000{ending}")
        monkeypatch.setenv("nnUNet_raw", str(run.data.raw.parent))
        folder, *counts = preparing.prepare(name, configuration="2d", plans="nnUNetPlans")
        try:
            assert counts == [1, 1, 0]
            assert preparing.prepare(name, configuration="2d", plans="nnUNetPlans")[1:] == (1, 0, 0)
            trainer = made(run, "PretextMasked_1epochs")
            trainer.initialize()
            training, validation = trainer.get_dataloaders()
            seen = {case for _ in range(8) for case in next(training)["keys"]}
            assert seen == {*TRAINING_CASES[:2], "extra"}
            assert set(next(validation)["keys"]) == {TRAINING_CASES[2]}
            # Nothing but the fold's own images was even opened for training.
            assert set(training.data_loader._data.identifiers) == {*TRAINING_CASES[:2], "extra"}
            shutil.copy(run.data.raw / "imagesTr" / f"case_2_0000{ending}", raw / f"copy_0000{ending}")
            with pytest.raises(ValueError, match="copy is the labelled image case_2 under another name"):
                preparing.prepare(name, configuration="2d", plans="nnUNetPlans")
            (raw / f"copy_0000{ending}").rename(raw / f"case_2_0000{ending}")
            with pytest.raises(ValueError, match="case_2 is both a case with a label and an image without one"):
                preparing.prepare(name, configuration="2d", plans="nnUNetPlans")
            with pytest.raises(ValueError, match="-c must be one of 2d, got '3d_fullres'"):
                preparing.prepare(name, configuration="3d_fullres", plans="nnUNetPlans")
        finally:
            shutil.rmtree(folder)
            shutil.rmtree(raw)
        with pytest.raises(ValueError, match="has no images: put them there as CASE_0000"):
            preparing.prepare(name, configuration="2d", plans="nnUNetPlans")


def test_images_without_labels_follow_imagesun_and_the_plans(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with full_size(bench, FLAT) as run:
        raw = run.data.raw / "imagesUn"
        raw.mkdir()
        pixels = io.imread(run.data.raw / "imagesTs" / "case_3_0000.png")
        for case in ("stays", "goes"):
            io.imsave(raw / f"{case}_0000.png", pixels, check_contrast=False)
        monkeypatch.setenv("nnUNet_raw", str(run.data.raw.parent))
        prepare = partial(preparing.prepare, run.data.name, configuration="2d", plans="nnUNetPlans")
        folder = prepare().folder
        try:
            trainer = made(run, "PretextMasked_1epochs")
            assert {"stays", "goes"} < set(trainer.get_tr_and_val_datasets()[0].identifiers)
            (raw / "goes_0000.png").unlink()
            assert prepare()[1:] == (1, 0, 1)
            assert not list(folder.glob("goes*"))

            noted = json.loads((folder / prepared_with.FILE).read_text())
            (folder / prepared_with.FILE).write_text(json.dumps({**noted, "spacing": [7, 7]}))
            with pytest.raises(ValueError, match=r"other plans .* in spacing: run .* pretext prepare \w+ -c 2d$"):
                made(run, "PretextMasked_1epochs").get_tr_and_val_datasets()
            assert prepare()[1:] == (1, 1, 0)

            io.imsave(raw / "alpha_0000.png", np.concatenate((pixels, pixels[..., :1]), -1), check_contrast=False)
            with pytest.raises(ValueError, match=r"alpha_0000.png must have 3 channels as labelled images have, got 4"):
                prepare()
            # Nothing is left of an image that was refused, and no images at all are no fault.
            assert not list(folder.glob("alpha*"))
            for file in folder.glob("stays*"):
                file.unlink()
            assert unlabelled.dataset_beside(trainer.preprocessed_dataset_folder, trainer.dataset_class) is None
        finally:
            shutil.rmtree(folder)
            shutil.rmtree(raw)


@pytest.mark.parametrize("name", ["PretextGenesis", "PretextMasked", "PretextContrastive"])
def test_images_of_four_channels_are_learned_from(room: Run, name: str, tmp_path: Path) -> None:
    plans = deepcopy(room.data.plans)
    four = {"normalization_schemes": ["ZScoreNormalization"] * 4, "use_mask_for_norm": [False] * 4}
    plans["configurations"]["3d_fullres"] |= four
    description = {**room.data.dataset_json, "channel_names": {str(n): f"channel {n}" for n in range(4)}}
    trainer = made(room, f"{name}_1epochs", plans={**plans, "continue_training": False}, dataset_json=description)
    trainer.initialize()
    batch = {"data": torch.randn(2, 4, 6, 24, 24), "target": torch.zeros(2, 1, 6, 24, 24)}
    assert np.isfinite(trainer.train_step(batch)["loss"])
    trainer.on_validation_epoch_start()
    validated = trainer.validation_step(batch)
    assert len(validated["tp_hard"]) == (1 if name == "PretextContrastive" else 4)
    picture.draw(trainer._picture, tmp_path / "picture.png")
    assert exchange.adaptation_plan(trainer, trainer.network)["pretrain_num_input_channels"] == 4
    if name == "PretextMasked":
        given, target = trainer.pose(batch["data"], Chance(0, trainer.device))
        hidden = target[:, -1:].bool().expand_as(given)
        assert not given[hidden].any()
        assert torch.equal(given[~hidden], batch["data"][~hidden])


def test_images_are_called_by_one_name_only() -> None:
    with pytest.raises(ValueError, match="b is both a case with a label"):
        unlabelled.require_other_names(["a", "b"], ["b", "c"])


def test_visible_voxels_have_no_part_in_the_loss_of_masked(room: Run) -> None:
    trainer = made(room, "PretextMasked_1epochs")
    trainer.initialize()
    images = torch.randn(2, 1, 6, 24, 24)
    given, target = trainer.pose(images, Chance(0, trainer.device))
    hidden = target[:, -1:].bool()
    assert torch.equal(given, torch.where(hidden, 0, images))
    assert 0.6 < float(hidden.float().mean()) < 0.9
    output = torch.randn_like(images, requires_grad=True)
    trainer.loss(output, target).backward()
    assert output.grad is not None
    assert not output.grad[~hidden].any()
    assert bool((output.grad[hidden] != 0).all())
    other, blurred = output.detach().clone(), target.clone()
    other[~hidden] += 100
    blurred[:, :1][~hidden] -= 7
    assert trainer.loss(other, blurred) == trainer.loss(output, target)
    expected = torch.nn.functional.mse_loss(output[hidden], images[hidden])
    assert float(trainer.loss(output, target)) == pytest.approx(float(expected), rel=1e-5)


def test_the_error_of_the_mean_is_the_variance_of_what_counts(room: Run) -> None:
    trainer = made(room, "PretextMasked_1epochs")
    trainer.initialize()
    images = torch.randn(1, 1, 6, 24, 24) * 3 + 1
    given, target = trainer.pose(images, Chance(0, trainer.device))
    counted = images[target[:, -1:].bool()]
    result = trainer.measured(given, torch.full_like(images, float(counted.mean())), target)
    assert result["error"] == pytest.approx(result["error_of_mean"], rel=1e-4)
    assert result["error_of_mean"] == pytest.approx(float(counted.var(unbiased=False)), rel=1e-4)
    assert result["error_of_input"] == pytest.approx(float(counted.square().mean()), rel=1e-4)
    assert result["restored_share"] == pytest.approx(0, abs=1e-4)


def test_the_mean_of_a_patch_restores_nothing(room: Run) -> None:
    """Inverted grey values are farther from the truth than the mean is. Who returns it knows nothing."""
    trainer = made(room, GENESIS)
    trainer.initialize()
    images = torch.randn(2, 1, 6, 24, 24) + 3
    given, target = -images, all_count(images)
    means = images.mean((2, 3, 4), keepdim=True).expand_as(images)
    won, _ = trainer.score(given, means, target)
    assert float(won) == pytest.approx(0, abs=1e-2)
    won, lost = trainer.score(given, (means + images) / 2, target)
    assert float(won / (won + lost)) == pytest.approx(0.75, rel=1e-3)
    assert trainer.measured(given, (means + images) / 2, target)["restored_share"] == pytest.approx(0.75, rel=1e-3)


@pytest.mark.parametrize("name", [GENESIS, MASKED])
def test_restoration_begins_at_the_mean_of_normalised_images(room: Run, name: str) -> None:
    """Else the last features are shrunk first, and segmentations that start from them stay background."""
    trainer = made(room, name)
    trainer.initialize()
    images = torch.randn(2, 1, 6, 24, 24)
    given, target = trainer.pose(images, Chance(0, trainer.device))
    output = trainer.network(given)
    assert not output.any()
    trainer.loss(output, target).backward()
    assert trainer.network.decoder.seg_layers[-1].weight.grad.any()


def test_without_skips_a_change_that_the_deepest_features_do_not_see_is_not_restored(room: Run) -> None:
    trainer = made(room, "PretextGenesis_noskips_1epochs")
    trainer.initialize()
    decoder = trainer.network.decoder
    skips = trainer.network.encoder(torch.randn(1, 1, 6, 24, 24))
    changed = [*(torch.randn_like(skip) for skip in skips[:-1]), skips[-1]]
    plain = made(room, "PretextGenesis_1epochs")
    plain.initialize()
    for network in (trainer.network, plain.network):
        torch.nn.init.ones_(network.decoder.seg_layers[-1].weight)
    assert torch.equal(decoder(skips), decoder(changed))
    assert not torch.equal(plain.network.decoder(skips), plain.network.decoder(changed))
    assert {k: t.shape for k, t in trainer.network.state_dict().items()} == {
        k: t.shape for k, t in plain.network.state_dict().items()
    }


@pytest.mark.parametrize("name", ["PretextMasked", "PretextContrastive"])
def test_cascades_are_refused(room: Run, name: str) -> None:
    with pytest.raises(ValueError, match=r"second stage of a cascade also sees a segmentation.*3d_lowres"):
        type(made(room, f"{name}_1epochs")).check_planned(planned_of(room, "3d_cascade_fullres"))


def test_one_patch_cannot_be_told_from_itself(room: Run) -> None:
    plans = deepcopy(room.data.plans)
    plans["configurations"]["3d_fullres"]["batch_size"] = 1
    with pytest.raises(ValueError, match="each GPU needs two at least, and the plans have 1 in all"):
        made(room, "PretextContrastive_1epochs", plans={**plans, "continue_training": False})


def test_networks_with_another_decoder_are_refused(room: Run) -> None:
    with pytest.raises(ValueError, match="PretextGenesis is for nnU-Net's planned networks"):
        made(room, "PretextGenesis_IFECurvature_1epochs")


def planned_of(run: Run, configuration: str) -> Any:
    from nnunet_tricks.training.planned import Planned

    return Planned.of(run.data.plans, configuration, run.data.dataset_json, fold=0)


def test_pictures_of_three_channels_have_colours(bench: Bench) -> None:
    from matplotlib.image import imread

    with full_size(bench, FLAT) as run:
        trainer = trained(run, "PretextGenesis_1epochs")
        assert trainer.network.decoder.seg_layers[-1].out_channels == 3
        drawn = imread(Path(trainer.output_folder) / "genesis_epoch0.png")
        assert np.abs(drawn[..., 0] - drawn[..., 2]).max() > 0.1
