"""A 2D network that sees neighbouring slices of the tiny volumes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.run import Run
from nnunet_tricks.conformance.tiny_plans import tiny_plans
from nnunet_tricks.door import trainers
from nnunet_tricks.door.lookup import findable
from nnunet_tricks.nnunet.sandbox import seed_everything
from nnunet_tricks.tricks.network.slices.neighbours import with_neighbours
from tests.tricks.network.blocks.planned import KINDS, built, plans_of


def trainer_of(name: str) -> Any:
    return trainers.find(f"nnUNetTrainer{name}")


@contextmanager
def volumes(bench: Bench, name: str, *, masked: bool = False) -> Iterator[Run]:
    """The tiny volumes, with a 2D configuration that shares their preprocessed data."""
    trainer = trainer_of(name)
    with bench.room(trainer, Situation("labels", "3d", True)) as room:
        plans = deepcopy(room.data.plans)
        flat = tiny_plans(plans["dataset_name"], flat=True, intensities={})["configurations"]["2d"]
        solid = plans["configurations"]["3d_fullres"]
        for key in ("data_identifier", "normalization_schemes"):
            flat[key] = solid[key]
        plans["configurations"]["2d"] = flat | {"patch_size": [24, 24], "use_mask_for_norm": [masked]}
        yield Run(trainer, room.situation, replace(room.data, plans=plans), room.folder)


def batches(trainer: Any, count: int = 3) -> list[dict[str, Any]]:
    drawn = []
    for loader in (trainer.dataloader_train, trainer.dataloader_val):
        seed_everything(0)
        drawn += [next(loader) for _ in range(count)]
    return drawn


def drawn(bench: Bench, name: str, *, masked: bool = False) -> list[dict[str, Any]]:
    with volumes(bench, name, masked=masked) as run:
        trainer: Any = run.build(configuration="2d")
        trainer.on_train_start()
        return batches(trainer)


def segmented(predictor: nnUNetPredictor, image: Any, properties: dict[str, Any]) -> Any:
    """What nnU-Net makes of a preprocessed image."""
    logits = predictor.predict_logits_from_preprocessed_data(torch.from_numpy(image))
    return convert_predicted_logits_to_segmentation_with_correct_shape(
        logits, predictor.plans_manager, predictor.configuration_manager, predictor.label_manager, properties
    )


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_first_convolution_has_more_weights(kind: str) -> None:
    plans = plans_of("2d", kind)
    mine, plain = (built(name, plans, "2d").state_dict() for name in ("TwoPointFiveD_slices2", ""))
    wider = {name: weight.shape for name, weight in mine.items() if weight.shape != plain[name].shape}
    assert set(mine) == set(plain)
    # One channel, and two neighbours on each side. nnU-Net stores this convolution under several names.
    assert {tuple(shape) for shape in wider.values()} == {(4, 5, 3, 3)}
    assert len({mine[name].data_ptr() for name in wider}) == 1


@pytest.mark.parametrize("beside", ["", "RandomErasing"])
def test_the_middle_slice_is_the_patch_of_the_2d_configuration(bench: Bench, beside: str) -> None:
    plain = drawn(bench, f"{beside}_run2", masked=True) if beside else drawn(bench, "_run2", masked=True)
    wide = drawn(bench, f"{beside}_TwoPointFiveD_slices2".removeprefix("_"), masked=True)
    for mine, theirs in zip(wide, plain, strict=True):
        assert mine["keys"].tolist() == theirs["keys"].tolist()
        assert mine["data"].shape[1] == 5
        assert torch.equal(mine["data"][:, 2:3], theirs["data"])
        assert all(torch.equal(*levels) for levels in zip(mine["target"], theirs["target"], strict=True))
        assert not torch.equal(mine["data"][:, 1], mine["data"][:, 2])


def test_stock_prediction_gives_what_validation_gave(bench: Bench, tmp_path: Path) -> None:
    with volumes(bench, "BN_TwoPointFiveD") as run:
        trainer: Any = run.build(configuration="2d")
        trainer.num_epochs = 1
        trainer.run_training()
        trainer.perform_actual_validation()
        validated = sorted((Path(trainer.output_folder) / "validation").glob(f"*{run.data.ending}"))
        log = max(Path(trainer.output_folder).glob("training_log*.txt")).read_text()
        predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
        with findable(run.trainer):
            predictor.initialize_from_trained_model_folder(str(run.model_folder("2d")), (0,), "checkpoint_final.pth")
        case = validated[0].name.removesuffix(run.data.ending)
        image = run.data.raw / "imagesTr" / f"{case}_0000{run.data.ending}"
        predictor.predict_from_files_sequential([[str(image)]], [str(tmp_path / case)])
        # What the network gets is the preprocessed image of the plans, with neighbours.
        plain = PlansManager(run.data.plans).get_configuration("2d")
        arguments = ([str(image)], None, predictor.plans_manager, plain, predictor.dataset_json)
        narrow, _, properties = plain.preprocessor_class(verbose=False).run_case(*arguments)
        wide, *_ = predictor.configuration_manager.preprocessor_class(verbose=False).run_case(*arguments)
        assert np.array_equal(wide, with_neighbours(narrow, 1))
        mine = segmented(predictor, wide, properties)
        reader = predictor.plans_manager.image_reader_writer_class()
        assert np.array_equal(reader.read_seg(str(tmp_path / f"{case}{run.data.ending}"))[0][0], mine)
        stored, _, _, properties = infer_dataset_class(trainer.preprocessed_dataset_folder)(
            trainer.preprocessed_dataset_folder, [case]
        ).load_case(case)
        theirs = segmented(predictor, with_neighbours(stored[:], 1), properties)
        assert np.array_equal(reader.read_seg(str(validated[0]))[0][0], theirs)
        assert "3 slices of 1 channel: the network has 3 inputs" in log
        assert "slices are 3 mm apart in the median" in log


@pytest.mark.parametrize(
    ("name", "configuration", "reason"),
    [
        ("TwoPointFiveD", "3d_fullres", "TwoPointFiveD is a network for 2D images"),
        ("CopyPaste_TwoPointFiveD", "2d", "TwoPointFiveD and CopyPaste do not go together"),
    ],
)
def test_what_has_no_neighbours_is_refused(bench: Bench, name: str, configuration: str, reason: str) -> None:
    with volumes(bench, name) as run, pytest.raises(ValueError, match=reason):
        run.trainer(run.data.plans, configuration, 0, run.data.dataset_json, torch.device("cpu"))
