"""What labels would cost: slices, some of which are more expensive, and volumes to become familiar with.

Zhang et al. 2025 count all slices alike, and say themselves that this is too simple. A slice that shows the object
takes longer than one that can be skipped, and an annotator must first look through every new volume.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class
from rich.progress import track

from nnunet_tricks.annotation import policies, volumes
from nnunet_tricks.annotation.grid import grid_of
from nnunet_tricks.annotation.study.design import Point


@dataclass(frozen=True)
class SliceCounts:
    """Number of slices of a volume.

    Attributes:
        slices: Number of all slices.
        with_object: Number of slices that show a label other than background.
    """

    slices: int
    with_object: int


@dataclass(frozen=True)
class Prices:
    """Price of each unit, in any currency, such as minutes.

    Attributes:
        empty: Price of a slice that shows no object.
        object: Price of a slice that shows one.
        volume: Price of beginning another volume.
    """

    empty: float = 1.0
    object: float = 1.0
    volume: float = 0.0


@dataclass(frozen=True)
class Amount:
    """Annotation that a setting needs.

    Attributes:
        slices: Number of annotated slices.
        volumes: Number of volumes with annotated slices.
        cost: Cost by the prices; the number of slices with objects is estimated from their share in each volume.
    """

    slices: int
    volumes: int
    cost: float


def amount(point: Point, training: Mapping[str, SliceCounts], prices: Prices, seed: int = 1) -> Amount:
    """Compute the annotation that a setting needs.

    Args:
        point: The setting.
        training: Number of slices of each training volume.
        prices: Prices of the units.
        seed: Seed of the choice of volumes: the number of the run.

    Examples:
        >>> training = {"a": SliceCounts(40, 10), "b": SliceCounts(20, 10)}
        >>> amount(Point(density=0.1), training, Prices(empty=1, object=5, volume=3))
        Amount(slices=6, volumes=2, cost=20.0)
    """
    chosen = volumes.chosen(list(training), point.volumes, seed=seed)
    slices, cost = 0, 0.0
    for counts in (training[case] for case in chosen):
        number = policies.number(counts.slices, point.density)
        objects = number * counts.with_object / counts.slices
        slices += number
        cost += (number - objects) * prices.empty + objects * prices.object + prices.volume
    return Amount(slices, len(chosen), round(cost, 6))


def volumes_in(
    folder: Path, cases: Sequence[str], transposed: Sequence[int], ignore: int | None = None
) -> dict[str, SliceCounts]:
    """Count the slices of preprocessed cases, as they were before preprocessing.

    Args:
        folder: Folder of preprocessed cases.
        cases: Names of the cases.
        transposed: ``transpose_forward`` of the plans.
        ignore: Label of voxels that nobody annotated, if there is one: it is no object.
    """
    dataset = infer_dataset_class(str(folder))(str(folder), list(cases))
    counts = {}
    for case in track(cases, description="counting slices", transient=True):
        image, labels, _, properties = dataset.load_case(case)
        grid = grid_of(properties, image.shape[1:], transposed)
        slices = np.moveaxis(np.asarray(labels[:])[0], grid.axis, 0)
        shows = ((slices > 0) & (slices != (-1 if ignore is None else ignore))).any(axis=(1, 2))
        # Slices that resampling made thicker stand for several raw slices.
        with_object = max(len(np.unique(grid.raw_of[shows])), round(int(shows.sum()) * grid.cropped / grid.slices))
        counts[case] = SliceCounts(grid.raw, min(with_object, grid.raw) if shows.any() else 0)
    return counts
