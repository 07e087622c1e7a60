"""The data set that labels are added to, read and checked before anything is predicted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_tricks.annotation import labels as label_values
from nnunet_tricks.nnunet.folders import Case, Folders, read_json
from nnunet_tricks.tricks.inference.members import READER, TURNING, read_labels
from nnunet_tricks.tricks.semisupervised.growing.protocol import ALL, check_model
from nnunet_tricks.tricks.semisupervised.growing.settings import GrowSettings
from nnunet_tricks.tricks.semisupervised.growing.unlabelled import images_without_labels
from nnunet_tricks.utilities.progress import shown
from nnunet_tricks.utilities.wording import some


@dataclass(frozen=True)
class GrowSource:
    """The data set that labels are added to.

    Attributes:
        name: Full name.
        description: Content of ``dataset.json``, with an ignore label.
        cases: Training cases.
        unlabelled: Images without a label, by case.
        splits: Folds.
        partly: Training cases with voxels that nobody annotated, and the number of these.
        reader: nnU-Net's reader.
        preprocessed: Folder of preprocessed data.
    """

    name: str
    description: dict[str, Any]
    cases: dict[str, Case]
    unlabelled: dict[str, Case]
    splits: list[dict[str, list[str]]]
    partly: dict[str, int]
    reader: Any
    preprocessed: Path

    @classmethod
    def read(cls, folders: Folders, dataset: str, settings: GrowSettings) -> GrowSource:
        """Read a data set, and refuse what could not work.

        Raises:
            ValueError: With the reason.
        """
        name = folders.dataset(dataset)
        if not (folders.raw / name).is_dir():
            raise ValueError(f"{name} is not in {folders.raw}, and labels are added to raw data")
        description = folders.description(name)
        if label_values.IGNORE not in description["labels"] and settings.images is None:
            raise ValueError(
                f"{name} has no ignore label, so each voxel is annotated and there is nothing to add: give images "
                "without labels with --images"
            )
        description["labels"] = label_values.with_ignore(description["labels"])
        splits = folders.splits(name)
        if splits is None:
            raise ValueError(
                f"{name} has no splits_final.json, so nobody knows which cases the models were trained on: train the "
                "folds first"
            )
        if not settings.models:
            raise ValueError("no model is given: name model folders with -m, or -tr, -p and -c")
        repeated = [model for at, model in enumerate(settings.models) if model in settings.models[:at]]
        if repeated:
            raise ValueError(f"{repeated[0]} is given twice: it would agree with itself")
        for model in settings.models:
            check_model(model, settings.checkpoint, name, description, splits)
        plans = [read_json(model / "plans.json") for model in settings.models]
        readers = {str(content[READER]) for content in plans}
        if len(readers) > 1 and TURNING in readers:
            raise ValueError(
                f"the models read images differently ({', '.join(sorted(readers))}): give models of one kind"
            )
        cases = folders.cases(name, "Tr")
        without = [case for case, files in cases.items() if files.label is None]
        if without or not cases:
            raise ValueError(
                f"{name} has no label map of {some(without) or 'any case'}: move images without one to imagesUn"
            )
        reader = PlansManager(plans[0]).image_reader_writer_class()
        ignore = int(description["labels"][label_values.IGNORE])
        counted = {
            case: int((read_labels(reader, files.label)[0] == ignore).sum())
            for case, files in shown(cases.items(), "Looking for voxels without a label", len(cases))
            if files.label
        }
        partly = {case: count for case, count in counted.items() if count}
        unlabelled = images_without_labels(folders, name, description, cases, settings.images)
        if not partly and not unlabelled:
            raise ValueError(f"no voxel of {name} has the ignore label: there is nothing to add")
        return cls(name, description, cases, unlabelled, splits, partly, reader, folders.preprocessed / name)

    @property
    def ignore(self) -> int:
        """Value of voxels that nobody annotated."""
        return int(self.description["labels"][label_values.IGNORE])

    @property
    def ending(self) -> str:
        """Ending of its files."""
        return str(self.description["file_ending"])

    def files(self, case: str) -> Case:
        """The files of a case, with or without a label."""
        return self.cases.get(case) or self.unlabelled[case]

    def targets(self, fold: str) -> list[str]:
        """Cases that get labels for a fold: training cases that are annotated in part, and images without a label."""
        training = self.cases if fold == ALL else self.splits[int(fold)]["train"]
        return [*(case for case in sorted(training) if case in self.partly), *self.unlabelled]
