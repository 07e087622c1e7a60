"""Predictions of unseen cases and the truth: scores, and slices to look at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.demo.scores import Scores, mean_scores, scores_of
from nnunet_tricks.demo.setting import DemoSetting
from nnunet_tricks.nnunet.classes import Classes

CT_WINDOW = (-160.0, 240.0)
"""Window for soft tissue, in HU."""


@dataclass(frozen=True)
class Slice:
    """A slice of a case, for the picture.

    Attributes:
        case: Identifier of the case.
        image: Grey values or RGB in [0, 1].
        labels: Truth and each trainer's prediction.
        scores: Scores of each trainer and class, in the whole case.
        aspect: Height of a pixel divided by its width.
    """

    case: str
    image: NDArray[np.float64]
    labels: Mapping[str, NDArray[np.generic]]
    scores: Mapping[str, Mapping[str, Scores]]
    aspect: float


@dataclass(frozen=True)
class Results:
    """Results of a demo.

    Attributes:
        classes: Classes to segment.
        slices: One slice of each unseen case.
    """

    classes: Classes
    slices: tuple[Slice, ...]

    @property
    def scores(self) -> dict[str, dict[str, dict[str, float | None]]]:
        """Mean scores by trainer, class and score; None where a score is undefined in every case."""
        return {
            trainer: mean_scores([case.scores[trainer] for case in self.slices]) for trainer in self.slices[0].scores
        }


def read(setting: DemoSetting) -> Results:
    """Compare the predictions with the truth."""
    from nnunetv2.imageio.reader_writer_registry import recursive_find_reader_writer_by_name

    dataset = json.loads((setting.raw / "dataset.json").read_text(encoding="utf-8"))
    plans = json.loads(setting.plans.read_text(encoding="utf-8"))
    reader = recursive_find_reader_writer_by_name(plans["image_reader_writer"])()
    classes, ending = Classes.of(dataset), dataset["file_ending"]
    slices = []
    for file in sorted((setting.raw / "labelsTs").glob(f"*{ending}")):
        case = file.name[: -len(ending)]
        images = sorted(str(image) for image in (setting.raw / "imagesTs").glob(f"{case}_[0-9][0-9][0-9][0-9]{ending}"))
        labels = {"truth": _labels(reader, file)}
        labels |= {trainer: _labels(reader, setting.predictions(trainer) / file.name) for trainer in setting.trainers}
        image, properties = reader.read_images(images)
        spacing = properties["spacing"]
        chosen = _most_telling(labels["truth"], classes)
        slices.append(
            Slice(
                case,
                _shown(image, chosen, dataset["channel_names"]),
                {name: volume[chosen] for name, volume in labels.items()},
                {trainer: scores_of(labels[trainer], labels["truth"], classes) for trainer in setting.trainers},
                float(spacing[1] / spacing[2]),
            )
        )
    return Results(classes, tuple(slices))


def _labels(reader: Any, file: Path) -> NDArray[np.generic]:
    """A label map with axes z, y, x; 2D images have one slice."""
    volume: NDArray[np.generic] = reader.read_seg(str(file))[0][0]
    return volume


def _most_telling(truth: NDArray[np.generic], classes: Classes) -> int:
    """The slice with the largest area of the rarest class of the case."""
    areas = [np.isin(truth, values).sum(axis=(1, 2)) for values in classes.values.values()]
    present = [area for area in areas if area.any()]
    return int(np.argmax(min(present, key=lambda area: int(area.sum())))) if present else len(truth) // 2


def _shown(image: NDArray[np.float32], index: int, channels: Mapping[str, str]) -> NDArray[np.float64]:
    """A slice as it is drawn: CT in a soft-tissue window, other images between their own percentiles."""
    plane = np.asarray(image[:, index], dtype=np.float64)
    if len(plane) == 3 and len(image[0]) == 1:
        return np.clip(np.moveaxis(plane, 0, -1) / max(255.0, plane.max()), 0, 1)
    low, high = CT_WINDOW if str(channels["0"]).lower() == "ct" else np.percentile(plane[0], (1, 99))
    return np.clip((plane[0] - low) / max(high - low, 1e-6), 0, 1)
