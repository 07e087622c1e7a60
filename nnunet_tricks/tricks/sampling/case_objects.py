"""The objects of preprocessed training cases: their size, their place, and some of their voxels.

They are found once and kept beside the preprocessed data, in ``<folder of the preprocessed images>_objects``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from scipy.ndimage import find_objects

from nnunet_tricks.tricks.sampling.foreground import foreground
from nnunet_tricks.tricks.targets.instances import STRIDE
from nnunet_tricks.tricks.targets.objects import objects
from nnunet_tricks.utilities.files import write_atomically

PLACES, FEWEST = 10_000, 16
"""Voxels that are kept of the objects of a class together, as nnU-Net keeps of a class; and of each at least."""


@dataclass(frozen=True)
class ObjectsOfClass:
    """Objects of one class or region of one case.

    Attributes:
        sizes: Voxels of each, (n,).
        boxes: First voxel and the one after the last along each axis, (n, 3, 2).
        places: Equally many random voxels of each, (n, m, 3); those of a small object occur several times.
    """

    sizes: NDArray[np.int32]
    boxes: NDArray[np.int32]
    places: NDArray[np.int32]


Objects = dict[Hashable, ObjectsOfClass]
"""Objects of a case by class or region."""


def plain_labels(segmentation: NDArray[Any]) -> NDArray[Any]:
    """Labels without the colours of instances that a data set may have packed into them."""
    return np.where(segmentation < 0, segmentation, segmentation % STRIDE)


def belongs(labels: NDArray[Any], label: Hashable) -> NDArray[np.bool_]:
    """Whether voxels belong to a class or region.

    Args:
        labels: A label map.
        label: A label, or the labels of a region.
    """
    return np.isin(labels, label if isinstance(label, tuple) else (label,))


def numbered(labels: NDArray[Any], label: Hashable, ignore: int | None) -> NDArray[np.float32]:
    """Numbers of the objects of a class or region, see ``targets.objects``.

    Args:
        labels: A label map.
        label: A label, or the labels of a region.
        ignore: Label of voxels that nobody annotated, if there is one.
    """
    annotated = None if ignore is None else labels != ignore
    return objects(belongs(labels, label), (1,) * labels.ndim, annotated)


def objects_of(labels: NDArray[Any], label: Hashable, ignore: int | None, seed: int) -> ObjectsOfClass:
    """Find the objects of a class or region.

    Args:
        labels: Label map, (z, y, x).
        label: A label, or the labels of a region.
        ignore: Label of voxels that nobody annotated, if there is one.
        seed: Seed of the choice of voxels.
    """
    numbers = numbered(labels, label, ignore).astype(np.int32)
    boxes = [[(side.start, side.stop) for side in box] for box in find_objects(numbers)]
    voxels = np.argwhere(numbers)
    of_voxel = numbers[tuple(voxels.T)]
    voxels = voxels[np.argsort(of_voxel, kind="stable")]
    sizes = np.bincount(of_voxel, minlength=len(boxes) + 1)[1:]
    kept = max(PLACES // max(len(boxes), 1), FEWEST)
    generator = np.random.default_rng(seed)
    places = [
        np.resize(generator.permutation(mine), (kept, labels.ndim))
        for mine in np.split(voxels, np.cumsum(sizes)[:-1])
        if len(mine)
    ]
    return ObjectsOfClass(
        sizes.astype(np.int32),
        np.array(boxes, np.int32).reshape(-1, labels.ndim, 2),
        np.array(places, np.int32).reshape(-1, kept, labels.ndim),
    )


def of_cases(
    cases: Any,
    names: Iterable[str],
    folder: Path,
    annotated_key: Hashable,
    ignore: int | None,
    log: Callable[[str], None],
) -> dict[str, Objects]:
    """Objects of preprocessed cases.

    Args:
        cases: nnU-Net's data set, or another that stands for it.
        names: Names of the cases.
        folder: Folder of the preprocessed images.
        annotated_key: Key under which nnU-Net stores whatever is annotated.
        ignore: Label of voxels that nobody annotated, if there is one.
        log: Function that writes a line to the log.
    """
    kept = folder.with_name(f"{folder.name}_objects")
    found, missing = {}, []
    for case in names:
        file = kept / f"{case}.npz"
        if file.is_file() and file.stat().st_mtime_ns >= (folder / f"{case}.pkl").stat().st_mtime_ns:
            found[case] = _read(file, _classes_of(cases, case, annotated_key))
        else:
            missing.append(case)
    if missing:
        log(f"Finding the objects of {len(missing)} cases, once; kept in {kept}")
    for case in track(missing, description="objects", transient=True, disable=not missing):
        labels = plain_labels(np.asarray(cases.load_case(case)[1][0]))
        classes = _classes_of(cases, case, annotated_key)
        found[case] = {label: objects_of(labels, label, ignore, crc32(case.encode())) for label in classes}
        content = BytesIO()
        arrays = {f"{name}_{at}": part for at, of in enumerate(found[case].values()) for name, part in vars(of).items()}
        np.savez_compressed(content, allow_pickle=False, **arrays)
        # Preprocessed data of somebody else may be read-only: then every training finds them for itself.
        with suppress(OSError):
            kept.mkdir(exist_ok=True)
            write_atomically(kept / f"{case}.npz", content.getvalue())
    return found


def _classes_of(cases: Any, case: str, annotated_key: Hashable) -> list[Hashable]:
    return list(foreground(cases.load_case(case)[-1]["class_locations"], annotated_key))


def _read(file: Path, classes: list[Hashable]) -> Objects:
    with np.load(file) as arrays:
        return {
            label: ObjectsOfClass(*(arrays[f"{name}_{at}"] for name in ("sizes", "boxes", "places")))
            for at, label in enumerate(classes)
        }
