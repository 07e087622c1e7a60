"""What a user decides about added labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nnunet_tricks.nnunet.model_folder import FINAL


@dataclass(frozen=True, kw_only=True)
class GrowSettings:
    """What decides the labels.

    Attributes:
        models: Model folders; their models of a fold are its ensemble.
        folds: Folds that get labels; all if empty. With ``final`` those whose models give them.
        final: Whether the labels are for one training on all cases.
        thresholds: From a class or region to its smallest mean probability; ``""`` for all others.
        images: Folder of images without labels, if there are any.
        keep_empty: Whether images without a label stay in where no class is certain anywhere.
        checkpoint: File in each fold.
        tta: Views, as ``nnunet-tricks predict`` takes them.
    """

    models: tuple[Path, ...]
    folds: tuple[int, ...] = ()
    final: bool = False
    thresholds: Mapping[str, float] = field(default_factory=lambda: {"": 0.95})
    images: Path | None = None
    keep_empty: bool = False
    checkpoint: str = FINAL
    tta: str = "mirror"
