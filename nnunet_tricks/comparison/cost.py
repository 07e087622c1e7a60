"""What a training has cost: time per epoch from nnU-Net's log, memory where a queue has recorded it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from nnunet_tricks.comparison.folders import Predictions
from nnunet_tricks.experiment.record import Record
from nnunet_tricks.nnunet.folders import STATE

EPOCH = re.compile(r"Epoch time: (\d+(?:\.\d+)?) s")


@dataclass(frozen=True)
class Cost:
    """What all trainings of a method have cost.

    Attributes:
        epoch: Median seconds per epoch; None if no log says.
        memory: Highest peak of a training's processes in bytes; None if it is not recorded.
        device_memory: Highest peak on a GPU in bytes; None if it is not recorded.
    """

    epoch: float | None = None
    memory: int | None = None
    device_memory: int | None = None


def cost(predictions: Iterable[Predictions]) -> Cost:
    """What the trainings behind some predictions have cost."""
    epochs: list[float] = []
    records = []
    for prediction in predictions:
        for log in sorted(prediction.fold_folder.glob("training_log_*.txt")):
            epochs += map(float, EPOCH.findall(log.read_text(encoding="utf-8", errors="replace")))
        records.append(record_of(prediction))
    memories = [record.memory for record in records if record.memory]
    on_device = [record.device_memory for record in records if record.device_memory]
    return Cost(median(epochs) if epochs else None, max(memories, default=None), max(on_device, default=None))


def record_of(prediction: Predictions) -> Record:
    """What a queue has recorded of the training behind predictions; an empty record if there was no queue."""
    states = prediction.model.parent.parent / STATE
    name = prediction.fold_folder.name
    return Record.read(states / prediction.dataset / prediction.model.name / name / "train")
