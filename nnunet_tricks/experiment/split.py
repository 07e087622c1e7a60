"""The cases on which a fold is trained and validated: their checksum, and how two splits differ."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from nnunet_tricks.nnunet.folders import is_json, read_json
from nnunet_tricks.utilities.files import write_atomically
from nnunet_tricks.utilities.wording import some

FILE = "splits_final.json"
KEPT = "splits"
"""Folder beside a data set's cells with every split that a model was trained on, by its checksum."""

COUNTS = re.compile(r"This split has (\d+) training and (\d+) validation cases")


@dataclass(frozen=True)
class Split:
    """The cases of one fold, sorted.

    Attributes:
        train: Cases to train on.
        val: Cases for validation.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]

    @classmethod
    def of(cls, splits: Sequence[Mapping[str, Sequence[str]]] | None, fold: str) -> Split | None:
        """The split of a fold; None if the split file has none, as for fold ``all``."""
        if splits is None or not fold.isdecimal() or int(fold) >= len(splits):
            return None
        return cls(*(tuple(sorted(splits[int(fold)][part])) for part in ("train", "val")))

    @property
    def digest(self) -> str:
        """A checksum of the cases, independent of their order."""
        return hashlib.sha256(json.dumps([self.train, self.val]).encode()).hexdigest()[:16]

    def keep(self, folder: Path) -> None:
        """Store the split under its checksum, so that later changes can be named."""
        file = folder / f"{self.digest}.json"
        if not is_json(file):
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(file, json.dumps(asdict(self), indent=1))

    def difference(self, now: Split) -> str:
        """How a later split differs from this one.

        Examples:
            >>> Split(("a", "b"), ("c",)).difference(Split(("b",), ("c", "d")))
            'a no longer in train; d new in val'
        """
        told = []
        for part, before, after in (("train", self.train, now.train), ("val", self.val, now.val)):
            gone, new = sorted(set(before) - set(after)), sorted(set(after) - set(before))
            told += [f"{some(gone)} no longer in {part}"] if gone else []
            told += [f"{some(new)} new in {part}"] if new else []
        return "; ".join(told)


def kept(folder: Path, digest: str) -> Split | None:
    """The stored split of a checksum; None if it is not stored."""
    file = folder / f"{digest}.json"
    if not is_json(file):
        return None
    content = read_json(file)
    return Split(tuple(content["train"]), tuple(content["val"]))


def told_counts(fold_folder: Path) -> tuple[int, int] | None:
    """Numbers of training and validation cases in nnU-Net's last log of a training, by the names of logs."""
    logs = fold_folder.glob("training_log_*.txt")
    for log in sorted(logs, key=lambda log: tuple(map(int, re.findall(r"\d+", log.name))), reverse=True):
        told = COUNTS.findall(log.read_text(encoding="utf-8", errors="replace"))
        if told:
            return int(told[-1][0]), int(told[-1][1])
    return None
