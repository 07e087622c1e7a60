"""The steps that a trainer goes through in a situation, each on nnU-Net's own code path."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
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
from nnunet_tricks.conformance.learning import require_ignorance, require_learning, require_no_count, require_sense
from nnunet_tricks.conformance.loss_calls import overheard
from nnunet_tricks.conformance.outcome import NotApplicableError, ViolationError
from nnunet_tricks.conformance.pickling import obstacle
from nnunet_tricks.conformance.prediction import require_same_network
from nnunet_tricks.conformance.resumed import Recorded
from nnunet_tricks.conformance.run import CONFIGURATIONS, FIRST_STAGE, TRAIN_STEPS, Run
from nnunet_tricks.conformance.tiny_data import TRAINING_CASES, UNSEEN_CASE
from nnunet_tricks.conformance.tiny_images import ORGAN
from nnunet_tricks.door.lookup import findable
from nnunet_tricks.nnunet.checkpoint import read
from nnunet_tricks.nnunet.folders import read_json
from nnunet_tricks.nnunet.model import PRETEXT_RESULT
from nnunet_tricks.nnunet.patches import Replacement
from nnunet_tricks.nnunet.sandbox import seed_everything
from nnunet_tricks.training.trainer import TrickTrainer

CHECKPOINT = "checkpoint_final.pth"
LATEST = "checkpoint_latest.pth"
INTERRUPTED = "interrupted.pth"
EPOCHS = 2
FALLING_STEPS = 8
"""Steps on one and the same task, after which its loss must be lower."""
VALIDATION_CASES = TRAINING_CASES[2:]

LOSS_TOLERANCE = 1e-4
"""Tolerance for a compiled loss, which adds in another order."""
RESUMED_TOLERANCE = 1e-5
"""Tolerance for the same numbers, added in the same order."""
BFLOAT16_TOLERANCE = 0.1
"""Tolerance for bfloat16, which has three digits; a network of a few layers loses one of them."""

# Code that was compiled for one situation serves the next if nothing changed, which halves the time. But torch silently
# gives up after eight variants of a function, and from the second size on it compiles for any size.
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
    """The cascade's first stage: train, and predict all training cases for the second stage."""
    if run.situation.dimension != "cascade":
        raise NotApplicableError("no cascade")
    trainer = run.build(configuration=FIRST_STAGE, fold="all")
    _train_until(trainer, epochs=1)
    trainer.perform_actual_validation()
    folder = Path(trainer.output_folder_base) / "predicted_next_stage" / CONFIGURATIONS["cascade"]
    for case in TRAINING_CASES:
        require(any(folder.glob(f"{case}.*")), f"the first stage left no prediction of {case} for the second")


def build(run: Run) -> None:
    """Make the trainer and its loaders as ``nnUNetv2_train`` does; every attribute must be readable for debug.json."""
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


def travel(run: Run) -> None:
    """Send the loaders to other processes."""
    for what, loader in (("training", run.probe.dataloader_train), ("validation", run.probe.dataloader_val)):
        reason = obstacle(getattr(loader, "data_loader", loader))
        require(
            not reason,
            f"the {what} loader cannot be pickled, so nothing trains on Windows, macOS, or from Python 3.14 on: "
            f"{reason}",
        )


def train_steps(run: Run) -> None:
    """Take some training steps on augmented batches of training cases, in which the network must learn."""
    seen = set(getattr(getattr(run.probe.dataloader_train, "data_loader", None), "indices", None) or ())

    def batches() -> Iterator[dict[str, Any]]:
        while True:
            batch = next(run.probe.dataloader_train)
            seen.update(batch.get("keys", ()))
            yield batch

    require_learning(run.probe, batches(), TRAIN_STEPS)
    leaked = sorted(seen & set(VALIDATION_CASES))
    require(not leaked, f"trains on {', '.join(leaked)}, which the split keeps for validation")


def validation_step(run: Run) -> None:
    """Take one validation step."""
    with overheard(run.probe) as run.loss_calls:
        validation_loss(run.probe, next(run.probe.dataloader_val))


def sense(run: Run) -> None:
    """Check that the loss of that step is lowest at the truth, and that its gradient leads there."""
    if not run.loss_calls:
        raise NotApplicableError("the validation step does not call self.loss(output, target) as nnU-Net's does")
    require_sense(run.loss_calls[0])


def falling(run: Run) -> None:
    """Check that the loss of one and the same task falls."""
    batch = next(run.probe.dataloader_train)
    losses = []
    for _ in range(FALLING_STEPS):
        # What is random about the task is then the same in each step.
        seed_everything(0)
        losses.append(train_step(run.probe, batch))
    require(
        min(losses[1:]) < losses[0],
        f"{FALLING_STEPS} steps on the same task leave its loss at {losses[0]:.4g} or above: nothing is learned",
    )


def without_labels(run: Run) -> None:
    """Check that labels have no effect, neither on where patches are drawn nor on the loss."""
    losses = []
    for label in (0, ORGAN):
        with relabelled(run.probe, label) as batches:
            seed_everything(0)
            batch = next(batches)
            seed_everything(0)
            losses.append(validation_loss(run.probe, batch))
    require(
        losses[0] == losses[1],
        f"labels have an effect, although the trainer says that it trains without them: the loss is {losses[0]:.6g} "
        f"with one label everywhere, and {losses[1]:.6g} with another",
    )


def ignored_only(run: Run) -> None:
    """Check that voxels without annotation have no effect, also in a patch without any annotation."""
    if not run.situation.ignore:
        raise NotApplicableError("no ignore label")
    # Directly after the step of this call, while everything that a trainer keeps of its last batch still fits.
    for call in run.loss_calls[:1]:
        require_ignorance(call)
    with relabelled(run.probe, run.probe.label_manager.ignore_label) as batches:
        train_step(run.probe, next(batches))
    require_no_count(run.probe)


def background_only(run: Run) -> None:
    """Train on a patch in which everything is background."""
    with relabelled(run.probe, 0) as batches:
        train_step(run.probe, next(batches))


def bfloat16(run: Run) -> None:
    """Take a training step under autocast; up to rounding, the loss must be that of float32."""
    batch = next(run.probe.dataloader_val)
    seed_everything(0)
    exact = validation_loss(run.probe, batch)
    seed_everything(0)
    # oneDNN's gradients of volumes in bfloat16 read memory that nobody has written: now and then they are not finite.
    without_onednn = torch.backends.mkldnn.flags(enabled=False)
    with torch.autocast("cpu", dtype=torch.bfloat16), float32_loss(run.probe), without_onednn:
        require_close("the loss under bfloat16 autocast", validation_loss(run.probe, batch), exact, BFLOAT16_TOLERANCE)
        train_step(run.probe, batch)


def compiled(run: Run) -> None:
    """Repeat a training step with nnU-Net's compiled network and a compiled loss; the backend needs no compiler."""
    batch = next(run.probe.dataloader_val)
    weights = deepcopy(run.probe.network.state_dict())
    seed_everything(0)
    exact = train_step(run.probe, batch)
    with (
        torch._dynamo.config.patch(_DYNAMO),
        Replacement(torch, "compile", partial(torch.compile, backend="aot_eager")),
    ):
        trainer = run.build(compiled=True)
        trainer.set_deep_supervision_enabled(trainer.enable_deep_supervision)
        trainer.network._orig_mod.load_state_dict(weights)
        trainer.loss = torch.compile(trainer.loss)
        seed_everything(0)
        require_close("the compiled loss", train_step(trainer, batch), exact, LOSS_TOLERANCE)


def epochs(run: Run) -> None:
    """Train two epochs, from the start to the final checkpoint; the checkpoint after the first is kept."""
    trainer = run.build()
    run.uninterrupted = Recorded(trainer, keep=run.folder / INTERRUPTED)
    _train_until(trainer, epochs=EPOCHS)
    checkpoint = _load(trainer)
    require(
        checkpoint["trainer_name"] == run.trainer.__name__,
        f"the checkpoint names the trainer '{checkpoint['trainer_name']}', so prediction will build another one",
    )
    require(
        checkpoint["current_epoch"] == EPOCHS,
        f"the checkpoint says epoch {checkpoint['current_epoch']} after {EPOCHS}",
    )
    for what in ("train_losses", "val_losses"):
        require(
            bool(np.isfinite(checkpoint["logging"][what]).all()), f"{what} of the epochs: {checkpoint['logging'][what]}"
        )
    require(any(checkpoint["logging"]["lrs"]), f"the learning rate was 0 in all of {EPOCHS} epochs: nothing is learned")
    require((Path(trainer.output_folder) / "debug.json").is_file(), "no debug.json was written")


def validate(run: Run) -> None:
    """Validate whole images with the trained model, as ``nnUNetv2_train --val`` does."""
    trainer = run.build(continue_training=False)
    maybe_load_checkpoint(trainer, False, True)
    trainer.perform_actual_validation()
    folder = Path(trainer.output_folder) / "validation"
    if not segments(run.trainer):
        result = read_json(folder / PRETEXT_RESULT) if (folder / PRETEXT_RESULT).is_file() else {}
        require(
            set(result.get("cases", ())) == set(VALIDATION_CASES)
            and bool(np.isfinite([*result["mean"].values()]).all()),
            f"{PRETEXT_RESULT} in the folder 'validation' must have finite numbers of each validation case",
        )
        return
    require((folder / "summary.json").is_file(), "no summary.json was written")
    for case in VALIDATION_CASES:
        require((folder / f"{case}{run.data.ending}").is_file(), f"validation case {case} was not predicted")
    run.validated = trainer


def continue_training(run: Run) -> None:
    """Continue after the first epoch like ``nnUNetv2_train --c``; the second must be as without interruption."""
    trainer = run.build(continue_training=True)
    folder = Path(trainer.output_folder)
    whole = _load(trainer)
    shutil.copyfile(run.folder / INTERRUPTED, folder / LATEST)
    final = (folder / CHECKPOINT).rename(run.folder / CHECKPOINT)
    try:
        maybe_load_checkpoint(trainer, True, False)
        checkpoint = _read(run.folder / INTERRUPTED)
        require(trainer.current_epoch == 1, f"continues at epoch {trainer.current_epoch}, not at 1")
        restored = equal(trainer.network.state_dict(), checkpoint["network_weights"])
        require(
            equal(trainer.optimizer.state_dict(), checkpoint["optimizer_state"]),
            "the optimizer state after continuing is not what the checkpoint holds",
        )
        recorded = Recorded(trainer, like=run.uninterrupted)
        _train_until(trainer, epochs=EPOCHS)
        continued = _load(trainer)
        require(continued["current_epoch"] == EPOCHS, "the second epoch did not reach the checkpoint")
        try:
            _require_same_epoch(continued["logging"], whole["logging"])
        except ViolationError as error:
            # A trainer may store other weights to continue from than those that predict.
            require(restored, f"the network weights after continuing are not what the checkpoint holds, and {error}")
            raise
        if isinstance(trainer, TrickTrainer) and trainer.trainer_name.shared and run.uninterrupted:
            recorded.require_same_draws(run.uninterrupted)
    finally:
        if not (folder / CHECKPOINT).is_file():
            final.rename(folder / CHECKPOINT)


def predict(run: Run) -> None:
    """Predict an unseen image with stock nnU-Net, which finds the trainer by the name in the checkpoint."""
    previous = None
    if run.situation.dimension == "cascade":
        previous = run.folder / FIRST_STAGE
        _predict(run, run.model_folder(FIRST_STAGE), "all", previous)
    target = run.folder / "prediction"
    _predict(run, run.model_folder(), 0, target, previous)
    predicted = SimpleITK.ReadImage(str(target / f"{UNSEEN_CASE}{run.data.ending}"))
    image = SimpleITK.ReadImage(str(run.data.raw / "imagesTs" / f"{UNSEEN_CASE}_0000{run.data.ending}"))
    for what in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        mine, theirs = getattr(predicted, what)(), getattr(image, what)()
        require(np.allclose(mine, theirs), f"the prediction's {what[3:].lower()} is {mine}, the image's {theirs}")
    labels = set(np.unique(SimpleITK.GetArrayFromImage(predicted)).tolist())
    require(
        labels <= run.data.legal_labels,
        f"the prediction holds the labels {sorted(labels)}, allowed are {sorted(run.data.legal_labels)}",
    )


STEPS: dict[str, Callable[[Run], None]] = {
    "first stage": first_stage,
    "build": build,
    "pickle": travel,
    "train steps": train_steps,
    "val step": validation_step,
    "loss": sense,
    "falls": falling,
    "labels": without_labels,
    "ignored": ignored_only,
    "background": background_only,
    "bfloat16": bfloat16,
    "compile": compiled,
    "epochs": epochs,
    "--val": validate,
    "--c": continue_training,
    "predict": predict,
}
"""The steps of a situation, in order."""

NEEDS = {
    "build": "first stage",
    **dict.fromkeys(
        (
            *("pickle", "train steps", "val step", "falls", "labels", "background", "ignored"),
            *("bfloat16", "compile", "epochs"),
        ),
        "build",
    ),
    "loss": "val step",
    **dict.fromkeys(("--val", "--c", "predict"), "epochs"),
}
"""The step that each step needs."""

OF_SEGMENTATION = frozenset({"first stage", "loss", "ignored", "background", "predict"})
"""Steps that make sense where labels are learned."""

OF_PRETEXT = frozenset({"falls", "labels"})
"""Steps for trainers that say of themselves ``segments = False``: they train without labels, and nobody predicts with
them. They take all other steps, too."""


def segments(trainer: type[nnUNetTrainer]) -> bool:
    """Whether a trainer trains a network that segments, as all do that do not say otherwise."""
    return bool(getattr(trainer, "segments", True))


def unsuited(step: str, trainer: type[nnUNetTrainer]) -> str:
    """Why a trainer need not take a step, whatever the situation; empty if it must.

    Examples:
        >>> unsuited("labels", nnUNetTrainer), unsuited("loss", nnUNetTrainer)
        ('trains with labels', '')
    """
    if segments(trainer):
        return "trains with labels" if step in OF_PRETEXT else ""
    return "trains without labels" if step in OF_SEGMENTATION else ""


def _train_until(trainer: nnUNetTrainer, *, epochs: int) -> None:
    # Set only now, so that the schedule of the learning rate has the trainer's own number of epochs.
    trainer.num_epochs = epochs
    trainer.run_training()


def _require_same_epoch(continued: dict[str, Any], whole: dict[str, Any]) -> None:
    for key, what in (("lrs", "learning rate"), ("train_losses", "training loss"), ("val_losses", "validation loss")):
        mine, theirs = float(np.mean(continued[key][-1])), float(np.mean(whole[key][-1]))
        require(
            abs(mine - theirs) <= RESUMED_TOLERANCE * abs(theirs),
            f"the {what} of epoch 1 is {mine:.6g} after --c and {theirs:.6g} without interruption: something that it "
            "depends on is not in the checkpoint",
        )


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
    return _read(file)


def _read(file: Path) -> dict[str, Any]:
    # A trainer may keep more than data there. It has just written the file, in this process.
    return read(file, trust=True)


def _predict(run: Run, model_folder: Path, fold: int | str, target: Path, previous: Path | None = None) -> None:
    target.mkdir(parents=True)
    predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    with findable(run.trainer):
        predictor.initialize_from_trained_model_folder(str(model_folder), (fold,), CHECKPOINT)
    if run.validated is not None and model_folder == run.model_folder():
        require_same_network(predictor, run.validated)
    # As nnUNetv2_predict does, but preprocessing stays in this process.
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
