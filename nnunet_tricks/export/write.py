"""Writing the folder that travels: all of it or nothing, and never into the source."""

from __future__ import annotations

import filecmp
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from nnunet_tricks.export.stock import StockModel
from nnunet_tricks.nnunet.model_folder import FINAL, ModelFolder, find_model, load

TRAINED_BY = "nnunet_tricks_trainer_name"
"""Key of an exported checkpoint that holds the name of the trainer that made it."""


@dataclass(frozen=True)
class Exported:
    """The outcome of an export.

    Attributes:
        outcome: ``unchanged`` if the same export was there already.
        model: Model folder that was exported.
        trainer: Name of the trainer that made the model.
        stock: The same model as stock nnU-Net builds it.
    """

    outcome: Literal["exported", "unchanged"]
    model: ModelFolder
    trainer: str
    stock: StockModel


def export(
    folder: Path,
    out: Path,
    *,
    folds: Sequence[str] = (),
    names: Sequence[str] = (FINAL,),
    trust: bool = False,
    dry_run: bool = False,
) -> Exported:
    """Make a model folder whose checkpoints name ``nnUNetTrainer``, or another trainer that nnU-Net brings.

    Args:
        folder: The model folder, which stays as it is.
        out: The folder to make.
        folds: Folds to take; every fold that is there if not given.
        names: File names of the checkpoints to take from each fold.
        trust: Whether checkpoints may hold more than data, see ``nnunet.checkpoint``.
        dry_run: Check everything, write nothing.

    Returns:
        The outcome.

    Raises:
        ValueError: If stock nnU-Net could not predict with it, a checkpoint holds more than data and ``trust`` is not
            given, or ``out`` holds something else.
    """
    model = find_model(folder, folds, names)
    is_there = _look(model, out)
    converter = _Converter(model, trust=trust)
    if is_there:
        _require_same(converter, out)
    elif dry_run:
        for file in _one_by_one(model.checkpoints):
            converter.convert(file)
    else:
        with all_or_nothing(out, model.size) as staging:
            _write(converter, staging)
    return Exported("unchanged" if is_there else "exported", model, converter.trainer, converter.stock)


class _Converter:
    """Turns a model's checkpoints into stock ones; holds none of them, since each may fill much of the memory."""

    def __init__(self, model: ModelFolder, *, trust: bool) -> None:
        self.model, self._trust = model, trust
        first = self.load(model.folder / model.checkpoints[0])
        self._names = self._names_in(first)
        self.trainer, self._configuration = self._names
        self.stock = StockModel(model.folder, self._configuration, first["trainer_name"])

    def convert(self, file: Path) -> dict[str, Any]:
        """What a checkpoint is to hold; one that nnU-Net could not load is refused."""
        checkpoint = self.load(self.model.folder / file)
        if self._names_in(checkpoint) != self._names:
            raise ValueError(
                f"{self.model.folder / file} is of {' '.join(self._names_in(checkpoint))}, the others are of "
                f"{' '.join(self._names)}: choose folds that belong together with -f"
            )
        self.stock.check_weights(checkpoint["network_weights"], self.model.folder / file)
        return checkpoint | {"trainer_name": self.stock.trainer.__name__, TRAINED_BY: self.trainer}

    def load(self, file: Path) -> dict[str, Any]:
        """A checkpoint, with the trust that the model's own get."""
        return load(file, trust=self._trust)

    @staticmethod
    def _names_in(checkpoint: dict[str, Any]) -> tuple[str, str]:
        # What was exported before keeps the name of its first trainer.
        return checkpoint.get(TRAINED_BY, checkpoint["trainer_name"]), checkpoint["init_args"]["configuration"]


def is_filled(model: ModelFolder, out: Path) -> bool:
    """Whether a folder holds anything.

    Args:
        model: Model to export.
        out: Folder to make.

    Raises:
        ValueError: If it lies in the model, or is a file.
    """
    source, target = model.folder.resolve(), out.resolve()
    if target == source or source in target.parents:
        raise ValueError(f"{out} lies in the model that is exported: choose a folder elsewhere")
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file: choose a folder")
    return out.exists() and any(out.iterdir())


def _look(model: ModelFolder, out: Path) -> bool:
    """Whether ``out`` holds files as an export has them; refuses what holds anything else."""
    if not is_filled(model, out):
        return False
    if {path.relative_to(out) for path in out.rglob("*") if not path.is_dir()} != set(model.files):
        raise ValueError(f"{out} is not empty, and no export of this model: choose another folder or remove it")
    return True


def _require_same(converter: _Converter, out: Path) -> None:
    model = converter.model
    different = [file for file in model.others if not filecmp.cmp(model.folder / file, out / file, shallow=False)]
    for file in _one_by_one(model.checkpoints):
        if not _same(converter.load(out / file), converter.convert(file)):
            different.append(file)
    if different:
        raise ValueError(
            f"{out} holds another model, it differs in {', '.join(map(str, different))}: choose another folder or "
            "remove it"
        )


def _one_by_one(files: Sequence[Path]) -> Iterable[Path]:
    bar = Console(stderr=True)
    return track(files, "Exporting", console=bar, transient=True, disable=not bar.is_terminal or len(files) == 1)


def _same(own: Any, other: Any) -> bool:
    """Whether two checkpoints hold the same; a score that is not a number equals itself here."""
    if type(own) is not type(other):
        return False
    if isinstance(own, dict):
        return own.keys() == other.keys() and all(_same(value, other[key]) for key, value in own.items())
    if isinstance(own, (list, tuple)):
        return len(own) == len(other) and all(map(_same, own, other))
    if isinstance(own, torch.Tensor):
        return torch.equal(own, other)
    if isinstance(own, (float, np.ndarray, np.floating)):
        return np.array_equal(own, other, equal_nan=True)
    return bool(own == other)


@contextmanager
def all_or_nothing(out: Path, size: int) -> Iterator[Path]:
    """A folder that becomes ``out`` at the end, or vanishes.

    Args:
        out: Folder to make; it may be there if it is empty.
        size: Bytes that will be written.

    Raises:
        OSError: If there is no room for them.
    """
    out = out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(out.parent).free
    if size > free:
        raise OSError(f"{out.parent} has {free / 1e9:.1f} GB left, and the model takes {size / 1e9:.1f} GB")
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as temporary:
        staging = Path(temporary, out.name)  # made with the usual permissions, unlike the folder around it
        staging.mkdir()
        yield staging
        if out.exists():
            out.rmdir()  # empty, but not every system replaces it
        staging.replace(out)


def _write(converter: _Converter, staging: Path) -> None:
    for file in converter.model.others:
        _make_folder_of(staging / file)
        shutil.copyfile(converter.model.folder / file, staging / file)
    for file in _one_by_one(converter.model.checkpoints):
        _make_folder_of(staging / file)
        try:
            torch.save(converter.convert(file), staging / file)
        except RuntimeError as error:  # how torch says that the disk is full
            raise OSError(f"{file} could not be written: {str(error).splitlines()[0]}") from error


def _make_folder_of(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
