"""nnU-Net's three folders, and reading their files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STATE = "nnunet_tricks"
"""Folder beside the data sets' results: logs, records and locks of cells."""


@dataclass(frozen=True)
class Case:
    """A case of a raw data set.

    Attributes:
        images: Files, one for each channel.
        label: Label map, if there is one.
    """

    images: tuple[Path, ...]
    label: Path | None


@dataclass(frozen=True)
class Folders:
    """nnU-Net's three folders.

    Attributes:
        raw: Folder of ``nnUNet_raw``.
        preprocessed: Folder of ``nnUNet_preprocessed``.
        results: Folder of ``nnUNet_results``.
    """

    raw: Path
    preprocessed: Path
    results: Path

    @classmethod
    def of_environment(cls, variables: Mapping[str, str] = os.environ) -> Folders:
        """Read the three folders from nnU-Net's environment variables.

        Raises:
            ValueError: If a variable is not set.
        """
        names = [f"nnUNet_{name}" for name in ("raw", "preprocessed", "results")]
        unset = [name for name in names if not variables.get(name)]
        if unset:
            raise ValueError(f"{' and '.join(unset)} not set: 'export {unset[0]}=FOLDER' with your folder")
        return cls(*(Path(variables[name]).absolute() for name in names))

    @property
    def state(self) -> Path:
        """Logs, records and locks of cells; all experiments share them, as they share trainings."""
        return self.results / STATE

    def dataset(self, dataset: str) -> str:
        """The full name of a data set.

        Args:
            dataset: Number or full name.

        Raises:
            ValueError: If no folder has it, or more than one name has the number.
        """
        start = f"Dataset{int(dataset):03d}_" if dataset.isdecimal() else dataset
        places = (self.raw, self.preprocessed)
        names = sorted({folder.name for place in places for folder in place.glob(f"{start}*") if folder.is_dir()})
        names = names if dataset.isdecimal() else [name for name in names if name == dataset]
        if not names:
            raise ValueError(f"data set '{dataset}' is neither in {self.raw} nor in {self.preprocessed}")
        if len(names) > 1:
            raise ValueError(f"data set {dataset} has several names, {', '.join(names)}: give the full name")
        return names[0]

    def splits(self, dataset: str) -> list[dict[str, list[str]]] | None:
        """The folds of nnU-Net's split file; None before nnU-Net has written one.

        Raises:
            ValueError: If the file is broken.
        """
        for place in (self.preprocessed, self.raw):
            file = place / dataset / "splits_final.json"
            if file.is_file():
                splits: list[dict[str, list[str]]] = read_json(file)
                if not isinstance(splits, list) or not all(_is_fold(fold) for fold in splits):
                    raise ValueError(f"{file} must be a list of folds, each with lists 'train' and 'val' of cases")
                return splits
        return None

    def description(self, dataset: str) -> dict[str, Any]:
        """The content of ``dataset.json``.

        Raises:
            ValueError: If the file is neither in the raw nor in the preprocessed data set.
        """
        return dict(read_json(self._described_in(dataset)))

    def _described_in(self, dataset: str) -> Path:
        raw, preprocessed = (folder / dataset / "dataset.json" for folder in (self.raw, self.preprocessed))
        if raw.is_file():
            return raw
        if preprocessed.is_file():
            return preprocessed
        if raw.parent.is_dir():
            raise ValueError(
                f"{raw} is not there: write it, with 'channel_names', 'labels', 'numTraining' and 'file_ending'; "
                "nnU-Net needs it too"
            )
        raise ValueError(f"{preprocessed} is not there: copy it from the raw data set, as nnU-Net's planning does")

    def cases(self, dataset: str, part: str) -> dict[str, Case]:
        """The raw cases of a data set.

        Args:
            dataset: Full name.
            part: ``Tr`` or ``Ts``.
        """
        folder, description = self.raw / dataset, self.description(dataset)
        ending = description.get("file_ending")
        if not isinstance(ending, str):
            raise ValueError(
                f"{self._described_in(dataset)} has no 'file_ending': add the ending of its files, such as '.nii.gz'"
            )
        if part == "Tr" and "dataset" in description:
            return {
                case: Case(tuple(map(_expanded(folder), files["images"])), _expanded(folder)(files["label"]))
                for case, files in description["dataset"].items()
            }
        images: dict[str, list[Path]] = {}
        for file in sorted((folder / f"images{part}").glob(f"*_[0-9][0-9][0-9][0-9]{ending}")):
            images.setdefault(file.name[: -len(ending) - 5], []).append(file)
        labels = {case: folder / f"labels{part}" / f"{case}{ending}" for case in images}
        return {
            case: Case(tuple(files), labels[case] if labels[case].is_file() else None) for case, files in images.items()
        }


def read_json(file: Path) -> Any:
    """The content of a JSON file.

    Raises:
        ValueError: If it is broken, which a killed program of nnU-Net can leave behind.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(
            f"{file} is not valid JSON ({error}): correct it, or remove it if a program wrote it and will again"
        ) from error


def is_json(file: Path) -> bool:
    """Whether a file is there and whole."""
    try:
        read_json(file)
    except (ValueError, OSError):
        return False
    return True


def _is_fold(fold: Any) -> bool:
    return isinstance(fold, dict) and all(isinstance(fold.get(part), list) for part in ("train", "val"))


def _expanded(folder: Path) -> Any:
    """Paths as nnU-Net reads them: with variables, relative to the data set."""
    return lambda text: folder / os.path.expandvars(text)
