"""The cells that do something with trained models. Their results stand where those of a trainer of their own would."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from nnunet_tricks.catalogue import after_training
from nnunet_tricks.experiment import running_commands
from nnunet_tricks.experiment.cell import Cell
from nnunet_tricks.experiment.nnunet_cells import Predict, end_of, processes
from nnunet_tricks.experiment.observer import Observer
from nnunet_tricks.experiment.record import Record
from nnunet_tricks.experiment.running_commands import Work
from nnunet_tricks.nnunet.folders import is_json, read_json
from nnunet_tricks.nnunet.model import Model
from nnunet_tricks.nnunet.parts import Part

RECORD = "nnunet_tricks_prediction.json"
"""File beside predictions in which our commands note how they were made."""


@dataclass(frozen=True, kw_only=True)
class PredictViews(Predict):
    """Predictions with other views than nnU-Net's.

    Attributes:
        source: Trained model; ``model`` says where the results stand.
        views: Trick ``TTA`` with its parameters.
        probabilities: Whether probabilities are kept, for an average.
    """

    source: Model
    views: str
    probabilities: bool = False

    def words(self) -> list[str]:
        """``nnunet-tricks predict``, which continues if there are predictions."""
        source, out = self.source, self.model.predictions(self.part.name, self.checkpoint)
        verb, *options = after_training.command(after_training.read(self.views))
        words = ["nnunet-tricks", verb, "-i", str(self.images), "-o", str(out), "-m", str(source.folder.parent)]
        words += ["-f", source.fold, "-chk", f"checkpoint_{self.checkpoint}.pth", *options, *self.to_device]
        words += ["--save_probabilities"] if self.probabilities else []
        if source.first_stage:
            words += ["-prev_stage_predictions", str(source.first_stage.predictions(self.part.name, self.checkpoint))]
        if self.device == "cpu":
            words += ["-npp", "1", "-nps", "1"]
        words.append("--disable_progress_bar")
        if not self.is_begun():
            return words
        # Those that were made without probabilities, when no average was asked for, are made again.
        return [*words, "--continue_prediction" if self._keeps_probabilities == self.probabilities else "--overwrite"]

    def is_made(self) -> bool:
        """Whether every case has a prediction, and its probabilities where they are needed."""
        predictions = self._predictions_by_case()
        if not predictions or not self.source.has(self.checkpoint) or not set(self.part.cases()) <= set(predictions):
            return False
        folder = self.model.predictions(self.part.name, self.checkpoint)
        return not self.probabilities or all((folder / f"{case}.npz").is_file() for case in predictions)

    @property
    def _keeps_probabilities(self) -> bool:
        file = self.model.predictions(self.part.name, self.checkpoint) / RECORD
        return is_json(file) and bool(read_json(file)["settings"]["probabilities"])


@dataclass(frozen=True, kw_only=True)
class _OfPredictions(Cell):
    """A cell that makes predictions of others.

    Attributes:
        model: Place of the results, as that of a model.
        part: Part of the data.
        checkpoint: ``final`` or ``best``.
    """

    on_device: ClassVar[bool] = False
    fragile: ClassVar[bool] = True

    model: Model
    part: Part
    checkpoint: str = "final"

    @property
    def out(self) -> Path:
        """Folder of the results."""
        return self.model.predictions(self.part.name, self.checkpoint)

    def is_made(self) -> bool:
        """Whether every case has a result, of the present sources."""
        cases = self._cases()
        # Without results there may be no split yet, and nobody knows the cases.
        return bool(cases) and set(self.part.cases()) <= cases and self._is_same_work()

    def is_begun(self) -> bool:
        """Whether there is a result."""
        return bool(self._cases())

    def work(self) -> Work | None:
        """The folder of the results."""
        return Work.at(running_commands.PREDICT, self.out)

    def observer(self) -> Observer:
        """Records the segmentations that it reads."""
        return Observer(inputs=self._inputs())

    def _cases(self) -> set[str]:
        return {file.name[: -len(self._ending)] for file in self.out.glob(f"[!.]*{self._ending}")}

    def _goes_on(self, word: str) -> list[str]:
        if not self.is_begun():
            return []
        return [word if self._is_same_work() else "--overwrite"]

    def _noted(self) -> dict[str, object]:
        file = self.out / RECORD
        return dict(json.loads(file.read_text(encoding="utf-8"))["settings"]) if is_json(file) else {}

    @abstractmethod
    def sources(self) -> tuple[Path, ...]:
        """Folders of the segmentations that it reads."""

    @abstractmethod
    def _settings(self) -> dict[str, object]:
        """What our command notes of its settings, as far as it can change."""

    def _is_same_work(self) -> bool:
        """Whether what is there was made of the present sources with the same settings."""
        noted, inputs = self._noted(), Record.read(self.folder).inputs
        is_same = all(noted.get(name) == value for name, value in self._settings().items())
        return is_same and inputs in ("", self._inputs())

    def _inputs(self) -> str:
        """A checksum of the segmentations that it reads: names, sizes and last bytes."""
        files = [file for folder in self.sources() for file in sorted(folder.glob(f"[!.]*{self._ending}"))]
        content = json.dumps([(str(file), file.stat().st_size, end_of(file)) for file in files])
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @property
    def _ending(self) -> str:
        return str(self.model.folders.description(self.model.dataset)["file_ending"])


@dataclass(frozen=True, kw_only=True)
class Ensemble(_OfPredictions):
    """One segmentation of those of several runs.

    Attributes:
        members: Folders of the predictions of each run.
        method: ``EnsembleAverage`` or ``EnsembleVote``.
    """

    members: tuple[Path, ...]
    method: str

    def words(self) -> list[str]:
        """``nnunet-tricks ensemble``, which continues if there are results."""
        verb, *options = after_training.command(after_training.read(self.method))
        words = ["nnunet-tricks", verb, "-i", *map(str, self.members), "-o", str(self.out), *options]
        return [*words, "-np", processes(4), "--disable_progress_bar", *self._goes_on("--continue_ensemble")]

    def sources(self) -> tuple[Path, ...]:
        """The members."""
        return self.members

    def _settings(self) -> dict[str, object]:
        return {"members": [str(member.resolve()) for member in self.members]}


@dataclass(frozen=True, kw_only=True)
class Postprocess(_OfPredictions):
    """Segmentations after steps of post-processing.

    Attributes:
        source: Folder of the segmentations.
        steps: Steps as ``postprocess --steps`` takes them.
    """

    source: Path
    steps: tuple[str, ...]

    def words(self) -> list[str]:
        """``nnunet-tricks postprocess``, which continues if there are results."""
        steps = [_checked(step) for step in self.steps]
        words = ["nnunet-tricks", after_training.POSTPROCESS, str(self.source), str(self.out), "-np", processes(4)]
        return [*words, "--disable_progress_bar", *self._goes_on("--continue"), "--steps", *steps]

    def sources(self) -> tuple[Path, ...]:
        """The one folder."""
        return (self.source,)

    def _settings(self) -> dict[str, object]:
        return {"of": str(self.source.resolve()), "steps": list(self.steps)}


def _checked(step: str) -> str:
    """A step as it is written; nothing else becomes a word of a command."""
    place, _, token = step.rpartition(":")
    return after_training.command(after_training.read(token), place)[-1]
