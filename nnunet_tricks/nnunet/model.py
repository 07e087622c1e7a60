"""A model of nnU-Net on one fold: where its files are, and which of them a kill has left whole."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import is_zipfile

from nnunet_tricks.catalogue.naming import is_legal, model_folder, parse
from nnunet_tricks.catalogue.pretext import pretext_of
from nnunet_tricks.nnunet.folders import Folders, is_json

CASCADE, FIRST_STAGE = "3d_cascade_fullres", "3d_lowres"
PRETEXT_RESULT = "pretext.json"
"""File in the folder ``validation`` with what a training without labels reaches on images that it has not seen."""
CHECKPOINTS = ("final", "latest", "best")
"""In the order in which nnU-Net's ``--c`` looks for them."""


@dataclass(frozen=True)
class Model:
    """A trainer with plans and a configuration, on one fold of a data set.

    Attributes:
        folders: nnU-Net's folders.
        dataset: Full name of the data set.
        trainer: Class name.
        plans: Stem of the plans file.
        configuration: Name of one of the plans' configurations.
        fold: Fold, as nnU-Net's command takes it.
    """

    folders: Folders
    dataset: str
    trainer: str
    plans: str
    configuration: str
    fold: str

    @property
    def name(self) -> str:
        """Path of the model below nnU-Net's results."""
        return f"{self.dataset}/{model_folder(self.trainer, self.plans, self.configuration)}/fold_{self.fold}"

    @property
    def folder(self) -> Path:
        """Folder in which nnU-Net writes the fold."""
        return self.folders.results / self.name

    def checkpoint(self, which: str) -> Path:
        """A checkpoint's file."""
        return self.folder / f"checkpoint_{which}.pth"

    def has(self, which: str) -> bool:
        """Whether a checkpoint is there and whole: torch writes archives, whose table of contents comes last."""
        file = self.checkpoint(which)
        return file.is_file() and is_zipfile(file)

    @property
    def is_trained(self) -> bool:
        """Whether the training came to its end."""
        return self.has("final")

    @property
    def is_validated(self) -> bool:
        """Whether the validation that nnU-Net appends came to its end."""
        return is_json(self.validation / "summary.json")

    @property
    def validation(self) -> Path:
        """Folder of nnU-Net's predictions at the end of a training."""
        return self.folder / "validation"

    def predictions(self, part: str, checkpoint: str) -> Path:
        """Where predictions of a part of the data are: nnU-Net's own for the validation part."""
        if (part, checkpoint) == ("validation", "final"):
            return self.validation
        return self.folder / (part if checkpoint == "final" else f"{part}_{checkpoint}")

    @property
    def first_stage(self) -> Model | None:
        """The model whose predictions a cascade needs."""
        if self.configuration != CASCADE:
            return None
        return Model(self.folders, self.dataset, self.trainer, self.plans, FIRST_STAGE, self.fold)

    @property
    def pretext(self) -> Model | None:
        """The training without labels that it starts from; None if it starts from none."""
        name = pretext_of(parse(self.trainer)) if is_legal(self.trainer) else None
        return replace(self, trainer=str(name)) if name else None

    def put_away_broken(self) -> None:
        """Rename checkpoints that were cut off, so that nnU-Net goes on from a whole one."""
        for which in CHECKPOINTS:
            file = self.checkpoint(which)
            if file.is_file() and not self.has(which):
                file.replace(file.with_name(f"{file.name}.broken"))
