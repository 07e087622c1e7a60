"""The cells that are commands of nnU-Net."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from nnunet_tricks.experiment.cell import Cell
from nnunet_tricks.experiment.folders import Folders, is_json, read_json
from nnunet_tricks.experiment.model import Model
from nnunet_tricks.experiment.parts import Part
from nnunet_tricks.experiment.spec import Added
from nnunet_tricks.planning.planners import PREFIX, is_known
from nnunet_tricks.planning.plans_file import DEFAULT_PLANS, Plans, resolve

PLANNERS = {
    DEFAULT_PLANS: "ExperimentPlanner",
    "nnUNetResEncUNetMPlans": "nnUNetPlannerResEncM",
    "nnUNetResEncUNetLPlans": "nnUNetPlannerResEncL",
    "nnUNetResEncUNetXLPlans": "nnUNetPlannerResEncXL",
}
"""Plans that nnU-Net's own planners write."""


def planner_of(plans: str) -> str | None:
    """The planner that writes plans of this name: nnU-Net's, or one of ours; ``None`` if that is not known.

    Examples:
        >>> planner_of("nnUNetPlansNoResampling"), planner_of("nnUNetPlansOfMine")
        ('nnUNetPlannerNoResampling', None)
    """
    if plans in PLANNERS:
        return PLANNERS[plans]
    ours = PREFIX + plans.removeprefix(DEFAULT_PLANS)
    return ours if plans.startswith(DEFAULT_PLANS) and is_known(ours) else None


IN_FLIGHT = 60.0
"""Seconds before a kill in which a file may have been only half written."""

PROCESSES = 8
"""nnU-Net's own default; never more than there are cores."""


def processes(most: int = PROCESSES) -> str:
    """How many processes a command may start."""
    return str(min(os.cpu_count() or 1, most))


@dataclass(frozen=True, kw_only=True)
class _OnPlans(Cell):
    """What is done once per data set and plans.

    Attributes:
        folders: nnU-Net's.
        dataset: Full name.
        plans: Stem of the plans file.
    """

    on_device: ClassVar[bool] = False

    folders: Folders
    dataset: str
    plans: str

    @property
    def number(self) -> str:
        """nnU-Net's ``-d``, where it takes no name."""
        return str(int(self.dataset[len("Dataset") :].partition("_")[0]))

    def content(self) -> Plans | None:
        """The plans file, if it is there and whole."""
        file = self.folders.preprocessed / self.dataset / f"{self.plans}.json"
        return dict(read_json(file)) if is_json(file) else None


@dataclass(frozen=True, kw_only=True)
class Plan(_OnPlans):
    """Fingerprint and plans."""

    fragile: ClassVar[bool] = True

    def words(self) -> list[str]:
        """``nnUNetv2_plan_and_preprocess`` without preprocessing."""
        words = ["nnUNetv2_plan_and_preprocess", "-d", self.number, "--no_pp", "-npfp", processes(), "--no_pbar"]
        planner = planner_of(self.plans)
        return words + (["-pl", planner] if planner and self.plans != DEFAULT_PLANS else [])

    @property
    def needs_link(self) -> bool:
        """Whether nnU-Net still has to find a planner of ours, for which it reads no variable as for trainers."""
        return self.plans not in PLANNERS and planner_of(self.plans) is not None and not self.is_made()

    def is_made(self) -> bool:
        """Whether there are plans."""
        return self.content() is not None

    def prepare(self) -> None:
        """Remove a fingerprint that was cut off: nnU-Net would take it as it is."""
        fingerprint = self.folders.preprocessed / self.dataset / "dataset_fingerprint.json"
        if fingerprint.is_file() and not is_json(fingerprint):
            fingerprint.unlink()


@dataclass(frozen=True, kw_only=True)
class AddConfiguration(_OnPlans):
    """One more configuration in the plans.

    Attributes:
        configuration: Its name.
        added: What it is made of.
    """

    configuration: str
    added: Added

    def words(self) -> list[str]:
        """``nnunet-tricks plan``."""
        words = ["nnunet-tricks", "plan", self.dataset, "--from", self.added.source]
        words += ["--name", self.configuration, "-p", self.plans]
        words += ["--small"] if self.added.small else []
        return words + (["--patch", *map(str, self.added.patch)] if self.added.patch else [])

    def is_made(self) -> bool:
        """Whether the plans have it."""
        content = self.content()
        return content is not None and self.configuration in content["configurations"]


@dataclass(frozen=True, kw_only=True)
class Preprocess(_OnPlans):
    """The preprocessed cases of a configuration.

    Attributes:
        configuration: One that inherits from no other.
    """

    fragile: ClassVar[bool] = True

    configuration: str

    def words(self) -> list[str]:
        """``nnUNetv2_preprocess``, which begins anew each time."""
        words = ["nnUNetv2_preprocess", "-d", self.number, "-plans_name", self.plans, "-c", self.configuration]
        return [*words, "-np", processes(4), "--no_pbar"]

    def is_made(self) -> bool:
        """Whether every raw case is preprocessed, and its truth copied."""
        content = self.content()
        if content is None or self.configuration not in content["configurations"]:
            return False
        folder = self.folders.preprocessed / self.dataset
        identifier = resolve(content, self.configuration).get("data_identifier", self.configuration)
        there = {file.name[: -len(".pkl")] for file in (folder / identifier).glob("*.pkl")}
        if not (self.folders.raw / self.dataset).is_dir():
            return bool(there)  # preprocessed elsewhere: the raw data need not be on this machine
        ending = self.folders.description(self.dataset)["file_ending"]
        truth = {file.name[: -len(ending)] for file in (folder / "gt_segmentations").glob(f"*{ending}")}
        return set(self.folders.cases(self.dataset, "Tr")) <= there & truth


@dataclass(frozen=True, kw_only=True)
class _OnModel(Cell):
    """What is done with a model.

    Attributes:
        model: Which one.
        device: nnU-Net's ``-device``.
    """

    model: Model
    device: str = "cuda"

    @property
    def to_device(self) -> list[str]:
        """Words of the command; none for nnU-Net's default."""
        return [] if self.device == "cuda" else ["-device", self.device]


@dataclass(frozen=True, kw_only=True)
class Train(_OnModel):
    """A training, and the validation that nnU-Net appends."""

    def words(self) -> list[str]:
        """``nnUNetv2_train``, continued where there is something to continue."""
        model = self.model
        words = ["nnUNetv2_train", model.dataset, model.configuration, model.fold, "-tr", model.trainer]
        words += [] if model.plans == DEFAULT_PLANS else ["-p", model.plans]
        words += self.to_device
        if model.is_trained:
            return [*words, "--val"]
        return [*words, "--c"] if model.has("latest") or model.has("best") else words

    def is_made(self) -> bool:
        """Whether it is trained and validated."""
        return self.model.is_trained and self.model.is_validated

    def is_begun(self) -> bool:
        """Whether nnU-Net has begun to write."""
        return any(self.model.folder.glob("training_log_*.txt"))

    def prepare(self) -> None:
        """Put away checkpoints that were cut off."""
        self.model.put_away_broken()


@dataclass(frozen=True, kw_only=True)
class Predict(_OnModel):
    """Predictions of a part of the data.

    Attributes:
        part: Which one.
        checkpoint: ``final`` or ``best``.
    """

    fragile: ClassVar[bool] = True

    part: Part
    checkpoint: str = "final"

    def words(self) -> list[str]:
        """``nnUNetv2_predict``, continued where there is something to continue."""
        model, out = self.model, self.model.predictions(self.part.name, self.checkpoint)
        words = ["nnUNetv2_predict", "-i", str(self.images), "-o", str(out), "-d", model.dataset]
        words += ["-c", model.configuration, "-f", model.fold, "-tr", model.trainer, "-p", model.plans]
        words += ["-chk", f"checkpoint_{self.checkpoint}.pth", "--disable_progress_bar", *self.to_device]
        if model.first_stage:
            words += ["-prev_stage_predictions", str(model.first_stage.predictions(self.part.name, self.checkpoint))]
        if self.device == "cpu":
            words += ["-npp", "1", "-nps", "1"]
        return [*words, "--continue_prediction"] if self.is_begun() else words

    @property
    def images(self) -> Path:
        """A folder with what is to be predicted."""
        fold = self.part.fold if self.part.source == "Tr" else "every_fold"
        return self.states / self.part.dataset / f"images_{self.part.name}" / fold

    def is_made(self) -> bool:
        """Whether every case of the part has a prediction."""
        return bool(there := self._there()) and self.model.has(self.checkpoint) and set(self.part.cases()) <= set(there)

    def is_begun(self) -> bool:
        """Whether there is a prediction."""
        return bool(self._there())

    def prepare(self) -> None:
        """Collect the images; put away what may have been cut off."""
        self.part.link(self.images)
        times = {file: file.stat().st_mtime for file in self._there().values()}
        for file, written in times.items():
            if written > max(times.values()) - IN_FLIGHT:
                file.unlink()

    def _there(self) -> dict[str, Path]:
        ending = self.model.folders.description(self.model.dataset)["file_ending"]
        folder = self.model.predictions(self.part.name, self.checkpoint)
        return {file.name[: -len(ending)]: file for file in folder.glob(f"*{ending}")}


@dataclass(frozen=True, kw_only=True)
class Evaluate(_OnModel):
    """nnU-Net's summary of predictions.

    Attributes:
        part: What was predicted.
        checkpoint: ``final`` or ``best``.
    """

    on_device: ClassVar[bool] = False

    part: Part
    checkpoint: str = "final"

    def words(self) -> list[str]:
        """``nnUNetv2_evaluate_folder``."""
        out = self.model.predictions(self.part.name, self.checkpoint)
        words = ["nnUNetv2_evaluate_folder", str(self.part.truth), str(out), "-djfile", str(out / "dataset.json")]
        words += ["-pfile", str(out / "plans.json"), "-o", str(out / "summary.json"), "-np", processes()]
        # The folder of the truth holds other cases too.
        return [*words, "--chill"]

    def is_made(self) -> bool:
        """Whether the summary is there, and not older than the predictions."""
        summary = self.model.predictions(self.part.name, self.checkpoint) / "summary.json"
        if not is_json(summary):
            return False
        ending = self.model.folders.description(self.model.dataset)["file_ending"]
        written = summary.stat().st_mtime
        return all(file.stat().st_mtime <= written for file in summary.parent.glob(f"*{ending}"))
