"""One trainer in one situation: how its instances are made, and where they write."""

from __future__ import annotations

from copy import deepcopy
from functools import cached_property
from pathlib import Path

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_tricks.catalogue.naming import model_folder
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.loss_calls import LossCall
from nnunet_tricks.conformance.outcome import NotApplicableError
from nnunet_tricks.conformance.resumed import Recorded
from nnunet_tricks.conformance.tiny_data import TinyData
from nnunet_tricks.training.preconditions import UnsuitableImages

CONFIGURATIONS = {"2d": "2d", "3d": "3d_fullres", "cascade": "3d_cascade_fullres"}
FIRST_STAGE = "3d_lowres"

TRAIN_STEPS = 2


class Run:
    """One trainer in one situation: makes instances as ``nnUNetv2_train`` does, and keeps what several steps need.

    Attributes:
        loss_calls: Calls of the loss in the validation step.
        uninterrupted: Record of the training without interruption.
        validated: Trainer that predicted the validation cases.
    """

    def __init__(self, trainer: type[nnUNetTrainer], situation: Situation, data: TinyData, folder: Path) -> None:
        """Make nothing yet.

        Args:
            trainer: Class under test.
            situation: Situation of the trainer.
            data: Data set of the situation.
            folder: Folder for results and predictions.
        """
        self.trainer = trainer
        self.situation = situation
        self.data = data
        self.folder = folder
        self.loss_calls: list[LossCall] = []
        self.uninterrupted: Recorded | None = None
        self.validated: nnUNetTrainer | None = None

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
            configuration: Name of a configuration; empty for that of the situation.
            fold: Fold of the split, or ``"all"``.
            continue_training: Whether ``--c`` was given.
            compiled: Whether to take nnU-Net's path for ``torch.compile``, which it skips on the CPU.
            untouched: Whether the trainer keeps its own length of an epoch and its own switch of deep supervision.

        Returns:
            The trainer.

        Raises:
            NotApplicableError: If the situation needs deep supervision and the trainer switches it off, or has images
                that its network does not take.
        """
        # nnU-Net takes continue_training out of the plans that it is given, so each trainer gets its own copy.
        try:
            trainer = self.trainer(
                plans={**deepcopy(self.data.plans), "continue_training": continue_training},
                configuration=configuration or CONFIGURATIONS[self.situation.dimension],
                fold=fold,
                dataset_json=deepcopy(self.data.dataset_json),
                device=torch.device("cpu"),
            )
        except UnsuitableImages as error:
            raise NotApplicableError(str(error)) from error
        if not untouched:
            self._fit(trainer)
        if compiled:
            trainer._do_i_compile = lambda: True
        if not continue_training:
            trainer.initialize()
        return trainer

    def _fit(self, trainer: nnUNetTrainer) -> None:
        if self.situation.deep_supervision and not trainer.enable_deep_supervision:
            raise NotApplicableError("the trainer itself switches deep supervision off")
        trainer.enable_deep_supervision = self.situation.deep_supervision
        trainer.num_iterations_per_epoch = TRAIN_STEPS
        trainer.num_val_iterations_per_epoch = 1

    @cached_property
    def probe(self) -> nnUNetTrainer:
        """The instance for steps that need no complete epoch."""
        trainer = self.build()
        trainer.on_train_start()
        return trainer

    def forget(self) -> None:
        """Drop the probe, so that the next step makes a new one: after a failure its weights may not be finite."""
        self.__dict__.pop("probe", None)

    def model_folder(self, configuration: str = "") -> Path:
        """Folder of a configuration's results."""
        configuration = configuration or CONFIGURATIONS[self.situation.dimension]
        name = model_folder(self.trainer.__name__, self.data.plans["plans_name"], configuration)
        return self.folder / "results" / self.data.name / name
