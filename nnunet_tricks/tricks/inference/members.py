"""The folders of predictions that an ensemble is made of, and whether they go together."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from nnunet_tricks.nnunet.folders import read_json
from nnunet_tricks.tricks.inference.output_folder import RECORD
from nnunet_tricks.utilities.whole_images import check_whole

DESCRIPTION = "dataset.json"
PLANS = "plans.json"

READER, TURNING = "image_reader_writer", "NibabelIOWithReorient"
"""Key of the plans, and the reader that gives images other axes than the file has."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Members:
    """Folders of predictions of the same cases.

    Attributes:
        folders: One for each member.
        cases: Names of the cases, sorted.
        description: Content of ``dataset.json``.
        plans: Content of ``plans.json``.
        probabilities: Whether all cases of all members have probabilities, with the same axes.
    """

    folders: tuple[Path, ...]
    cases: tuple[str, ...]
    description: dict[str, Any]
    plans: dict[str, Any]
    probabilities: bool

    @property
    def ending(self) -> str:
        """Ending of the segmentations."""
        return str(self.description["file_ending"])

    def files(self) -> dict[str, list[Path]]:
        """From each case to its segmentations and the probabilities that there are, of all members."""
        endings = (self.ending, ".npz") if self.probabilities else (self.ending,)
        return {
            case: [folder / f"{case}{ending}" for folder in self.folders for ending in endings] for case in self.cases
        }


def members(folders: Sequence[Path]) -> Members:
    """Look the folders through.

    A folder is one that was predicted, or ``fold_X/validation`` of a model.

    Args:
        folders: At least two.

    Raises:
        ValueError: If there is only one, a folder is given twice, one lacks a case or says other labels than the first,
            or has no ``dataset.json``.
    """
    if len(folders) < 2:
        raise ValueError(f"an ensemble needs at least two folders, and {len(folders)} was given")
    absolute = [folder.resolve() for folder in folders]
    for position, folder in enumerate(absolute):
        if not folder.is_dir():
            raise ValueError(f"{folders[position]} is no folder")
        if folder in absolute[:position]:
            raise ValueError(f"{folders[position]} is given twice: give weights for a member that counts more")
    descriptions = [read_beside(folder, DESCRIPTION) for folder in folders]
    first = descriptions[0]
    for folder, description in zip(folders[1:], descriptions[1:], strict=True):
        for key in ("labels", "regions_class_order", "file_ending"):
            if description.get(key) != first.get(key):
                theirs, ours = _short(description.get(key)), _short(first.get(key))
                raise ValueError(
                    f"{folder} has {key} {theirs}, and {folders[0]} has {ours}: models of other labels are no ensemble"
                )
    ending = str(first["file_ending"])
    cases = [_cases(folder, ending) for folder in folders]
    everything = sorted(set().union(*cases))
    if not everything:
        raise ValueError(f"{folders[0]} has no prediction that ends in {ending}")
    for folder, there in zip(folders, cases, strict=True):
        if missing := [case for case in everything if case not in there]:
            raise ValueError(
                f"{folder} has no {missing[0]}{ending} ({len(missing)} of {len(everything)} cases are missing): "
                "predict all cases with all members"
            )
    complete = all((folder / f"{case}.npz").is_file() for folder in folders for case in everything)
    comparable = complete and not differing_readers(folders)
    return Members(tuple(folders), tuple(everything), first, read_beside(folders[0], PLANS), comparable)


def missing_probabilities(folders: Sequence[Path], cases: Sequence[str]) -> str:
    """The first file of probabilities that is not there, or an empty string.

    Beside those of the first folder nnU-Net leaves a ``.pkl`` with the geometry of the image, and the result needs it.
    """
    files = (
        folder / f"{case}{ending}"
        for folder in folders
        for case in cases
        for ending in ((".npz", ".pkl") if folder == folders[0] else (".npz",))
    )
    return next((str(file) for file in files if not file.is_file()), "")


def differing_readers(folders: Sequence[Path]) -> str:
    """The members' readers in words, if one of them gives images other axes than the others do; else an empty string.

    Probabilities are saved with the axes of the reader, segmentations with those of the image.
    """
    readers = {folder: str(read_beside(folder, PLANS)[READER]) for folder in folders}
    if len(set(readers.values())) == 1 or TURNING not in readers.values():
        return ""
    return ", ".join(f"{folder} with {reader}" for folder, reader in readers.items())


def read_probabilities(file: Path) -> Floats:
    """Probabilities as nnU-Net saves them, (outputs, *spatial).

    Raises:
        ValueError: If the file is damaged, or not all of them are numbers.
    """
    try:
        with np.load(file) as content:
            probabilities = content["probabilities"].astype(np.float32, copy=False)
    except (ValueError, OSError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        raise ValueError(f"{file} is damaged or holds no probabilities ({error}): predict the case again") from error
    if not np.isfinite(probabilities).all():
        raise ValueError(f"{file} has probabilities that are no numbers (nan or infinite): predict the case again")
    return np.asarray(probabilities)


def read_labels(reader: Any, file: Path) -> tuple[npt.NDArray[Any], dict[str, Any]]:
    """A segmentation as nnU-Net's reader reads it, without its axis of channels, and its properties.

    Raises:
        ValueError: If it is damaged.
    """
    try:
        check_whole(file)
        labels, properties = reader.read_seg(str(file))
    except (ValueError, OSError, RuntimeError) as error:
        raise ValueError(f"{file} cannot be read: {' '.join(str(error).split())}") from error
    return labels[0], properties


def _cases(folder: Path, ending: str) -> set[str]:
    return {file.name.removesuffix(ending) for file in folder.glob(f"[!.]*{ending}")}


def read_beside(folder: Path, name: str) -> dict[str, Any]:
    """A file that nnU-Net leaves beside predictions, or two folders above those of a validation."""
    for place in (folder, folder.parent.parent):
        if (place / name).is_file():
            content = read_json(place / name)
            if name == PLANS and READER not in content:
                raise ValueError(
                    f"{place / name} has no {READER}: copy that of the model, which nnUNetv2_predict leaves"
                )
            return dict(content)
    raise ValueError(f"{folder} has no {name}: copy that of the model, which nnUNetv2_predict leaves there, too")


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def check_models(folders: Sequence[Path], models: Sequence[str], weights: Path) -> None:
    """See that learned weights meet the members in the order of the models that they were learned of.

    Predictions of stock nnU-Net do not say which model made them; those are taken as they stand.

    Args:
        folders: Predictions of each member.
        models: Names of the model folders.
        weights: File of the weights.

    Raises:
        ValueError: If a folder says that another model made it.
    """
    for position, (folder, model) in enumerate(zip(folders, models, strict=True), 1):
        maker = _model_of(folder)
        if maker and maker != model:
            raise ValueError(
                f"{folder} was predicted by {maker}, and weight {position} of {weights} is that of {model}: give the "
                f"members in the order {', '.join(models)}"
            )


def _model_of(folder: Path) -> str:
    """Name of the model folder that predicted a folder, or an empty string."""
    record = folder / RECORD
    if record.is_file():
        return Path(json.loads(record.read_text(encoding="utf-8"))["settings"].get("model", "")).name
    parts = folder.resolve().parts
    return parts[-3] if parts[-1] == "validation" and len(parts[-3].split("__")) == 3 else ""
