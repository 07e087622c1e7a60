"""A model folder as nnU-Net leaves it, and those of its files that an export copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_tricks.nnunet import checkpoint

FINAL = "checkpoint_final.pth"

# What nnUNetv2_export_model_to_zip takes along, so that it works on the exported folder too.
_NEEDED = ("plans.json", "dataset.json")
_BESIDE_FOLDS = (*_NEEDED, "dataset_fingerprint.json")
_IN_FOLD = ("debug.json", "progress.png", "network_architecture.pdf", "validation/summary.json")
_IN_CROSS_VALIDATION = ("summary.json", "postprocessing.pkl", "postprocessing.json")

_KEYS = {"trainer_name": str, "init_args": dict, "network_weights": dict}


@dataclass(frozen=True)
class ModelFolder:
    """A model folder, and those of its files that an export copies.

    Attributes:
        folder: Folder ``<trainer>__<plans>__<configuration>``, or what it was renamed to.
        folds: Folds that are copied, as ``nnUNetv2_predict -f`` takes them.
        checkpoints: Files of their weights, relative to ``folder``.
        others: Other files that are copied, relative to ``folder``.
    """

    folder: Path
    folds: tuple[str, ...]
    checkpoints: tuple[Path, ...]
    others: tuple[Path, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that are copied."""
        return self.others + self.checkpoints

    @property
    def size(self) -> int:
        """Number of bytes."""
        return sum((self.folder / file).stat().st_size for file in self.files)


def find_model(folder: Path, folds: Sequence[str] = (), names: Sequence[str] = (FINAL,)) -> ModelFolder:
    """Find the folds and checkpoints of a model folder.

    Args:
        folder: The model folder.
        folds: Folds to take; every fold that is there if not given.
        names: File names of the checkpoints to take from each fold.

    Returns:
        What travels.

    Raises:
        ValueError: If it is no model folder, or a fold or a checkpoint is not there.
    """
    missing = [name for name in _NEEDED if not (folder / name).is_file()]
    present = sorted(path.name.removeprefix("fold_") for path in folder.glob("fold_*") if path.is_dir())
    if missing or not present:
        lacks = " and ".join(missing or ["fold_X"])
        raise ValueError(f"{folder} is no model folder of nnU-Net, it has no {lacks}{_instead(folder)}")
    chosen = tuple(dict.fromkeys(folds)) or tuple(present)
    checkpoints = [Path(f"fold_{fold}", name) for fold in chosen for name in names]
    for file in checkpoints:
        if not (folder / file).is_file():
            raise ValueError(
                f"{folder} has no {file}: choose finished folds with -f (there are {', '.join(present)}), or another "
                "checkpoint with -chk, such as checkpoint_best.pth"
            )
    others = [Path(name) for name in _BESIDE_FOLDS]
    others += [Path(f"fold_{fold}", name) for fold in chosen for name in _IN_FOLD]
    others += [Path(f"crossval_results_folds_{'_'.join(chosen)}", name) for name in _IN_CROSS_VALIDATION]
    return ModelFolder(folder, chosen, tuple(checkpoints), tuple(file for file in others if (folder / file).is_file()))


def _instead(folder: Path) -> str:
    """The model folder that was meant, where it is near."""
    if folder.name.startswith("fold_"):
        return f": give the folder above, {folder.parent}"
    below = sorted(path.parent for path in folder.glob("*/plans.json"))
    return f": give one of {', '.join(map(str, below))}" if below else ""


def load(file: Path, *, trust: bool = False) -> dict[str, Any]:
    """Read a checkpoint.

    Args:
        file: File that nnU-Net's trainer wrote.
        trust: Whether it may hold more than data, see ``nnunet.checkpoint``.

    Returns:
        Its content, on the CPU.

    Raises:
        ValueError: If it is no checkpoint, is damaged, or holds more than data and ``trust`` is not given.
    """
    content = checkpoint.read(file, trust=trust)
    lacks = [key for key, kind in _KEYS.items() if not isinstance(content.get(key), kind)]
    lacks += [] if lacks or "configuration" in content["init_args"] else ["configuration"]
    if lacks:
        raise ValueError(f"{file} is no checkpoint of nnU-Net v2, it has no {', '.join(lacks)}")
    return content
