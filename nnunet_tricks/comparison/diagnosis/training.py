"""What nnU-Net has left of a training: log, settings, classes and the scores of its validation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnunet_tricks.nnunet import training_log
from nnunet_tricks.nnunet.classes import Classes
from nnunet_tricks.nnunet.folders import read_json
from nnunet_tricks.nnunet.training_log import LoggedEpoch, LoggedTraining

CHECKPOINTS = ("checkpoint_final.pth", "checkpoint_latest.pth", "checkpoint_best.pth")

RATE = "initial_lr"


@dataclass(frozen=True)
class ClassScore:
    """How a class was predicted in the validation cases.

    Attributes:
        dice: Mean over cases, as nnU-Net writes it; NaN if no case has the class and none was predicted.
        true: Voxels that were found.
        false: Voxels that were predicted and are none.
        missed: Voxels that were not found.
    """

    dice: float
    true: int
    false: int
    missed: int

    @property
    def pooled(self) -> float:
        """Dice over the voxels of all cases together, as pseudo Dice is computed."""
        whole = 2 * self.true + self.false + self.missed
        return 2 * self.true / whole if whole else float("nan")


@dataclass(frozen=True)
class Training:
    """A training as nnU-Net left it.

    Attributes:
        folder: Folder ``fold_X``.
        log: Log of its epochs.
        source: Name of the file that the epochs are from.
        names: Names of the classes, in the order of the log; empty if ``dataset.json`` is missing.
        description: Content of ``dataset.json``.
        plans: Content of ``plans.json``.
        settings: Content of ``debug.json``: what the trainer's attributes were when the training began.
        scores: Scores of the full validation, by class.
        finished: Whether there is a final checkpoint.
    """

    folder: Path
    log: LoggedTraining
    source: str = ""
    names: tuple[str, ...] = ()
    description: Mapping[str, Any] = field(default_factory=dict)
    plans: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, ClassScore] = field(default_factory=dict)
    finished: bool = False

    @property
    def epochs(self) -> tuple[LoggedEpoch, ...]:
        """Epochs of the log."""
        return self.log.epochs

    @property
    def fold(self) -> str:
        """Fold as nnU-Net's command takes it."""
        return self.folder.name.removeprefix("fold_")

    @property
    def trainer(self) -> str:
        """Name of the trainer."""
        return self.folder.parent.name.partition("__")[0]

    @property
    def planned_epochs(self) -> int | None:
        """Number of epochs that the training was to have, if ``debug.json`` says."""
        return self.number("num_epochs")

    @property
    def momentum(self) -> float | None:
        """Momentum of the optimizer, if it has one."""
        match = re.search(r"momentum: ([\d.]+)", self.text("optimizer"))
        return float(match[1]) if match else None

    def text(self, key: str) -> str:
        """What ``debug.json`` says of an attribute; empty if it does not."""
        return str(self.settings.get(key, ""))

    def number(self, key: str) -> int | None:
        """A whole number of ``debug.json``; None if it has none."""
        text = self.text(key)
        return int(text) if re.fullmatch(r"\d+", text) else None

    def decimal(self, key: str) -> float | None:
        """A number of ``debug.json``; None if it has none."""
        try:
            return float(self.text(key))
        except ValueError:
            return None

    def name(self, index: int) -> str:
        """Name of the class at a place of the log's lists."""
        return self.names[index] if index < len(self.names) else f"class {index + 1}"


def folds_of(folder: Path, folds: Sequence[str] = ()) -> list[Path]:
    """The fold folders of a model folder.

    Args:
        folder: Folder ``<trainer>__<plans>__<configuration>``, or one of its folds.
        folds: Folds to take; every fold that is there if not given.

    Raises:
        ValueError: If it is no model folder, or a fold is not there.
    """
    if folder.name.startswith("fold_") and folder.is_dir() and not folds:
        return [folder]
    present = sorted(path for path in folder.glob("fold_*") if path.is_dir())
    if not present:
        below = sorted({path.parent for path in folder.glob("*/fold_*") if path.is_dir()})
        instead = f": give one of {', '.join(map(str, below))}" if below else ""
        raise ValueError(f"{folder} is no model folder of nnU-Net, it has no fold_X{instead}")
    missing = [fold for fold in folds if folder / f"fold_{fold}" not in present]
    if missing:
        known = ", ".join(path.name.removeprefix("fold_") for path in present)
        raise ValueError(f"{folder} has no fold_{missing[0]}: there are {known}")
    return [folder / f"fold_{fold}" for fold in folds] if folds else present


def read(fold_folder: Path) -> Training:
    """Read what nnU-Net has left of a training.

    Args:
        fold_folder: Folder ``fold_X``.

    Raises:
        ValueError: If neither a log nor a checkpoint tells of the training.
    """
    model = fold_folder.parent
    description = _object(model / "dataset.json")
    log, source = _log(fold_folder)
    return Training(
        folder=fold_folder,
        log=log,
        source=source,
        names=class_names(description),
        description=description,
        plans=_object(model / "plans.json"),
        settings=_object(fold_folder / "debug.json"),
        scores=_scores(fold_folder / "validation" / "summary.json", description),
        finished=(fold_folder / CHECKPOINTS[0]).is_file(),
    )


def class_names(description: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the classes in the order of nnU-Net's lists: by label, and regions as ``dataset.json`` has them.

    Examples:
        >>> class_names({"labels": {"background": 0, "tumor": 2, "kidney": 1}})
        ('kidney', 'tumor')
    """
    if "labels" not in description:
        return ()
    values = Classes.of(description).values
    if any(len(labels) > 1 for labels in values.values()):
        return tuple(values)
    return tuple(sorted(values, key=lambda name: values[name]))


def _log(folder: Path) -> tuple[LoggedTraining, str]:
    logs = training_log.logs_of(folder)
    if logs:
        return training_log.of_folder(folder), logs[-1].name
    checkpoints = [folder / name for name in CHECKPOINTS if (folder / name).is_file()]
    if not checkpoints:
        raise ValueError(
            f"{folder} has neither a training_log_*.txt nor a checkpoint, so nothing tells how the training went"
        )
    # Only here: torch takes seconds to import.
    from nnunet_tricks.nnunet import checkpoint

    advice = "diagnose opens data only; give the folder with nnU-Net's training_log_*.txt"
    content = checkpoint.read(checkpoints[0], advice=advice)
    logging = content.get("logging")
    epochs = training_log.of_checkpoint(logging if isinstance(logging, Mapping) else {})
    if not epochs:
        raise ValueError(f"{checkpoints[0]} holds no log, and {folder} has no training_log_*.txt")
    return LoggedTraining(epochs, epochs[-1].number), checkpoints[0].name


def _object(file: Path) -> dict[str, Any]:
    """Content of a JSON file, or nothing if a killed training has not written it whole."""
    try:
        content = read_json(file) if file.is_file() else {}
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _scores(file: Path, description: Mapping[str, Any]) -> dict[str, ClassScore]:
    means = _object(file).get("mean")
    if not isinstance(means, dict) or "labels" not in description:
        return {}
    classes, cases = Classes.of(description), _object(file).get("metric_per_case", [])
    scores = {}
    for name in classes.values:
        mean = means.get(classes.key(name))
        if not isinstance(mean, dict):
            continue
        counts = [case["metrics"].get(classes.key(name), {}) for case in cases]
        true, false, missed = (sum(int(count.get(key, 0)) for count in counts) for key in ("TP", "FP", "FN"))
        scores[name] = ClassScore(float(mean.get("Dice", "nan")), true, false, missed)
    return scores
