"""What a trainer goes through in one cell, step by step, each on nnU-Net's own path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.run.run_training import maybe_load_checkpoint
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_tricks.conformance.grid import Cell
from nnunet_tricks.conformance.outcome import NotApplicableError, ViolationError
from nnunet_tricks.conformance.resolve import findable
from nnunet_tricks.conformance.sandbox import replaced
from nnunet_tricks.conformance.tiny_data import TRAINING_CASES, UNSEEN_CASE, TinyData

CONFIGURATIONS = {"2d": "2d", "3d": "3d_fullres", "cascade": "3d_cascade_fullres"}
FIRST_STAGE = "3d_lowres"
CHECKPOINT = "checkpoint_final.pth"

TRAIN_STEPS = 2
LOSS_TOLERANCE = 1e-4
"""Relative and absolute; a compiled loss adds in another order."""
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


class Run:
    """One trainer in one cell: makes instances as ``nnUNetv2_train`` does, and keeps what several steps need."""

    def __init__(self, trainer: type[nnUNetTrainer], cell: Cell, data: TinyData, folder: Path) -> None:
        """Make nothing yet.

        Args:
            trainer: The class under test.
            cell: The situation.
            data: The data set of that situation.
            folder: For predictions.
        """
        self.trainer = trainer
        self.cell = cell
        self.data = data
        self.folder = folder

    def build(
        self,
        *,
        configuration: str = "",
        fold: int | str = 0,
        continue_training: bool = False,
        compiled: bool = False,
        untouched: bool = False,
    ) -> nnUNetTrainer:
        """A trainer, made as ``nnUNetv2_train`` does; initialized, unless it is to continue.

        Args:
            configuration: That of the cell if not given.
            fold: Fold of the split, or ``"all"``.
            continue_training: What ``--c`` says.
            compiled: Whether to take nnU-Net's path for ``torch.compile``, which it leaves out on the CPU.
            untouched: Whether to leave the trainer its own length of an epoch and its own switch of deep supervision.

        Returns:
            The trainer.

        Raises:
            NotApplicableError: If the cell wants deep supervision and the trainer never has it.
        """
        # nnU-Net takes continue_training out of the plans that it is given, so each trainer gets its own copy.
        trainer = self.trainer(
            plans={**deepcopy(self.data.plans), "continue_training": continue_training},
            configuration=configuration or CONFIGURATIONS[self.cell.dimension],
            fold=fold,
            dataset_json=deepcopy(self.data.dataset_json),
            device=torch.device("cpu"),
        )
        if not untouched:
            self._fit(trainer)
        if compiled:
            trainer._do_i_compile = lambda: True
        if not continue_training:
            trainer.initialize()
        return trainer

    def _fit(self, trainer: nnUNetTrainer) -> None:
        if self.cell.deep_supervision and not trainer.enable_deep_supervision:
            raise NotApplicableError("the trainer itself switches deep supervision off")
        trainer.enable_deep_supervision = self.cell.deep_supervision
        trainer.num_iterations_per_epoch = TRAIN_STEPS
        trainer.num_val_iterations_per_epoch = 1

    @cached_property
    def probe(self) -> nnUNetTrainer:
        """The instance for the steps that need no whole epoch."""
        trainer = self.build()
        trainer.on_train_start()
        return trainer

    def forget(self) -> None:
        """Give the next step a new probe: a failed one may hold weights that are not finite."""
        self.__dict__.pop("probe", None)

    def model_folder(self, configuration: str = "") -> Path:
        """Where a configuration's results are."""
        configuration = configuration or CONFIGURATIONS[self.cell.dimension]
        name = f"{self.trainer.__name__}__{self.data.plans['plans_name']}__{configuration}"
        return self.folder / "results" / self.data.name / name


def first_stage(run: Run) -> None:
    """The cascade's first stage: train, and predict all training cases for the second."""
    if run.cell.dimension != "cascade":
        raise NotApplicableError("no cascade")
    trainer = run.build(configuration=FIRST_STAGE, fold="all")
    _train_until(trainer, epochs=1)
    trainer.perform_actual_validation()
    folder = Path(trainer.output_folder_base) / "predicted_next_stage" / CONFIGURATIONS["cascade"]
    for case in TRAINING_CASES:
        _require(any(folder.glob(f"{case}.*")), f"the first stage left no prediction of {case} for the second")


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
        _train_step(run.probe, next(run.probe.dataloader_train))


def validation_step(run: Run) -> None:
    """One validation step."""
    _validation_loss(run.probe, next(run.probe.dataloader_val))


def background_only(run: Run) -> None:
    """A patch in which everything is background."""
    with _relabelled(run.probe, 0) as batches:
        _train_step(run.probe, next(batches))


def ignored_only(run: Run) -> None:
    """A patch in which nothing is annotated."""
    if not run.cell.ignore:
        raise NotApplicableError("no ignore label")
    with _relabelled(run.probe, run.probe.label_manager.ignore_label) as batches:
        _train_step(run.probe, next(batches))


def bfloat16(run: Run) -> None:
    """A training step under autocast; the loss is that of float32, but for rounding."""
    batch = next(run.probe.dataloader_val)
    exact = _validation_loss(run.probe, batch)
    with torch.autocast("cpu", dtype=torch.bfloat16), _readable_loss(run.probe):
        _compare("the loss under bfloat16 autocast", _validation_loss(run.probe, batch), exact, BFLOAT16_TOLERANCE)
        _train_step(run.probe, batch)


def compiled(run: Run) -> None:
    """nnU-Net's compiled path, on a backend that needs no compiler, and a compiled loss: the same training step."""
    batch = next(run.probe.dataloader_val)
    weights = deepcopy(run.probe.network.state_dict())
    exact = _train_step(run.probe, batch)
    with torch._dynamo.config.patch(_DYNAMO), replaced(torch, "compile", partial(torch.compile, backend="aot_eager")):
        trainer = run.build(compiled=True)
        trainer.set_deep_supervision_enabled(trainer.enable_deep_supervision)
        trainer.network._orig_mod.load_state_dict(weights)
        trainer.loss = torch.compile(trainer.loss)
        _compare("the compiled loss", _train_step(trainer, batch), exact, LOSS_TOLERANCE)


def epoch(run: Run) -> None:
    """A training of one epoch, from start to final checkpoint."""
    trainer = run.build()
    _train_until(trainer, epochs=1)
    checkpoint = _load(trainer)
    _require(
        checkpoint["trainer_name"] == run.trainer.__name__,
        f"the checkpoint names the trainer '{checkpoint['trainer_name']}', so prediction will build another one",
    )
    _require(checkpoint["current_epoch"] == 1, f"the checkpoint says epoch {checkpoint['current_epoch']} after 1")
    for what in ("train_losses", "val_losses"):
        _require(
            bool(np.isfinite(checkpoint["logging"][what]).all()), f"{what} of the epoch: {checkpoint['logging'][what]}"
        )
    _require((Path(trainer.output_folder) / "debug.json").is_file(), "no debug.json was written")


def validate(run: Run) -> None:
    """Validation of whole images with the trained model, as ``nnUNetv2_train --val`` does it."""
    trainer = run.build(continue_training=False)
    maybe_load_checkpoint(trainer, False, True)
    trainer.perform_actual_validation()
    folder = Path(trainer.output_folder) / "validation"
    _require((folder / "summary.json").is_file(), "no summary.json was written")
    for case in TRAINING_CASES[2:]:
        _require((folder / f"{case}{run.data.ending}").is_file(), f"validation case {case} was not predicted")


def continue_training(run: Run) -> None:
    """``nnUNetv2_train --c``: everything is back, and one more epoch can be trained."""
    trainer = run.build(continue_training=True)
    maybe_load_checkpoint(trainer, True, False)
    checkpoint = _load(trainer)
    _require(trainer.current_epoch == 1, f"continues at epoch {trainer.current_epoch}, not at 1")
    _same("network weights", trainer.network.state_dict(), checkpoint["network_weights"])
    _same("optimizer state", trainer.optimizer.state_dict(), checkpoint["optimizer_state"])
    _train_until(trainer, epochs=2)
    _require(_load(trainer)["current_epoch"] == 2, "the second epoch did not reach the checkpoint")


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
        _require(np.allclose(mine, theirs), f"the prediction's {what[3:].lower()} is {mine}, the image's {theirs}")
    found = set(np.unique(SimpleITK.GetArrayFromImage(predicted)).tolist())
    _require(
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
    **dict.fromkeys(("build", "epoch"), "first stage"),
    **dict.fromkeys(("train steps", "val step", "background", "ignored", "bfloat16", "compile", "epoch"), "build"),
    **dict.fromkeys(("--val", "--c", "predict"), "epoch"),
}
"""Without what a step cannot be tried."""


def _train_until(trainer: nnUNetTrainer, *, epochs: int) -> None:
    # Only now, so that the learning rate's schedule is that of the trainer's own number of epochs.
    trainer.num_epochs = epochs
    trainer.run_training()


def _train_step(trainer: nnUNetTrainer, batch: dict[str, Any]) -> float:
    trainer.network.train()
    loss = float(np.mean(trainer.train_step(_copy(batch))["loss"]))
    _require(bool(np.isfinite(loss)), f"the training loss is {loss}")
    gradients = {n: p.grad for n, p in trainer.network.named_parameters() if p.requires_grad and p.grad is not None}
    _require(bool(gradients), "no gradient reached the network")
    for name, gradient in gradients.items():
        _require(bool(gradient.isfinite().all()), f"the gradient of '{name}' is not finite, the loss is")
    return loss


@torch.no_grad()
def _validation_loss(trainer: nnUNetTrainer, batch: dict[str, Any]) -> float:
    trainer.network.eval()
    result = trainer.validation_step(_copy(batch))
    loss = float(np.mean(result["loss"]))
    _require(bool(np.isfinite(loss)), f"the validation loss is {loss}")
    return loss


@contextmanager
def _readable_loss(trainer: nnUNetTrainer) -> Iterator[None]:
    """nnU-Net hands the loss to NumPy, which knows float16, as on the GPU, but not bfloat16."""
    loss = trainer.loss
    trainer.loss = lambda *arguments: loss(*arguments).float()
    try:
        yield
    finally:
        trainer.loss = loss


def _copy(batch: dict[str, Any]) -> dict[str, Any]:
    """nnU-Net's validation step writes into the target."""
    return deepcopy(batch)


@contextmanager
def _relabelled(trainer: nnUNetTrainer, label: int) -> Iterator[Iterator[dict[str, Any]]]:
    """Validation batches in which every voxel has the same label, through the trainer's own loader and transforms."""
    loader = trainer.dataloader_val.data_loader
    original = loader._data

    class Relabelled:
        def load_case(self, identifier: str) -> tuple[Any, ...]:
            data, labels, previous, properties = original.load_case(identifier)
            emptied = {**properties, "class_locations": {key: [] for key in properties["class_locations"]}}
            return data, np.full_like(labels[:], label), previous, emptied

        def __getattr__(self, name: str) -> Any:
            return getattr(original, name)

    loader._data = Relabelled()
    try:
        yield trainer.dataloader_val
    finally:
        loader._data = original


def _check_mirroring(trainer: nnUNetTrainer) -> None:
    *_, trained = trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
    at_inference = set(trainer.inference_allowed_mirroring_axes or ())
    _require(
        at_inference <= set(trained or ()),
        f"trains with mirroring along {sorted(trained or ())}, but predicts with mirroring along "
        f"{sorted(at_inference)}: set self.inference_allowed_mirroring_axes where the mirror axes are set",
    )


def _load(trainer: nnUNetTrainer) -> dict[str, Any]:
    file = Path(trainer.output_folder) / CHECKPOINT
    _require(file.is_file(), f"no {CHECKPOINT} was written")
    return torch.load(file, map_location="cpu", weights_only=False)


def _predict(run: Run, model_folder: Path, fold: int | str, target: Path, previous: Path | None = None) -> None:
    target.mkdir(parents=True)
    predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    with findable(run.trainer):
        predictor.initialize_from_trained_model_folder(str(model_folder), (fold,), CHECKPOINT)
    # Lists rather than folders: nnU-Net forks a dozen processes to list a folder.
    predictor.predict_from_files_sequential(
        [[str(run.data.raw / "imagesTs" / f"{UNSEEN_CASE}_0000{run.data.ending}")]],
        [str(target / UNSEEN_CASE)],
        folder_with_segs_from_prev_stage=str(previous) if previous else None,
    )


def _compare(what: str, value: float, expected: float, tolerance: float) -> None:
    _require(
        abs(value - expected) <= tolerance * max(1.0, abs(expected)),
        f"{what} is {value:.6g}, it should be {expected:.6g}",
    )


def _same(what: str, mine: Any, theirs: Any) -> None:
    _require(equal(mine, theirs), f"the {what} after continuing is not what the checkpoint holds")


def equal(mine: Any, theirs: Any) -> bool:
    """Whether two nests of dictionaries, lists, tensors and plain values are the same, bit for bit."""
    if type(mine) is not type(theirs):
        return False
    if isinstance(mine, dict):
        return mine.keys() == theirs.keys() and all(equal(value, theirs[key]) for key, value in mine.items())
    if isinstance(mine, (list, tuple)):
        return len(mine) == len(theirs) and all(map(equal, mine, theirs))
    return torch.equal(mine, theirs) if isinstance(mine, torch.Tensor) else bool(mine == theirs)


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ViolationError(otherwise)
