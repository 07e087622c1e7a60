"""Settings of a demo, and the places of its files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nnunet_tricks.catalogue.naming import DEFAULT_EPOCHS, model_folder, parse
from nnunet_tricks.demo import source as any_source
from nnunet_tricks.demo.raw_data import NAME
from nnunet_tricks.nnunet.plans_file import DEFAULT_PLANS

BASELINE = "nnUNetTrainer"
FOLD = "0"


@dataclass(frozen=True, kw_only=True)
class DemoSetting:
    """Settings of a demo.

    Attributes:
        out: Folder for everything.
        trainers: Full names of trainers, the baseline first.
        source: Raw data set to use instead of phantoms; None for phantoms.
        configuration: Configuration to make small.
        train: Number of cases to train on; 0 for all.
        unseen: Number of cases to predict.
        patch: Patch size of the small configuration; empty for the default.
        device: nnU-Net's ``-device``.
    """

    out: Path
    trainers: tuple[str, ...]
    source: Path | None = None
    configuration: str = "3d_fullres"
    train: int = 10
    unseen: int = 4
    patch: tuple[int, ...] = (16, 32, 32)
    device: str = "cpu"

    @property
    def decisive(self) -> dict[str, Any]:
        """Settings that must stay the same when a demo goes on."""
        return {
            "trainers": list(self.trainers),
            "source": str(self.source) if self.source else "phantoms",
            "train": self.train,
            "unseen": self.unseen,
            "patch": list(self.patch),
            "configuration": self.configuration,
        }

    @property
    def dataset(self) -> str:
        """``DatasetXXX_Name``."""
        return any_source.name_of(self.source) if self.source else NAME

    @property
    def small(self) -> str:
        """The configuration that is trained."""
        return f"{self.configuration}_small"

    @property
    def processes(self) -> int:
        """Number of processes that nnU-Net may start; starting one takes longer than preprocessing the phantoms."""
        return 1 if self.source is None and self.device == "cpu" else min(os.cpu_count() or 1, 8)

    @property
    def number(self) -> str:
        """The number for nnU-Net's ``-d``, where it takes no name."""
        return str(int(self.dataset[len("Dataset") :].partition("_")[0]))

    @property
    def raw(self) -> Path:
        """The raw data set."""
        return self.out / "raw" / self.dataset

    @property
    def preprocessed(self) -> Path:
        """The preprocessed data set."""
        return self.out / "preprocessed" / self.dataset

    @property
    def plans(self) -> Path:
        """The plans file."""
        return self.preprocessed / f"{DEFAULT_PLANS}.json"

    def predictions(self, trainer: str) -> Path:
        """Folder of a trainer's predictions of the unseen cases."""
        return self.out / "predictions" / trainer

    def model(self, trainer: str) -> Path:
        """Folder of a trainer's model."""
        return self.out / "results" / self.dataset / model_folder(trainer, DEFAULT_PLANS, self.small)


def with_epochs(names: Sequence[str], epochs: int) -> tuple[str, ...]:
    """Trainers' full names, the baseline first.

    Args:
        names: Names without epochs.
        epochs: Number of epochs of all.

    Raises:
        ValueError: If a name is not legal or contains epochs, or the number is below 1.

    Examples:
        >>> with_epochs(["nnUNetTrainerTversky"], 6)
        ('nnUNetTrainer_6epochs', 'nnUNetTrainerTversky_6epochs')
    """
    if epochs < 1:
        raise ValueError(f"--epochs must be at least 1, got {epochs}")
    plain = [str(replace(parse(name), epochs=DEFAULT_EPOCHS)) for name in names]
    for name, bare in zip(names, plain, strict=True):
        if name != bare:
            raise ValueError(
                f"{name} contains a number of epochs: write {bare}, and --epochs, which is the same for all"
            )
    full = [str(replace(parse(name), epochs=epochs)) for name in (BASELINE, *names)]
    return tuple(dict.fromkeys(full))
