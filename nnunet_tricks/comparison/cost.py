"""What a method has cost: times from nnU-Net's log, memory and time per case where a queue recorded them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from nnunet_tricks.catalogue import after_training
from nnunet_tricks.catalogue.naming import IllegalName, parse
from nnunet_tricks.comparison.folders import SEPARATOR, Predictions
from nnunet_tricks.experiment.inference_cells import RECORD
from nnunet_tricks.experiment.record import Record
from nnunet_tricks.nnunet.folders import STATE, is_json, read_json
from nnunet_tricks.nnunet.training_log import logs_of

EPOCH = re.compile(r"Epoch time: (\d+(?:\.\d+)?) s")
BEGUN = re.compile(r":\s+Epoch (\d+)\s*$", re.MULTILINE)
BEGUN_OR_TIMED = re.compile(f"{BEGUN.pattern}|{EPOCH.pattern}", re.MULTILINE)

UNEVEN = {"sampling.size", "stopping"}
"""Hooks of tricks with which a training does not take its number of epochs times the time of one."""


@dataclass(frozen=True)
class Cost:
    """What all trainings of a method have cost.

    Attributes:
        epoch: Median seconds per epoch, over the trainings of all members of an ensemble; None if no log says.
        memory: Highest peak of a training's processes in bytes; None if it is not recorded.
        device_memory: Highest peak on a GPU in bytes; None if it is not recorded.
        case: Mean seconds of the commands that predict a case, that of all members of an ensemble; None if a queue did
            not record one of them, such as the validation that follows a training.
        training: Mean seconds of all epochs of a training, that of all members of an ensemble; None if the logs do not
            say, or were not asked.
    """

    epoch: float | None = None
    memory: int | None = None
    device_memory: int | None = None
    case: float | None = None
    training: float | None = None


def is_uneven(trainers: Iterable[str]) -> bool:
    """Whether the time of an epoch does not tell what these trainings cost, so that all of it must be counted.

    Examples:
        >>> is_uneven(["nnUNetTrainer", "nnUNetTrainerGrowingPatch"]), is_uneven(["nnUNetTrainer", "Mine"])
        (True, False)
    """
    hooks: set[str] = set()
    for trainer in trainers:
        with suppress(IllegalName):
            hooks |= {hook for trick in parse(after_training.trained(trainer)).tricks for hook in trick.info.hooks}
    return bool(hooks & UNEVEN)


def cost(predictions: Iterable[Predictions], *, whole: bool = False) -> Cost:
    """What the trainings behind some predictions have cost.

    Args:
        predictions: Predictions of a method.
        whole: Whether to count the time of whole trainings, too.
    """
    epochs: list[float] = []
    wholes: list[float | None] = []
    records = []
    times = []
    for prediction in predictions:
        times.append(_seconds_per_case(prediction.folder, str(prediction.description["file_ending"])))
        trainings = _trainings(prediction.folder)
        members = [_seconds_of(training) for training in trainings] if whole else []
        wholes.append(sum(filter(None, members)) if members and None not in members else None)
        for training in trainings:
            for log in sorted(training.glob("training_log_*.txt")):
                epochs += map(float, EPOCH.findall(log.read_text(encoding="utf-8", errors="replace")))
            records.append(_record_of(training))
    memories = [record.memory for record in records if record.memory]
    on_device = [record.device_memory for record in records if record.device_memory]
    known = [time for time in times if time is not None]
    return Cost(
        median(epochs) if epochs else None,
        max(memories, default=None),
        max(on_device, default=None),
        fmean(known) if known and len(known) == len(times) else None,
        fmean(filter(None, wholes)) if wholes and None not in wholes else None,
    )


def _seconds_of(training: Path) -> float | None:
    """Seconds of all epochs of a training; None unless the logs have each. What was trained again counts once."""
    seconds: dict[int, float] = {}
    for log in logs_of(training):
        epoch = None
        for begun, timed in BEGUN_OR_TIMED.findall(log.read_text(encoding="utf-8", errors="replace")):
            if begun:
                epoch = int(begun)
            elif epoch is not None:
                seconds[epoch] = float(timed)
    return sum(seconds.values()) if seconds and len(seconds) == max(seconds) + 1 else None


def _seconds_per_case(folder: Path, ending: str) -> float | None:
    """Seconds that the commands behind a folder of predictions took for a case, with their start."""
    place = folder.parent
    states = place.parent.parent.parent / STATE / place.parent.parent.name / place.parent.name / place.name
    records = [Record.read(states / f"{verb}_{folder.name}") for verb in ("predict", "ensemble", "postprocess")]
    own = next((record.seconds for record in records if record.attempts), None)
    cases = sum(1 for _ in folder.glob(f"[!.]*{ending}"))
    times = [None if own is None or not cases else own / cases]
    times += [_seconds_per_case(source, ending) for source in _sources(folder)]
    known = [time for time in times if time is not None]
    return sum(known) if len(known) == len(times) else None


def _sources(folder: Path) -> list[Path]:
    """Folders of predictions that a folder was made from: members of an ensemble, or what was post-processed."""
    noted = folder / RECORD
    settings = read_json(noted).get("settings", {}) if is_json(noted) else {}
    return [Path(source) for source in [*settings.get("members", ()), *([settings["of"]] if "of" in settings else [])]]


def _trainings(folder: Path) -> list[Path]:
    """Folders of the trainings behind a folder of predictions, one for each fold and model."""
    sources = _sources(folder)
    if sources:
        return list(dict.fromkeys(training for source in sources for training in _trainings(source)))
    fold = folder.parent
    trainer, separator, rest = fold.parent.name.partition(SEPARATOR)
    return [fold.parent.with_name(after_training.trained(trainer) + separator + rest) / fold.name]


def record_of(prediction: Predictions) -> Record:
    """What a queue has recorded of the training behind predictions; an empty record if there was no queue."""
    return _record_of(prediction.trained.fold_folder)


def _record_of(training: Path) -> Record:
    model = training.parent
    return Record.read(model.parent.parent / STATE / model.parent.name / model.name / training.name / "train")
