"""Writing a split where nnU-Net reads it, unless something was trained under another one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_tricks.comparison.folds.evenness import Fold
from nnunet_tricks.experiment.split import FILE, Split
from nnunet_tricks.nnunet.folders import Folders
from nnunet_tricks.nnunet.parts import TEST_SPLITS
from nnunet_tricks.utilities.files import write_atomically
from nnunet_tricks.utilities.wording import some

NOTE = "splits_note.json"
"""File beside the split: how it was made."""


@dataclass(frozen=True)
class SplitFiles:
    """The files of a data set's split.

    Attributes:
        folders: nnU-Net's folders.
        dataset: Full name of the data set.
    """

    folders: Folders
    dataset: str

    @property
    def file(self) -> Path:
        """The split that nnU-Net reads."""
        return self.folders.preprocessed / self.dataset / FILE

    @property
    def test_file(self) -> Path:
        """The test cases of each fold, which ``run`` and ``compare`` read."""
        return self.folders.raw / self.dataset / TEST_SPLITS

    def trained(self) -> list[str]:
        """Models of this data set that were trained, or whose training has begun, on a fold of the split."""
        folds = (self.folders.results / self.dataset).glob("*__*__*/fold_*")
        return sorted(
            f"{fold.parent.name}/{fold.name}"
            for fold in folds
            if fold.name.removeprefix("fold_").isdecimal()
            and (any(fold.glob("checkpoint_*.pth")) or any(fold.glob("training_log_*.txt")))
        )

    def is_present(self, folds: Sequence[Fold], test: Sequence[str]) -> bool:
        """Whether the files already say the same."""
        present = self.folders.splits(self.dataset) if self.file.is_file() else None
        if present is None or _digests(present) != _digests(folds):
            return False
        return self.test_part() == {str(number): sorted(test) for number in range(len(folds)) if test}

    def check(self, folds: Sequence[Fold], test: Sequence[str], *, replace: bool) -> bool:
        """Whether there is something to write.

        Args:
            folds: Folds to write.
            test: Cases of the test part.
            replace: Whether another split may be replaced.

        Raises:
            ValueError: If something was trained under another split, or another split is there.
        """
        if self.is_present(folds, test):
            return False
        trained = self.trained()
        if trained:
            raise ValueError(
                f"{self.dataset} must keep its split, since {some(trained)} {'was' if len(trained) == 1 else 'were'} "
                f"trained under it: a fold of another split would be measured on cases that it has learned from; move "
                f"these folders out of {self.folders.results / self.dataset} first"
            )
        there = [str(file) for file in (self.file, self.test_file) if file.is_file()]
        there += [
            str(file) for file in [self.folders.raw / self.dataset / FILE] if file.is_file() and not self.file.is_file()
        ]
        if there and not replace:
            raise ValueError(
                f"there is another split already, {some(there)}: --replace writes the new one, and keeps the old one "
                "under another name"
            )
        return True

    def write(self, folds: Sequence[Fold], test: Sequence[str], note: Mapping[str, Any]) -> list[Path]:
        """Write the split, its test part and a note on how it was made, and return the files."""
        kept = [_put_aside(file) for file in (self.file, self.test_file) if file.is_file()]
        written = []
        if test:
            self.test_file.parent.mkdir(parents=True, exist_ok=True)
            by_fold = {str(number): sorted(test) for number in range(len(folds))}
            write_atomically(self.test_file, json.dumps(by_fold, indent=1) + "\n")
            written.append(self.test_file)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.file, json.dumps([dict(fold) for fold in folds], indent=1) + "\n")
        content = {**note, "replaced": [file.name for file in kept]} if kept else note
        write_atomically(self.file.with_name(NOTE), json.dumps(content, indent=1) + "\n")
        return [*written, self.file, self.file.with_name(NOTE)]

    def test_part(self) -> dict[str, list[str]]:
        """The test cases of each fold, as the file has them."""
        with suppress(OSError, ValueError, AttributeError):
            content = json.loads(self.test_file.read_text(encoding="utf-8"))
            return {fold: sorted(cases) for fold, cases in content.items()}
        return {}


def _digests(folds: Sequence[Fold]) -> list[str]:
    splits = [Split.of(folds, str(number)) for number in range(len(folds))]
    return [split.digest for split in splits if split]


def _put_aside(file: Path) -> Path:
    number = 1
    while (place := file.with_name(f"{file.stem}_replaced{number}.json")).exists():
        number += 1
    file.rename(place)
    return place
