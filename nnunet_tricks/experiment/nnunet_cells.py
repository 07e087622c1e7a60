"""The cells that are commands of nnU-Net."""

from __future__ import annotations

import hashlib
import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import ClassVar

from nnunet_tricks.experiment import running_commands
from nnunet_tricks.experiment.cell import Cell, Traces
from nnunet_tricks.experiment.observer import Observer, logs_in, ours
from nnunet_tricks.experiment.record import Record
from nnunet_tricks.experiment.running_commands import Work, dataset_number, trainer_name
from nnunet_tricks.experiment.spec import AddedConfiguration
from nnunet_tricks.experiment.split import FILE as SPLITS
from nnunet_tricks.experiment.split import KEPT
from nnunet_tricks.experiment.whole_file import is_whole
from nnunet_tricks.nnunet.folders import Folders, is_json, read_json
from nnunet_tricks.nnunet.model import CHECKPOINTS, PRETEXT_RESULT, Model
from nnunet_tricks.nnunet.parts import Part
from nnunet_tricks.nnunet.plans_file import DEFAULT_PLANS, Plans, resolve
from nnunet_tricks.planning.planners import PREFIX, is_known

PLANNERS = {
    DEFAULT_PLANS: "ExperimentPlanner",
    "nnUNetResEncUNetMPlans": "nnUNetPlannerResEncM",
    "nnUNetResEncUNetLPlans": "nnUNetPlannerResEncL",
    "nnUNetResEncUNetXLPlans": "nnUNetPlannerResEncXL",
}
"""Planners of nnU-Net by the plans that they write."""


def planner_of(plans: str) -> str | None:
    """The planner that writes plans of this name, nnU-Net's or ours; ``None`` if it is not known.

    Examples:
        >>> planner_of("nnUNetPlansNoResampling"), planner_of("nnUNetPlansOfMine")
        ('nnUNetPlannerNoResampling', None)
    """
    if plans in PLANNERS:
        return PLANNERS[plans]
    ours = PREFIX + plans.removeprefix(DEFAULT_PLANS)
    return ours if plans.startswith(DEFAULT_PLANS) and is_known(ours) else None


EPOCH = re.compile(r"Epoch time: (\d+(?:\.\d+)?) s")

PROCESSES = 8
"""nnU-Net's own default."""


def processes(most: int = PROCESSES) -> str:
    """Number of processes that a command may start, at most one for each core."""
    return str(min(os.cpu_count() or 1, most))


@dataclass(frozen=True, kw_only=True)
class _OnPlans(Cell):
    """A cell that is done once per data set and plans.

    Attributes:
        folders: nnU-Net's folders.
        dataset: Full name.
        plans: Stem of the plans file.
    """

    on_device: ClassVar[bool] = False

    folders: Folders
    dataset: str
    plans: str

    @property
    def number(self) -> str:
        """The number for nnU-Net's ``-d``, where it takes no name."""
        return dataset_number(self.dataset)

    def work(self) -> Work | None:
        """The plans file."""
        return Work.at(running_commands.PLAN, self.folders.preprocessed, self.number, self.plans)

    def content(self) -> Plans | None:
        """The content of the plans file; None if it is missing or cut off."""
        file = self.folders.preprocessed / self.dataset / f"{self.plans}.json"
        return dict(read_json(file)) if is_json(file) else None


@dataclass(frozen=True, kw_only=True)
class MakePlans(_OnPlans):
    """Fingerprint and plans."""

    fragile: ClassVar[bool] = True

    def words(self) -> list[str]:
        """``nnUNetv2_plan_and_preprocess`` without preprocessing."""
        words = ["nnUNetv2_plan_and_preprocess", "-d", self.number, "--no_pp", "-npfp", processes(), "--no_pbar"]
        planner = planner_of(self.plans)
        return words + (["-pl", planner] if planner and self.plans != DEFAULT_PLANS else [])

    @property
    def needs_link(self) -> bool:
        """Whether nnU-Net must find a planner of ours, for which it has no variable as it has for trainers."""
        return self.plans not in PLANNERS and planner_of(self.plans) is not None and not self.is_made()

    def is_made(self) -> bool:
        """Whether there are plans."""
        return self.content() is not None

    def prepare(self) -> None:
        """Remove a fingerprint that was cut off, which nnU-Net would use."""
        fingerprint = self.folders.preprocessed / self.dataset / "dataset_fingerprint.json"
        if fingerprint.is_file() and not is_json(fingerprint):
            fingerprint.unlink()


@dataclass(frozen=True, kw_only=True)
class AddConfiguration(_OnPlans):
    """One more configuration in the plans.

    Attributes:
        configuration: Name of the new configuration.
        added: Settings from which it is made.
    """

    configuration: str
    added: AddedConfiguration

    def words(self) -> list[str]:
        """``nnunet-tricks plan``."""
        words = ["nnunet-tricks", "plan", self.dataset, "--from", self.added.source]
        words += ["--name", self.configuration, "-p", self.plans]
        words += ["--small"] if self.added.small else []
        return words + (["--patch", *map(str, self.added.patch)] if self.added.patch else [])

    def is_made(self) -> bool:
        """Whether the plans have the configuration."""
        content = self.content()
        return content is not None and self.configuration in content["configurations"]


@dataclass(frozen=True, kw_only=True)
class Preprocess(_OnPlans):
    """The preprocessed cases of a configuration.

    Attributes:
        configuration: A configuration that inherits from no other.
    """

    fragile: ClassVar[bool] = True

    configuration: str

    def words(self) -> list[str]:
        """``nnUNetv2_preprocess``, which starts from the beginning each time."""
        words = ["nnUNetv2_preprocess", "-d", self.number, "-plans_name", self.plans, "-c", self.configuration]
        return [*words, "-np", processes(4), "--no_pbar"]

    def work(self) -> Work | None:
        """The preprocessed cases."""
        return Work.at(
            running_commands.PREPROCESS, self.folders.preprocessed, self.number, self.plans, self.configuration
        )

    def traces(self) -> Traces | None:
        """Cases that no queue has preprocessed: a new attempt would delete them while somebody may write them."""
        place = self._place()
        if place is None or Record.read(self.folder).attempts or not any(place.glob("*.pkl")):
            return None
        return Traces.in_folder(place, is_slow=True)

    def _place(self) -> Path | None:
        """The folder of the preprocessed cases; None without plans."""
        content = self.content()
        if content is None or self.configuration not in content["configurations"]:
            return None
        identifier = resolve(content, self.configuration).get("data_identifier", self.configuration)
        return self.folders.preprocessed / self.dataset / str(identifier)

    def is_made(self) -> bool:
        """Whether every raw case is preprocessed and its label map copied."""
        place = self._place()
        if place is None:
            return False
        folder = self.folders.preprocessed / self.dataset
        preprocessed = {file.name[: -len(".pkl")] for file in place.glob("*.pkl")}
        if not (self.folders.raw / self.dataset).is_dir():
            return bool(preprocessed)  # preprocessed elsewhere: the raw data need not be on this machine
        ending = self.folders.description(self.dataset)["file_ending"]
        truth = {file.name[: -len(ending)] for file in (folder / "gt_segmentations").glob(f"*{ending}")}
        return set(self.folders.cases(self.dataset, "Tr")) <= preprocessed & truth


@dataclass(frozen=True, kw_only=True)
class _OnModel(Cell):
    """A cell of one model.

    Attributes:
        model: The model.
        device: nnU-Net's ``-device``.
    """

    model: Model
    device: str = "cuda"

    @property
    def to_device(self) -> list[str]:
        """The words of the command that name the device; none for nnU-Net's default."""
        return [] if self.device == "cuda" else ["-device", self.device]


@dataclass(frozen=True, kw_only=True)
class Train(_OnModel):
    """A training, with the validation that nnU-Net appends."""

    def words(self) -> list[str]:
        """``nnUNetv2_train``, which continues from a checkpoint if there is one."""
        model = self.model
        words = ["nnUNetv2_train", model.dataset, model.configuration, model.fold, "-tr", model.trainer]
        words += [] if model.plans == DEFAULT_PLANS else ["-p", model.plans]
        words += self.to_device
        if model.is_trained:
            return [*words, "--val"]
        return [*words, "--c"] if model.has("latest") or model.has("best") else words

    def is_made(self) -> bool:
        """Whether the model is trained and validated."""
        return self.model.is_trained and self.model.is_validated

    def is_begun(self) -> bool:
        """Whether nnU-Net has begun to write."""
        return any(self.model.folder.glob("training_log_*.txt"))

    def prepare(self) -> None:
        """Remove checkpoints that were cut off."""
        self.model.put_away_broken()

    @property
    def continues(self) -> bool:
        """Whether there is a checkpoint from which the next attempt continues."""
        return any(self.model.has(which) for which in CHECKPOINTS)

    @property
    def kept_splits(self) -> Path:
        """Folder of all splits that a model of the data set was trained on."""
        return self.states / self.model.dataset / KEPT

    def work(self) -> Work | None:
        """The fold's folder."""
        model = self.model
        names = (trainer_name(model.trainer), model.plans, model.configuration, model.fold)
        return Work.at(running_commands.TRAIN, model.folders.results, dataset_number(model.dataset), *names)

    def traces(self) -> Traces | None:
        """A training that no queue has started, told by the names of its logs."""
        folder = self.model.folder
        logs = logs_in(folder)
        strange = logs - ours(Record.read(self.folder), logs).keys()
        if not strange:
            return None
        node = ""
        with suppress(OSError, ValueError, KeyError, TypeError):
            told = read_json(folder / "debug.json")
            # nnU-Net writes it when a training starts, and names that training's log in it.
            node = str(told["hostname"]) if {PurePath(str(told["log_file"])).name} == strange else ""
        times = [float(time) for log in strange for time in EPOCH.findall(_text(folder / log))]
        return Traces.in_folder(folder, node=node, is_slow=True, epoch=max(times, default=None))

    def observer(self) -> Observer:
        """Looks at its logs and at the split that it learns from."""
        model = self.model
        splits = model.folders.preprocessed / model.dataset / SPLITS
        return Observer(
            model=str(model.folder),
            splits="" if model.is_trained else str(splits),
            fold=model.fold,
            kept=str(self.kept_splits),
            continues=self.continues,
        )


@dataclass(frozen=True, kw_only=True)
class Pretrain(Train):
    """A training without labels that others start from. It measures its task, and predicts nothing."""

    def is_made(self) -> bool:
        """Whether the model is trained and its task measured."""
        return self.model.is_trained and is_json(self.model.validation / PRETEXT_RESULT)


@dataclass(frozen=True, kw_only=True)
class Predict(_OnModel):
    """Predictions of a part of the data.

    Attributes:
        part: The part to predict.
        checkpoint: ``final`` or ``best``.
    """

    fragile: ClassVar[bool] = True

    part: Part
    checkpoint: str = "final"

    def words(self) -> list[str]:
        """``nnUNetv2_predict``, which continues if there are predictions."""
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
        """Folder with the images to predict."""
        fold = self.part.fold if self.part.source == "Tr" else "every_fold"
        return self.states / self.part.dataset / f"images_{self.part.name}" / fold

    def is_made(self) -> bool:
        """Whether every case of the part has a prediction. Files that were made by hand are checked for their ends."""
        predictions = self._predictions_by_case()
        if not predictions or not self.model.has(self.checkpoint) or not set(self.part.cases()) <= set(predictions):
            return False
        return bool(Record.read(self.folder).attempts) or not any(
            is_whole(file) is False for file in predictions.values()
        )

    def work(self) -> Work | None:
        """The folder of the predictions."""
        return Work.at(running_commands.PREDICT, self.model.predictions(self.part.name, self.checkpoint))

    def traces(self) -> Traces | None:
        """Predictions that no queue has started."""
        if Record.read(self.folder).attempts or not self.is_begun():
            return None
        return Traces.in_folder(self.model.predictions(self.part.name, self.checkpoint), is_slow=True)

    def is_begun(self) -> bool:
        """Whether there is a prediction."""
        return bool(self._predictions_by_case())

    def prepare(self) -> None:
        """Link the images, and remove predictions that may have been cut off."""
        self.link_images()
        for file in self._predictions_by_case().values():
            # Formats that do not tell are predicted again.
            if not is_whole(file):
                file.unlink()

    def link_images(self) -> None:
        """Fill the folder of images that the command reads."""
        self.part.link(self.images)

    @property
    def strays(self) -> list[str]:
        """Predicted cases that are not in the part."""
        return sorted(set(self._predictions_by_case()) - set(self.part.cases()))

    def _predictions_by_case(self) -> dict[str, Path]:
        ending = self.model.folders.description(self.model.dataset)["file_ending"]
        folder = self.model.predictions(self.part.name, self.checkpoint)
        return {file.name[: -len(ending)]: file for file in folder.glob(f"*{ending}")}


@dataclass(frozen=True, kw_only=True)
class Evaluate(_OnModel):
    """nnU-Net's summary of predictions.

    Attributes:
        part: The predicted part.
        checkpoint: ``final`` or ``best``.
    """

    on_device: ClassVar[bool] = False
    fragile: ClassVar[bool] = True

    part: Part
    checkpoint: str = "final"

    def words(self) -> list[str]:
        """``nnUNetv2_evaluate_folder``."""
        out = self.model.predictions(self.part.name, self.checkpoint)
        words = ["nnUNetv2_evaluate_folder", str(self.part.truth), str(out), "-djfile", str(out / "dataset.json")]
        words += ["-pfile", str(out / "plans.json"), "-o", str(out / "summary.json"), "-np", processes()]
        # The folder of label maps has other cases too.
        return [*words, "--chill"]

    def is_made(self) -> bool:
        """Whether there is a summary of the present predictions, told by their content."""
        file = self.model.predictions(self.part.name, self.checkpoint) / "summary.json"
        if not is_json(file):
            return False
        if inputs := Record.read(self.folder).inputs:
            return inputs == self._inputs()
        # Made by hand, or before inputs were recorded: then names must do.
        summary = read_json(file)
        cases = summary.get("metric_per_case", []) if isinstance(summary, dict) else []
        evaluated = {Path(str(case.get("prediction_file", ""))).name for case in cases}
        return not evaluated or evaluated >= {prediction.name for prediction in self._predictions()}

    def work(self) -> Work | None:
        """The summary."""
        return Work.at(
            running_commands.EVALUATE, self.model.predictions(self.part.name, self.checkpoint) / "summary.json"
        )

    def observer(self) -> Observer:
        """Records the predictions that it reads."""
        return Observer(inputs=self._inputs())

    def _predictions(self) -> list[Path]:
        ending = self.model.folders.description(self.model.dataset)["file_ending"]
        return sorted(self.model.predictions(self.part.name, self.checkpoint).glob(f"*{ending}"))

    def _inputs(self) -> str:
        """A checksum of the predictions: names, sizes, last bytes, and the start time of the attempt that made them."""
        predicted = Record.read(self.states / self.after[0]).attempts if self.after else ()
        files = [(prediction.name, prediction.stat().st_size, end_of(prediction)) for prediction in self._predictions()]
        told = json.dumps([files, predicted[-1].began if predicted else None])
        return hashlib.sha256(told.encode()).hexdigest()[:16]


def end_of(file: Path) -> str:
    """The last bytes, where gzip and PNG store a checksum of all others."""
    with file.open("rb") as opened:
        opened.seek(max(file.stat().st_size - 16, 0))
        return opened.read().hex()


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
