"""What a trainer goes through in one cell, step by step, each on nnU-Net's own path."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
import torch
from nnunetv2.inference.data_iterators import PreprocessAdapter
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.run.run_training import maybe_load_checkpoint
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_tricks.conformance.checks import (
    equal,
    float32_loss,
    relabelled,
    require,
    require_close,
    train_step,
    validation_loss,
)
from nnunet_tricks.conformance.outcome import NotApplicableError, ViolationError
from nnunet_tricks.conformance.resolve import findable
from nnunet_tricks.conformance.run import CONFIGURATIONS, FIRST_STAGE, TRAIN_STEPS, Run
from nnunet_tricks.conformance.sandbox import replaced, seed_everything
from nnunet_tricks.conformance.tiny_data import TRAINING_CASES, UNSEEN_CASE

CHECKPOINT = "checkpoint_final.pth"

LOSS_TOLERANCE = 1e-4
"""A compiled loss adds in another order."""
BFLOAT16_TOLERANCE = 0.1
"""bfloat16 has three digits, and a network of a few layers loses one of them."""

# What was compiled for one cell serves the next where nothing changed, which halves the time. But torch gives up,
# silently, after eight variants of a function, and with the second size it begins to compile for any size.
_DYNAMO = {
    name: value
    for name, value in {
        "cache_size_limit": 10_000,
        "accumulated_cache_size_limit": 10_000,
        "automatic_dynamic_shapes": False,
    }.items()
    if hasattr(torch._dynamo.config, name)
}


def first_stage(run: Run) -> None:
    """The cascade's first stage: train, and predict all training cases for the second."""
    if run.cell.dimension != "cascade":
        raise NotApplicableError("no cascade")
    trainer = run.build(configuration=FIRST_STAGE, fold="all")
    _train_until(trainer, epochs=1)
    trainer.perform_actual_validation()
    folder = Path(trainer.output_folder_base) / "predicted_next_stage" / CONFIGURATIONS["cascade"]
    for case in TRAINING_CASES:
        require(any(folder.glob(f"{case}.*")), f"the first stage left no prediction of {case} for the second")


def build(run: Run) -> None:
    """Make the trainer and its loaders as ``nnUNetv2_train`` does; every attribute can be read (for debug.json)."""
    trainer = run.build()
    for name in dir(trainer):
        try:
            getattr(trainer, name)
        except Exception as error:
            raise ViolationError(
                f"attribute '{name}' raises {type(error).__name__} when read; nnU-Net reads every attribute at the "
                "start of a training to write debug.json"
            ) from error
    _check_mirroring(run.probe)


def train_steps(run: Run) -> None:
    """Some training steps on augmented batches."""
    for _ in range(TRAIN_STEPS):
        train_step(run.probe, next(run.probe.dataloader_train))


def validation_step(run: Run) -> None:
    """One validation step."""
    validation_loss(run.probe, next(run.probe.dataloader_val))


def background_only(run: Run) -> None:
    """A patch in which everything is background."""
    with relabelled(run.probe, 0) as batches:
        train_step(run.probe, next(batches))


def ignored_only(run: Run) -> None:
    """A patch in which nothing is annotated."""
    if not run.cell.ignore:
        raise NotApplicableError("no ignore label")
    with relabelled(run.probe, run.probe.label_manager.ignore_label) as batches:
        train_step(run.probe, next(batches))


def bfloat16(run: Run) -> None:
    """A training step under autocast; the loss is that of float32, but for rounding."""
    batch = next(run.probe.dataloader_val)
    seed_everything(0)
    exact = validation_loss(run.probe, batch)
    seed_everything(0)
    with torch.autocast("cpu", dtype=torch.bfloat16), float32_loss(run.probe):
        require_close("the loss under bfloat16 autocast", validation_loss(run.probe, batch), exact, BFLOAT16_TOLERANCE)
        train_step(run.probe, batch)


def compiled(run: Run) -> None:
    """nnU-Net's compiled path, on a backend that needs no compiler, and a compiled loss: the same training step."""
    batch = next(run.probe.dataloader_val)
    weights = deepcopy(run.probe.network.state_dict())
    seed_everything(0)
    exact = train_step(run.probe, batch)
    with torch._dynamo.config.patch(_DYNAMO), replaced(torch, "compile", partial(torch.compile, backend="aot_eager")):
        trainer = run.build(compiled=True)
        trainer.set_deep_supervision_enabled(trainer.enable_deep_supervision)
        trainer.network._orig_mod.load_state_dict(weights)
        trainer.loss = torch.compile(trainer.loss)
        seed_everything(0)
        require_close("the compiled loss", train_step(trainer, batch), exact, LOSS_TOLERANCE)


def epoch(run: Run) -> None:
    """A training of one epoch, from start to final checkpoint."""
    trainer = run.build()
    _train_until(trainer, epochs=1)
    checkpoint = _load(trainer)
    require(
        checkpoint["trainer_name"] == run.trainer.__name__,
        f"the checkpoint names the trainer '{checkpoint['trainer_name']}', so prediction will build another one",
    )
    require(checkpoint["current_epoch"] == 1, f"the checkpoint says epoch {checkpoint['current_epoch']} after 1")
    for what in ("train_losses", "val_losses"):
        require(
            bool(np.isfinite(checkpoint["logging"][what]).all()), f"{what} of the epoch: {checkpoint['logging'][what]}"
        )
    require((Path(trainer.output_folder) / "debug.json").is_file(), "no debug.json was written")


def validate(run: Run) -> None:
    """Validation of whole images with the trained model, as ``nnUNetv2_train --val`` does it."""
    trainer = run.build(continue_training=False)
    maybe_load_checkpoint(trainer, False, True)
    trainer.perform_actual_validation()
    folder = Path(trainer.output_folder) / "validation"
    require((folder / "summary.json").is_file(), "no summary.json was written")
    for case in TRAINING_CASES[2:]:
        require((folder / f"{case}{run.data.ending}").is_file(), f"validation case {case} was not predicted")


def continue_training(run: Run) -> None:
    """``nnUNetv2_train --c``: everything is back, and one more epoch can be trained."""
    trainer = run.build(continue_training=True)
    maybe_load_checkpoint(trainer, True, False)
    checkpoint = _load(trainer)
    require(trainer.current_epoch == 1, f"continues at epoch {trainer.current_epoch}, not at 1")
    for what, mine, theirs in (
        ("network weights", trainer.network.state_dict(), checkpoint["network_weights"]),
        ("optimizer state", trainer.optimizer.state_dict(), checkpoint["optimizer_state"]),
    ):
        require(equal(mine, theirs), f"the {what} after continuing is not what the checkpoint holds")
    _train_until(trainer, epochs=2)
    require(_load(trainer)["current_epoch"] == 2, "the second epoch did not reach the checkpoint")


def predict(run: Run) -> None:
    """Prediction of an unseen image by stock nnU-Net, which finds the trainer by the name in the checkpoint."""
    previous = None
    if run.cell.dimension == "cascade":
        previous = run.folder / FIRST_STAGE
        _predict(run, run.model_folder(FIRST_STAGE), "all", previous)
    target = run.folder / "prediction"
    _predict(run, run.model_folder(), 0, target, previous)
    predicted = SimpleITK.ReadImage(str(target / f"{UNSEEN_CASE}{run.data.ending}"))
    image = SimpleITK.ReadImage(str(run.data.raw / "imagesTs" / f"{UNSEEN_CASE}_0000{run.data.ending}"))
    for what in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        mine, theirs = getattr(predicted, what)(), getattr(image, what)()
        require(np.allclose(mine, theirs), f"the prediction's {what[3:].lower()} is {mine}, the image's {theirs}")
    found = set(np.unique(SimpleITK.GetArrayFromImage(predicted)).tolist())
    require(
        found <= run.data.legal_labels,
        f"the prediction holds the labels {sorted(found)}, allowed are {sorted(run.data.legal_labels)}",
    )


STEPS: dict[str, Callable[[Run], None]] = {
    "first stage": first_stage,
    "build": build,
    "train steps": train_steps,
    "val step": validation_step,
    "background": background_only,
    "ignored": ignored_only,
    "bfloat16": bfloat16,
    "compile": compiled,
    "epoch": epoch,
    "--val": validate,
    "--c": continue_training,
    "predict": predict,
}
"""The steps of a cell, in order."""

NEEDS = {
    "build": "first stage",
    **dict.fromkeys(("train steps", "val step", "background", "ignored", "bfloat16", "compile", "epoch"), "build"),
    **dict.fromkeys(("--val", "--c", "predict"), "epoch"),
}
"""Without what a step cannot be tried."""


def _train_until(trainer: nnUNetTrainer, *, epochs: int) -> None:
    # Only now, so that the learning rate's schedule is that of the trainer's own number of epochs.
    trainer.num_epochs = epochs
    trainer.run_training()


def _check_mirroring(trainer: nnUNetTrainer) -> None:
    *_, trained = trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
    at_inference = set(trainer.inference_allowed_mirroring_axes or ())
    require(
        at_inference <= set(trained or ()),
        f"trains with mirroring along {sorted(trained or ())}, but predicts with mirroring along "
        f"{sorted(at_inference)}: set self.inference_allowed_mirroring_axes where the mirror axes are set",
    )


def _load(trainer: nnUNetTrainer) -> dict[str, Any]:
    file = Path(trainer.output_folder) / CHECKPOINT
    require(file.is_file(), f"no {CHECKPOINT} was written")
    return torch.load(file, map_location="cpu", weights_only=False)


def _predict(run: Run, model_folder: Path, fold: int | str, target: Path, previous: Path | None = None) -> None:
    target.mkdir(parents=True)
    predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    with findable(run.trainer):
        predictor.initialize_from_trained_model_folder(str(model_folder), (fold,), CHECKPOINT)
    # What nnUNetv2_predict does, but that preprocessing stays in this process.
    cases = PreprocessAdapter(
        [[str(run.data.raw / "imagesTs" / f"{UNSEEN_CASE}_0000{run.data.ending}")]],
        [str(previous / f"{UNSEEN_CASE}{run.data.ending}") if previous else None],
        predictor.configuration_manager.preprocessor_class(verbose=False),
        [str(target / UNSEEN_CASE)],
        predictor.plans_manager,
        predictor.dataset_json,
        predictor.configuration_manager,
    )
    predictor.predict_from_data_iterator(cases)
