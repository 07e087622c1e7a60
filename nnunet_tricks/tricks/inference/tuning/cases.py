"""The validation cases of a model, read and measured."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_tricks.comparison.folders import Predictions
from nnunet_tricks.nnunet.classes import Classes
from nnunet_tricks.tricks.inference.members import read_labels, read_probabilities
from nnunet_tricks.tricks.inference.thresholds import logit_shifts
from nnunet_tricks.tricks.inference.tuning.overlap import ClassOverlap, Floats, dice, overlaps
from nnunet_tricks.tricks.inference.tuning.settings import TunedSettings
from nnunet_tricks.tricks.postprocessing.planned import planned_steps


@dataclass(frozen=True)
class ValidationCase:
    """A case that was predicted by the fold that had not trained on it.

    Attributes:
        case: Its name.
        fold: The fold.
        prediction: The segmentation; its probabilities lie beside it.
        truth: The label map.
    """

    case: str
    fold: str
    prediction: Path
    truth: Path

    @property
    def probabilities(self) -> Path:
        """The file of its probabilities."""
        return self.prediction.with_name(f"{self.case}.npz")


def validation_cases(predictions: Sequence[Predictions]) -> list[ValidationCase]:
    """The cases of a model's folds.

    Raises:
        ValueError: If a case has no probabilities.
    """
    cases = [
        ValidationCase(files.case, part.fold, files.prediction, files.truth)
        for part in predictions
        for files in part.files()
    ]
    for case in cases:
        file = case.probabilities
        if not file.is_file():
            raise ValueError(
                f"{file} is missing: validate all folds with probabilities, 'nnUNetv2_train ... --val --npz'"
            )
    return cases


@dataclass(frozen=True)
class ValidationReader:
    """Reads cases; travels to other processes.

    Attributes:
        description: Content of ``dataset.json``.
        plans: Content of ``plans.json``.
    """

    description: dict[str, Any]
    plans: dict[str, Any]

    def overlaps(self, case: ValidationCase) -> dict[str, ClassOverlap]:
        """Count the voxels of a case."""
        probabilities, segmentation, truth, _ = self.read(case)
        classes = Classes.of(self.description)
        regions = bool(self.description.get("regions_class_order"))
        return overlaps(
            probabilities, segmentation, truth, dict(classes.values), regions=regions, ignore=classes.ignore
        )

    def dice_with(self, work: tuple[ValidationCase, TunedSettings]) -> Floats:
        """Dice of each class of a case with other settings."""
        case, settings = work
        probabilities, segmentation, truth, voxel = self.read(case)
        classes = Classes.of(self.description)
        if settings.thresholds:
            segmentation = self._segmented(probabilities, settings.thresholds, list(classes.values))
        for step in planned_steps(settings.steps, self.description):
            segmentation = step(segmentation, voxel)
        counted = truth != classes.ignore if classes.ignore is not None else np.ones(truth.shape, bool)
        found = [np.isin(segmentation, labels) & counted for labels in classes.values.values()]
        wanted = [np.isin(truth, labels) for labels in classes.values.values()]
        hits = [int((mask & there).sum()) for mask, there in zip(found, wanted, strict=True)]
        return dice(np.array(hits), np.array([m.sum() for m in found]), np.array([m.sum() for m in wanted]))

    def _segmented(
        self, probabilities: npt.NDArray[np.float32], thresholds: Mapping[str, float], names: list[str]
    ) -> npt.NDArray[Any]:
        # nnU-Net says on stdout that old plans name no label manager, and a script reads our JSON there.
        with redirect_stdout(io.StringIO()):
            manager = PlansManager(self.plans).get_label_manager(self.description)
        values = Classes.of(self.description).values
        outputs = names if manager.has_regions else ["background", *sorted(names, key=lambda name: values[name])]
        shifts = np.array(logit_shifts(thresholds, outputs, regions=manager.has_regions), np.float32)
        shifts = shifts.reshape(-1, *[1] * (probabilities.ndim - 1))
        clipped = np.clip(probabilities, 1e-7, 1 - 1e-7)
        logits = np.log(clipped) - (np.log1p(-clipped) if manager.has_regions else 0)
        return np.asarray(manager.convert_logits_to_segmentation((logits + shifts).astype(np.float32)))

    def read(self, case: ValidationCase) -> tuple[npt.NDArray[np.float32], npt.NDArray[Any], npt.NDArray[Any], float]:
        """Probabilities, segmentation and label map of a case, and the volume of its voxels in mm^3."""
        reader = PlansManager(self.plans).image_reader_writer_class()
        segmentation, properties = read_labels(reader, case.prediction)
        truth, _ = read_labels(reader, case.truth)
        probabilities = read_probabilities(case.probabilities)
        classes = Classes.of(self.description)
        outputs = len(classes.values) + (not self.description.get("regions_class_order"))
        if len(probabilities) != outputs:
            raise ValueError(
                f"{case.probabilities} has {len(probabilities)} classes, and dataset.json {outputs}: they are of "
                "different models"
            )
        for name, shape in (("probabilities", probabilities.shape[1:]), ("label map", truth.shape)):
            if shape != segmentation.shape:
                raise ValueError(
                    f"{case.prediction} has the shape {segmentation.shape}, and its {name} {shape}: they are not of "
                    "the same image"
                )
        return probabilities, segmentation, truth, float(np.prod(properties["spacing"]))
