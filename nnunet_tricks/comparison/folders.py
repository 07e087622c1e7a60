"""Predictions that nnU-Net has left in its result folders, and the labels that belong to them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nnunet_tricks.catalogue import after_training
from nnunet_tricks.catalogue.naming import IllegalName, parse
from nnunet_tricks.comparison.evaluate import CaseFiles
from nnunet_tricks.comparison.images import ITK, NATURAL, TIFF
from nnunet_tricks.nnunet import annotated_classes
from nnunet_tricks.nnunet.annotated_classes import AnnotatedClasses
from nnunet_tricks.nnunet.classes import Classes
from nnunet_tricks.nnunet.folders import Folders, read_json
from nnunet_tricks.nnunet.parts import Part
from nnunet_tricks.nnunet.plans_file import refuse_pretrained
from nnunet_tricks.utilities.wording import some

VALIDATION = "validation"
PROCESSES = "nnUNet_def_n_proc"
ENDINGS = ITK + NATURAL + TIFF
SEPARATOR = "__"
MODEL_PARTS = ("trainer", "plans", "configuration")
"""What the name of a model's folder says, joined by ``SEPARATOR``."""

FOLD = re.compile(r"fold_(\d+|all)")


@dataclass(frozen=True)
class Predictions:
    """Predictions of one part of a data set by one model.

    Attributes:
        model: Folder ``TRAINER__PLANS__CONFIGURATION`` below its data set's.
        fold: Fold, as nnU-Net's command takes it.
        part: Name of the folder with the predictions.
    """

    model: Path
    fold: str
    part: str

    @property
    def folder(self) -> Path:
        """Folder of the predictions."""
        return self.fold_folder / self.part

    @property
    def fold_folder(self) -> Path:
        """Folder of the training."""
        return self.model / f"fold_{self.fold}"

    @property
    def trained(self) -> Predictions:
        """Predictions of the trained model itself, where these came after: of other views, ensembles and the like."""
        own, separator, rest = self.model.name.partition(SEPARATOR)
        return replace(self, model=self.model.with_name(after_training.trained(own) + separator + rest))

    @property
    def dataset(self) -> str:
        """Full name of the data set."""
        return self.model.parent.name

    @property
    def trainer(self) -> str:
        """Class name of the trainer."""
        return self._names[0]

    @property
    def plans_name(self) -> str:
        """Stem of the plans file."""
        return self._names[1]

    @property
    def configuration(self) -> str:
        """Name of nnU-Net's configuration."""
        return self._names[2]

    @property
    def _names(self) -> list[str]:
        """Trainer, plans and configuration, as the model's folder names them."""
        return self.model.name.split(SEPARATOR)

    @property
    def run(self) -> int:
        """Number of the repetition, as far as the trainer's name says."""
        return run_of(self.trainer)

    @property
    def on_test(self) -> bool:
        """Whether these are cases of a test part."""
        return self.part.partition("_")[0] == "test"

    @property
    def description(self) -> dict[str, Any]:
        """The ``dataset.json`` that the model was trained with."""
        return dict(read_json(_existing(self.trained.model / "dataset.json")))

    @property
    def plans(self) -> dict[str, Any]:
        """The plans that the model was trained with.

        Raises:
            ValueError: If they are not there, or name pretrained weights that no training has loaded.
        """
        file = _existing(self.trained.model / "plans.json")
        plans = dict(read_json(file))
        refuse_pretrained(plans, file)
        return plans

    @property
    def annotated(self) -> AnnotatedClasses | None:
        """The table of the data set that says which classes each case is annotated for, if it has one."""
        folders = Folders.of_environment()
        return annotated_classes.find(folders.raw / self.dataset, folders.preprocessed / self.dataset, self.description)

    @property
    def columns(self) -> dict[str, Any]:
        """Columns of the long table that all rows of these predictions share."""
        return {
            "dataset": self.dataset,
            "configuration": self.configuration,
            "plans": self.plans_name,
            "trainer": self.trainer,
            "fold": self.fold,
            "run": self.run,
            "part": self.part,
        }

    def files(self) -> list[CaseFiles]:
        """Every case with its two label maps.

        Raises:
            ValueError: If the predicted cases are not those of the split, or a label is missing.
        """
        ending = self.description["file_ending"]
        hint = "" if self.on_test else "; is the validation finished, and the split file as it was?"
        cases = matched(self.folder, self._labels(ending), ending, chill=False, hint=hint)
        images = self._images([case.case for case in cases], ending)
        return [replace(case, image=images.get(case.case)) for case in cases]

    def _images(self, cases: Iterable[str], ending: str) -> dict[str, Path]:
        """The first channel of every case, if raw images are at hand."""
        folders = Folders.of_environment()
        folder = folders.raw / self.dataset
        with suppress(ValueError, OSError):
            source = Part(folders, self.dataset, "test" if self.on_test else VALIDATION, self.fold).source
            if source == "Tr" and "dataset" in folders.description(self.dataset):
                return {case: files.images[0] for case, files in folders.cases(self.dataset, source).items()}
            return {case: folder / f"images{source}" / f"{case}_0000{ending}" for case in cases}
        return {}

    def _labels(self, ending: str) -> dict[str, Path]:
        folders = Folders.of_environment()
        if self.on_test:
            part = Part(folders, self.dataset, "test", self.fold)
            part.check()
            return {case: files.label for case, files in part.cases().items() if files.label}
        prepared = labels_in(folders.preprocessed / self.dataset / "gt_segmentations", ending)
        if not prepared:
            raw = folders.cases(self.dataset, "Tr") if (folders.raw / self.dataset).is_dir() else {}
            prepared = {case: files.label for case, files in raw.items() if files.label}
        if not prepared:
            raise ValueError(
                f"labels of {self.dataset} are neither in gt_segmentations of {folders.preprocessed / self.dataset} "
                f"nor in {folders.raw / self.dataset}: are nnUNet_preprocessed and nnUNet_raw the right folders?"
            )
        if self.fold == "all":
            return prepared
        splits = folders.splits(self.dataset) or []
        if int(self.fold) >= len(splits):
            raise ValueError(f"{self.folder}: the split file of {self.dataset} has no fold {self.fold}")
        cases = splits[int(self.fold)]["val"]
        absent = [case for case in cases if case not in prepared]
        if absent:
            raise ValueError(f"{self.dataset} has no labels of {some(absent)}, which its split names")
        return {case: prepared[case] for case in cases}


def find(place: Path, *, part: str = VALIDATION, folds: Iterable[str] | None = None) -> list[Predictions]:
    """The predictions in one of nnU-Net's result folders.

    Args:
        place: Folder of a model, of one of its folds, or of a part within a fold.
        part: Part of the data, if ``place`` does not say which.
        folds: Folds to take; None for all.

    Raises:
        ValueError: If it is no such folder, or lacks a fold.
    """
    place = place.absolute()
    if not place.is_dir():
        raise ValueError(f"{place} is not there")
    if is_model(place):
        fold_folders = sorted(fold for fold in place.glob("fold_*") if fold.is_dir() and FOLD.fullmatch(fold.name))
        predictions = [Predictions(place, fold.name[len("fold_") :], part) for fold in fold_folders]
    elif FOLD.fullmatch(place.name) and is_model(place.parent):
        predictions = [Predictions(place.parent, place.name[len("fold_") :], part)]
    elif FOLD.fullmatch(place.parent.name) and is_model(place.parent.parent):
        predictions = [Predictions(place.parent.parent, place.parent.name[len("fold_") :], place.name)]
    else:
        raise ValueError(
            f"{place} is no result folder of nnU-Net: .../DatasetXXX_Name/TRAINER__PLANS__CONFIGURATION, one of its "
            "fold_X, or fold_X/validation; 'evaluate' takes any other folder together with that of its labels"
        )
    wanted = None if folds is None else set(folds)
    predictions = [prediction for prediction in predictions if wanted is None or prediction.fold in wanted]
    absent = sorted((wanted or set()) - {prediction.fold for prediction in predictions})
    if absent or not predictions:
        raise ValueError(f"{place} has no fold {some(absent) or 'at all'}")
    return predictions


def is_model(place: Path) -> bool:
    """Whether a folder is named as nnU-Net names a model's."""
    return len(place.name.split(SEPARATOR)) == len(MODEL_PARTS) and place.is_dir()


def run_of(trainer: str) -> int:
    """The number of the repetition that a trainer's name says.

    Examples:
        >>> run_of("nnUNetTrainer_5epochs_run3"), run_of("MyTrainer")
        (3, 1)
    """
    try:
        return parse(after_training.trained(trainer)).run
    except IllegalName:
        return 1


def labels_in(folder: Path, ending: str) -> dict[str, Path]:
    """The label maps in a folder, by case."""
    return {
        file.name[: -len(ending)]: file
        for file in sorted(folder.glob(f"*{ending}"))
        if file.is_file() and not file.name.startswith(".")
    }


def shared_ending(predictions: Path, labels: Path) -> str:
    """The only ending of nnU-Net's that the files of both folders have.

    Raises:
        ValueError: If there is none, or several.
    """
    endings = [[ending for ending in ENDINGS if labels_in(folder, ending)] for folder in (predictions, labels)]
    shared = [ending for ending in endings[0] if ending in endings[1]]
    if len(shared) == 1:
        return shared[0]
    if shared:
        raise ValueError(f"files of {predictions} and {labels} end in {some(shared)}: keep one format in each folder")
    for folder, own in zip((predictions, labels), endings, strict=True):
        if not own:
            raise ValueError(f"{folder} has no label maps: their names must end in {', '.join(ENDINGS)}")
    raise ValueError(
        f"predictions in {predictions} end in {some(endings[0])}, labels in {labels} in {some(endings[1])}: they must "
        "have the same format"
    )


def matched(folder: Path, truth: Mapping[str, Path], ending: str, *, chill: bool, hint: str = "") -> list[CaseFiles]:
    """Predictions with their labels.

    Args:
        folder: Folder of the predictions.
        truth: Label maps by case.
        ending: Ending of the files' names.
        chill: Whether labels without a prediction are left out, as with nnU-Net's ``--chill``.
        hint: Words for the end of a message, which say what may be the reason.

    Raises:
        ValueError: Naming the cases that only one side has.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is not there")
    predicted = labels_in(folder, ending)
    if not predicted:
        raise ValueError(f"{folder} has no predictions ending in {ending}")
    extra = [case for case in predicted if case not in truth]
    if extra:
        raise ValueError(f"{folder}: {len(extra)} predictions have no label: {some(extra)}{hint}")
    absent = [case for case in truth if case not in predicted]
    if absent and not chill:
        raise ValueError(f"{folder}: {len(absent)} of {len(truth)} cases are not predicted: {some(absent)}{hint}")
    return [CaseFiles(case, file, truth[case]) for case, file in predicted.items()]


def classes_of(description: Mapping[str, Any], regions: Iterable[str] = ()) -> Classes:
    """The classes of a ``dataset.json``, or unions of them."""
    classes = Classes.of(description)
    regions = list(regions)
    return classes.with_regions(regions) if regions else classes


def default_workers() -> int:
    """As many processes as nnU-Net would take, and no more than there are cores."""
    setting = os.environ.get(PROCESSES, "8")
    return max(1, min(int(setting) if setting.isdecimal() else 8, os.cpu_count() or 1))


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise ValueError(f"{file} is not there: is this a model that nnU-Net has trained?")
    return file
