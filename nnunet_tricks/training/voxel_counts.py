"""How many voxels each label has, counted once per preprocessed case and kept beside the preprocessed data."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset
from rich.progress import track

from nnunet_tricks.utilities.files import write_atomically

OUTSIDE = -1
"""nnU-Net's mark of zeros around an image, which become background."""


def count(dataset: nnUNetBaseDataset, cases: Iterable[str], *, log: Callable[[str], None] = print) -> dict[int, int]:
    """Voxels of each label over some cases, see ``by_case``.

    Args:
        dataset: nnU-Net's preprocessed data.
        cases: Identifiers.
        log: Function that writes a line to the log.

    Returns:
        Label -> voxels; the ignore label, if there is one, is a label as any other.
    """
    total: Counter[int] = Counter()
    for voxels in by_case(dataset, cases, log=log).values():
        total.update(voxels)
    return dict(total)


def by_case(
    dataset: nnUNetBaseDataset, cases: Iterable[str], *, log: Callable[[str], None] = print
) -> dict[str, dict[int, int]]:
    """Voxels of each label in the preprocessed images; what nnU-Net marks as outside counts as background.

    What was counted is kept in ``<folder of the preprocessed images>_voxel_counts.json``, case by case, so that every
    fold and every trainer finds it. A case that was preprocessed anew is counted anew; a file that cannot be read is
    replaced.

    Args:
        dataset: nnU-Net's preprocessed data.
        cases: Identifiers.
        log: Function that writes a line to the log.

    Returns:
        Case -> label -> voxels; the ignore label, if there is one, is a label as any other.
    """
    folder = Path(dataset.source_folder)
    file = folder.with_name(f"{folder.name}_voxel_counts.json")
    known = _read(file, log)
    written = {case: (folder / f"{case}.pkl").stat().st_mtime_ns for case in cases}
    missing = [case for case, when in written.items() if known.get(case, {}).get("preprocessed") != when]
    if missing:
        log(f"Counting the voxels of each label in {len(missing)} cases, once; kept in {file}")
        for case in track(missing, description="counting voxels", transient=True):
            known[case] = {"preprocessed": written[case], "voxels": _of_case(dataset, case)}
        # Preprocessed data of somebody else may be read-only: then every training counts for itself.
        with suppress(OSError):
            write_atomically(file, json.dumps(known, indent=1, sort_keys=True))
    return {case: {int(label): voxels for label, voxels in known[case]["voxels"].items()} for case in written}


def of_classes(counts: Mapping[int, int], classes: Iterable[int | tuple[int, ...] | list[int]]) -> list[int]:
    """Voxels of each class or region.

    Args:
        counts: Label -> voxels.
        classes: A label, or for a region the labels that it unites.

    Returns:
        One number for each.

    Examples:
        >>> of_classes({0: 90, 1: 8, 2: 2}, [(1, 2), 2])
        [10, 2]
    """
    united = [labels if isinstance(labels, (tuple, list)) else (labels,) for labels in classes]
    return [sum(counts.get(label, 0) for label in labels) for labels in united]


def _of_case(dataset: nnUNetBaseDataset, case: str) -> dict[str, int]:
    _, segmentation, *_ = dataset.load_case(case)
    labels = np.asarray(segmentation[0])
    below: dict[str, int] = {}
    if labels.min() < OUTSIDE:
        found, numbers = np.unique(labels[labels < OUTSIDE], return_counts=True)
        below = {str(label): int(number) for label, number in zip(found.tolist(), numbers.tolist(), strict=True)}
    lifted = np.maximum(labels, 0)
    voxels = np.zeros(int(lifted.max()) + 1, dtype=np.int64)
    for plane in lifted:  # bincount works on a copy in 64 bits
        voxels += np.bincount(plane.ravel(), minlength=len(voxels))
    if below:
        voxels[0] -= sum(below.values())
    return below | {str(label): int(number) for label, number in enumerate(voxels) if number}


def _read(file: Path, log: Callable[[str], None]) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        return {case: _checked(entry) for case, entry in json.loads(file.read_text()).items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        log(f"{file} cannot be read and is made anew")
        return {}


def _checked(entry: dict[str, Any]) -> dict[str, Any]:
    voxels = {str(int(label)): int(number) for label, number in entry["voxels"].items()}
    return {"preprocessed": int(entry["preprocessed"]), "voxels": voxels}
