"""What a demo does, and where its files are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nnunet_tricks.catalogue.naming import DEFAULT_EPOCHS, parse
from nnunet_tricks.demo import source as any_source
from nnunet_tricks.demo.raw_data import NAME
from nnunet_tricks.nnunet.plans_file import DEFAULT_PLANS

BASELINE = "nnUNetTrainer"
FOLD = "0"


@dataclass(frozen=True, kw_only=True)
class DemoSetting:
    """What a demo does.

    Attributes:
        out: Folder for everything.
        trainers: Full names, the baseline first.
        source: A raw data set instead of phantoms.
        configuration: Which one to make small.
        train: Number of cases to train on; 0 for all that there are.
        unseen: Number of cases to predict.
        patch: Patch size of the small configuration; empty for its own choice.
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
        """What a demo that was begun must not change."""
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
        """How many nnU-Net may start for one purpose. To start one takes longer than to preprocess the phantoms."""
        return 1 if self.source is None and self.device == "cpu" else min(os.cpu_count() or 1, 8)

    @property
    def number(self) -> str:
        """nnU-Net's ``-d``, where it takes no name."""
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
        """Where a trainer's predictions of the unseen cases are."""
        return self.out / "predictions" / trainer

    def model(self, trainer: str) -> Path:
        """Where nnU-Net puts a trainer's model."""
        return self.out / "results" / self.dataset / f"{trainer}__{DEFAULT_PLANS}__{self.small}"


def with_epochs(names: Sequence[str], epochs: int) -> tuple[str, ...]:
    """Trainers' full names, the baseline first.

    Args:
        names: Without their epochs.
        epochs: The same for all.

    Raises:
        ValueError: If a name is not legal, or the epochs are none.

    Examples:
        >>> with_epochs(["nnUNetTrainerTversky"], 6)
        ('nnUNetTrainer_6epochs', 'nnUNetTrainerTversky_6epochs')
    """
    if epochs < 1:
        raise ValueError(f"epochs is {epochs}, and a training has at least 1")
    plain = [str(replace(parse(name), epochs=DEFAULT_EPOCHS)) for name in names]
    for name, bare in zip(names, plain, strict=True):
        if name != bare:
            raise ValueError(f"{name} says how many epochs: name it {bare} and give --epochs, the same for all")
    full = [str(replace(parse(name), epochs=epochs)) for name in (BASELINE, *names)]
    return tuple(dict.fromkeys(full))
