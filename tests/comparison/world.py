"""nnU-Net's three folders with small data sets and what trainings leave behind, written in its formats."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813

SHAPE, SPACING = (6, 10, 12), (3.0, 0.8, 1.2)
LABELS = {"background": 0, "kidney": 1, "tumor": 2}
EPOCH_SECONDS = 12.5


def truth(case: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """A kidney with a tumour in it, elsewhere in each case."""
    labels = np.zeros(shape, np.uint8)
    labels[..., 1 + case % 3 : 7, 2:9] = 1
    labels[..., 3:5, 4 : 6 + case % 2] = 2
    return labels


def predicted(case: int, skill: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """The truth moved: the lower the skill, the further."""
    return np.roll(truth(case, shape), 3 - skill, axis=-1)


def write(file: Path, labels: np.ndarray, spacing: Sequence[float] = SPACING) -> Path:
    """Write a label map in the format of the file's ending."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".png":
        from skimage import io

        io.imsave(file, labels, check_contrast=False)
        return file
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing([float(step) for step in spacing[::-1]])
    sitk.WriteImage(image, str(file), True)
    return file


@dataclass
class World:
    """A data set with six cases and three folds.

    Attributes:
        root: Folder that holds nnU-Net's folders.
        dataset: Full name of the data set.
        ending: Ending of the label maps.
        labels: Labels of ``dataset.json``.
    """

    root: Path
    dataset: str = "Dataset007_Kidney"
    ending: str = ".nii.gz"
    labels: dict = None  # type: ignore[assignment]
    count: int = 6

    def __post_init__(self) -> None:
        self.labels = self.labels or LABELS
        self.shape = SHAPE[1:] if self.ending == ".png" else SHAPE
        for case in range(self.count):
            for folder in (self.raw / "labelsTr", self.preprocessed / "gt_segmentations"):
                write(folder / f"{self.case(case)}{self.ending}", truth(case, self.shape))
            channel = self.raw / "imagesTr" / f"{self.case(case)}_0000{self.ending}"
            write(channel, truth(case, self.shape))
        self.write_json(self.raw / "dataset.json", self.description)
        self.write_json(self.preprocessed / "dataset.json", self.description)
        self.write_splits()

    @property
    def variables(self) -> dict[str, str]:
        """nnU-Net's environment."""
        return {f"nnUNet_{name}": str(self.root / name) for name in ("raw", "preprocessed", "results")}

    @property
    def raw(self) -> Path:
        return self.root / "raw" / self.dataset

    @property
    def preprocessed(self) -> Path:
        return self.root / "preprocessed" / self.dataset

    @property
    def description(self) -> dict:
        return {
            "channel_names": {"0": "CT"},
            "labels": self.labels,
            "numTraining": self.count,
            "file_ending": self.ending,
        }

    @staticmethod
    def case(number: int) -> str:
        return f"case_{number}"

    def fold_cases(self, fold: int) -> list[int]:
        return list(range(self.count))[fold::3]

    def write_splits(self, shift: int = 0) -> None:
        """nnU-Net's split file."""
        splits = []
        for fold in range(3):
            validation = [self.case((case + shift) % self.count) for case in self.fold_cases(fold)]
            training = [self.case(case) for case in range(self.count) if self.case(case) not in validation]
            splits.append({"train": training, "val": validation})
        self.write_json(self.preprocessed / "splits_final.json", splits)

    def model(self, trainer: str = "nnUNetTrainer", plans: str = "nnUNetPlans", configuration: str = "3d") -> Path:
        """The folder of a model."""
        return self.root / "results" / self.dataset / f"{trainer}__{plans}__{configuration}"

    def train(
        self, trainer: str = "nnUNetTrainer", *, skill: int = 2, folds: Sequence[int] = (0, 1, 2), **names: str
    ) -> Path:
        """What a training leaves behind; the skill is between 0 and 3."""
        model = self.model(trainer, **names)
        plans = {"plans_name": "nnUNetPlans", "dataset_name": self.dataset, "configurations": {"3d": {"batch_size": 2}}}
        self.write_json(model / "plans.json", plans)
        self.write_json(model / "dataset.json", self.description)
        for fold in folds:
            folder = model / f"fold_{fold}"
            for case in self.fold_cases(fold):
                file = folder / "validation" / f"{self.case(case)}{self.ending}"
                write(file, predicted(case, skill, self.shape))
            self.write_json(folder / "validation" / "summary.json", {})
            self.write_json(folder / "debug.json", {"num_epochs": "2", "torch_version": "2.0"})
            with zipfile.ZipFile(folder / "checkpoint_final.pth", "w") as checkpoint:
                checkpoint.writestr("data.pkl", b"")
            held = len(self.fold_cases(fold))
            split = f"This split has {self.count - held} training and {held} validation cases."
            lines = [f"2026-01-01 00:00:00.0: {split}"]
            lines += [f"2026-01-01 00:00:0{epoch}.0: Epoch time: {EPOCH_SECONDS + epoch} s" for epoch in range(2)]
            (folder / "training_log_2026_01_01_00_00_00.txt").write_text("\n".join(lines))
        return model

    def predict_nothing(self, trainer: str) -> Path:
        """A training after which the model says background everywhere."""
        model = self.train(trainer)
        for file in model.glob(f"fold_*/validation/*{self.ending}"):
            write(file, np.zeros(self.shape, np.uint8))
        return model

    @staticmethod
    def write_json(file: Path, content: object) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))
