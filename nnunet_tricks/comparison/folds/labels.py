"""Which labels each case has, and how much of them: read once from its label map, and kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_tricks.comparison.images import read
from nnunet_tricks.nnunet.classes import Classes
from nnunet_tricks.nnunet.folders import is_json, read_json
from nnunet_tricks.utilities.files import write_atomically
from nnunet_tricks.utilities.progress import shown

FILE = "label_volumes.json"


@dataclass(frozen=True)
class LabelVolumes:
    """What label maps hold.

    Attributes:
        unit: Unit of the volumes: ``mm3``, ``mm2``, or ``px`` where files hold no spacing.
        by_case: Volume of each label value, by case; the background is one of them.
    """

    unit: str
    by_case: Mapping[str, Mapping[int, float]]

    def of_classes(self, classes: Classes, cases: tuple[str, ...]) -> dict[str, list[float]]:
        """Volume of each class or region, one for each case."""
        return {
            name: [sum(self.by_case[case].get(value, 0.0) for value in values) for case in cases]
            for name, values in classes.values.items()
        }


def measure(labels: Mapping[str, Path], keep: Path, *, read_only: bool = False) -> LabelVolumes:
    """Measure the labels of cases; what was measured is kept, and only files that have changed are read again.

    Args:
        labels: Label map of each case.
        keep: File for what was measured.
        read_only: Use what is kept, and keep nothing new.

    Raises:
        ValueError: If a file cannot be read as a label map.
    """
    known: dict[str, Any] = {}
    if is_json(keep):
        with suppress(AttributeError, KeyError, TypeError):
            known = dict(read_json(keep)["cases"])
    stamps = {case: _stamp(file) for case, file in labels.items()}
    new = [case for case, stamp in stamps.items() if not _is_known(known.get(case), stamp)]
    for case in shown(new, "reading labels", len(new)):
        known[case] = {"file": stamps[case], **_measured(labels[case])}
    if new and not read_only:
        with suppress(OSError):  # kept for the next time only
            keep.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(keep, json.dumps({"cases": known}))
    units = {str(known[case]["unit"]) for case in labels}
    volumes = {case: {int(label): float(volume) for label, volume in known[case]["volumes"].items()} for case in labels}
    return LabelVolumes(units.pop() if len(units) == 1 else "mixed units", volumes)


def _stamp(file: Path) -> list[int]:
    state = file.stat()
    return [state.st_mtime_ns, state.st_size]


def _is_known(entry: Any, stamp: list[int]) -> bool:
    return isinstance(entry, dict) and entry.get("file") == stamp and {"unit", "volumes"} <= entry.keys()


def _measured(file: Path) -> dict[str, Any]:
    image = read(file)
    values, counts = np.unique(image.values, return_counts=True)
    voxel = prod(image.spacing)
    unit = image.unit if image.unit == "px" else f"{image.unit}{image.values.ndim}"
    return {"unit": unit, "volumes": {str(int(v)): float(n * voxel) for v, n in zip(values, counts, strict=True)}}
