"""What stock nnU-Net could not predict with is refused, with what to send along."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.training.nnUNetTrainer.variants.network_architecture.nnUNetTrainerBN import nnUNetTrainerBN

from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.catalogue.info import TrickInfo
from nnunet_tricks.cli import main
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.steps import STEPS
from nnunet_tricks.door import trainers
from nnunet_tricks.door.external import is_read
from nnunet_tricks.door.lookup import findable
from nnunet_tricks.export.stock import stock_trainer
from nnunet_tricks.export.write import export
from nnunet_tricks.nnunet.model_folder import FINAL, load

OWN = """
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

class nnUNetTrainerMyLoss(nnUNetTrainer):
    pass

class nnUNetTrainerMyNetwork(nnUNetTrainer):
    @staticmethod
    def build_network_architecture(plans_manager, configuration_manager, inputs, outputs, enable_deep_supervision=True):
        return None
"""


def rename(model: Path, trainer: str) -> None:
    file = model / "fold_0" / FINAL
    torch.save(load(file) | {"trainer_name": trainer}, file)


def edit_plans(model: Path, **changes: object) -> None:
    plans = json.loads((model / "plans.json").read_text())
    plans["configurations"]["3d_fullres"] |= changes
    (model / "plans.json").write_text(json.dumps(plans))


STOCK = {"BN": nnUNetTrainerBN, "MedISeg2D": nnUNetTrainerBN, "MedISeg3D": nnUNetTrainerBN, "IFE2D": nnUNetTrainerBN}
"""What nnU-Net predicts with, where that is not ``nnUNetTrainer``."""


@pytest.mark.parametrize("info", CATALOGUE, ids=lambda info: info.name)
def test_every_trick_whose_network_nnunet_has_can_be_exported(info: TrickInfo, tmp_path: Path) -> None:
    trainer = f"{info.trainer}_run2"
    own = {"network", "inference"} & {hook.partition(".")[0] for hook in info.hooks} and not info.own
    if info.place == "task":
        with pytest.raises(ValueError, match="learned from images alone and segments nothing"):
            stock_trainer(trainer, tmp_path)
    elif own and info.name not in STOCK:
        with pytest.raises(ValueError, match="your colleague needs nnunet_tricks"):
            stock_trainer(trainer, tmp_path)
    else:
        assert stock_trainer(trainer, tmp_path) is STOCK.get(info.name, nnUNetTrainer)


def test_two_changes_of_the_network_are_more_than_nnunet_has(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="IFECurvature changes the network, which stock nnU-Net does not know"):
        stock_trainer("nnUNetTrainerIFE2D_IFECurvature", tmp_path)


def test_a_base_is_predicted_with_by_nnunets_own_trainer(
    train: Callable[[str, Situation], Path], bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = train("nnUNetTrainerMedISeg2D_Dice", Situation("labels", "2d", False))
    assert main(["export", str(model), str(tmp_path / "out")]) == 0
    assert "the checkpoints now say nnUNetTrainerBN" in capsys.readouterr().out
    predicted = []
    for folder in (model, tmp_path / "out"):
        predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
        with findable(trainers.find("nnUNetTrainerMedISeg2D_Dice") or nnUNetTrainer):
            predictor.initialize_from_trained_model_folder(str(folder), (0,), FINAL)
        assert predictor.allowed_mirroring_axes is None
        image = torch.rand(3, 1, 40, 50, generator=torch.Generator().manual_seed(0))
        predicted.append(predictor.predict_logits_from_preprocessed_data(image))
    assert torch.equal(*predicted)
    assert predicted[0].std() > 0


def test_instance_norm_is_nnunets_where_the_plans_have_it(
    train: Callable[[str, Situation], Path], tmp_path: Path
) -> None:
    model = train("nnUNetTrainerMedISeg2D_InstanceNorm", Situation("labels", "2d", False))
    assert export(model, tmp_path / "out").stock.trainer is nnUNetTrainer
    spoiled = shutil.copytree(model, tmp_path / "spoiled")
    plans = json.loads((spoiled / "plans.json").read_text())
    arguments = plans["configurations"]["2d"]["architecture"]["arch_kwargs"]
    arguments["norm_op"] = "torch.nn.modules.batchnorm.BatchNorm2d"
    (spoiled / "plans.json").write_text(json.dumps(plans))
    with pytest.raises(ValueError, match="builds from these plans is not the one that nnUNetTrainer builds"):
        export(spoiled, tmp_path / "other")


def test_a_network_of_its_own_is_refused_although_the_model_is_whole(bench: Bench, tmp_path: Path) -> None:
    with bench.room(nnUNetTrainerBN, Situation("labels", "2d", True)) as run:
        STEPS["epochs"](run)
        with pytest.raises(ValueError, match=r"network of its own.* nnU-Net itself has this trainer: send .* as it is"):
            export(run.model_folder(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not is_read(), reason="nnU-Net reads nnUNet_extTrainer since 2.8")
def test_the_users_own_trainers(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "own" / "my_trainers.py"
    file.parent.mkdir()
    file.write_text(OWN)
    monkeypatch.setenv("nnUNet_extTrainer", str(file.parent))
    rename(model, "nnUNetTrainerMyNetwork")
    with pytest.raises(ValueError, match=f"with it {file}; your colleague names the folder of that file in"):
        export(model, tmp_path / "out")
    rename(model, "nnUNetTrainerMyLoss")
    assert export(model, tmp_path / "out").trainer == "nnUNetTrainerMyLoss"


def test_a_trainer_that_is_not_here(model: Path, tmp_path: Path) -> None:
    rename(model, "SomebodysTrainer")
    with pytest.raises(ValueError, match=r"SomebodysTrainer, which is not found here.*export it where it was trained"):
        export(model, tmp_path / "out")


def test_a_baseline_travels_too(model: Path, tmp_path: Path) -> None:
    rename(model, nnUNetTrainer.__name__)
    assert export(model, tmp_path / "out").trainer == "nnUNetTrainer"


def test_weights_of_another_network(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = model / "fold_0" / FINAL
    checkpoint = load(file)
    checkpoint["network_weights"]["decoder.seg_layers.0.weight"] = torch.zeros(1)
    torch.save(checkpoint, file)
    assert main(["export", str(model), str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "do not fit the network that nnUNetTrainer builds from these plans: size mismatch for decoder" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"resampling_fn_data": "my_resampling"}, "my_resampling"),
        ({"normalization_schemes": ["MyNormalization"]}, "normalization MyNormalization"),
        ({"preprocessor_name": "MyPreprocessor"}, "preprocessor MyPreprocessor"),
    ],
)
def test_plans_that_name_what_nnunet_does_not_have(
    model: Path, tmp_path: Path, changes: dict[str, object], named: str
) -> None:
    edit_plans(model, **changes)
    with pytest.raises(ValueError, match=f"plans.json names what nnU-Net by itself does not have: .*{named}"):
        export(model, tmp_path / "out")


def test_plans_that_are_not_those_of_the_training(model: Path, tmp_path: Path) -> None:
    plans = json.loads((model / "plans.json").read_text())
    del plans["configurations"]["3d_fullres"]
    (model / "plans.json").write_text(json.dumps(plans))
    with pytest.raises(ValueError, match=r"plans.json lacks the configuration 3d_fullres that was trained"):
        export(model, tmp_path / "out")


@pytest.mark.parametrize("name", ["plans.json", "dataset.json"])
@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_damaged_file_beside_the_folds_is_named(model: Path, tmp_path: Path, name: str, text: str) -> None:
    (model / name).write_text(text)
    with pytest.raises(ValueError, match=rf"{name} is damaged"):
        export(model, tmp_path / "out")


def test_plans_whose_network_is_of_another_package(model: Path, tmp_path: Path) -> None:
    architecture = json.loads((model / "plans.json").read_text())["configurations"]["3d_fullres"]["architecture"]
    architecture["network_class_name"] = "monai.networks.nets.BasicUNet"
    edit_plans(model, architecture=architecture)
    with pytest.raises(ValueError, match=r"does not have: monai.networks.nets.BasicUNet \(monai"):
        export(model, tmp_path / "out")
