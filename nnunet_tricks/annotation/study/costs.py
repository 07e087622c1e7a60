"""What labels would cost: slices, more expensive ones among them, and volumes to get used to.

Zhang et al. 2025 count slices alike, and say themselves that this is too simple: a slice that shows the object takes
longer than one that can be skipped, and every new volume has to be looked through first.
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
    """A volume to annotate.

    Attributes:
        slices: All of them.
        with_object: Those that show a label other than background.
    """

    slices: int
    with_object: int


@dataclass(frozen=True)
class Prices:
    """Of one unit each, in any currency, such as minutes.

    Attributes:
        empty: A slice that shows no object.
        object: A slice that shows one.
        volume: To begin with another volume.
    """

    empty: float = 1.0
    object: float = 1.0
    volume: float = 0.0


@dataclass(frozen=True)
class Amount:
    """What a setting needs.

    Attributes:
        slices: To annotate.
        volumes: They are in.
        cost: By the prices; how many slices show an object is expected from how many of each volume do.
    """

    slices: int
    volumes: int
    cost: float


def amount(point: Point, there: Mapping[str, SliceCounts], prices: Prices, seed: int = 1) -> Amount:
    """What a setting needs.

    Args:
        point: The setting.
        there: The training volumes.
        prices: Of the units.
        seed: Of the choice of volumes: the number of the run.

    Examples:
        >>> there = {"a": SliceCounts(40, 10), "b": SliceCounts(20, 10)}
        >>> amount(Point(density=0.1), there, Prices(empty=1, object=5, volume=3))
        Amount(slices=6, volumes=2, cost=20.0)
    """
    chosen = volumes.chosen(list(there), point.volumes, seed=seed)
    slices, cost = 0, 0.0
    for one in (there[case] for case in chosen):
        number = policies.number(one.slices, point.density)
        objects = number * one.with_object / one.slices
        slices += number
        cost += (number - objects) * prices.empty + objects * prices.object + prices.volume
    return Amount(slices, len(chosen), round(cost, 6))


def volumes_in(
    folder: Path, cases: Sequence[str], transposed: Sequence[int], ignore: int | None = None
) -> dict[str, SliceCounts]:
    """Slices of preprocessed cases, as they were before preprocessing.

    Args:
        folder: Of preprocessed cases.
        cases: Their names.
        transposed: ``transpose_forward`` of the plans.
        ignore: Label of voxels that nobody annotated, if there is one: it is no object.
    """
    dataset = infer_dataset_class(str(folder))(str(folder), list(cases))
    found = {}
    for case in track(cases, description="counting slices", transient=True):
        image, labels, _, properties = dataset.load_case(case)
        grid = grid_of(properties, image.shape[1:], transposed)
        slices = np.moveaxis(np.asarray(labels[:])[0], grid.axis, 0)
        shows = ((slices > 0) & (slices != (-1 if ignore is None else ignore))).any(axis=(1, 2))
        # Slices that were made thicker stand for several.
        with_object = max(len(np.unique(grid.raw_of[shows])), round(int(shows.sum()) * grid.cropped / grid.slices))
        found[case] = SliceCounts(grid.raw, min(with_object, grid.raw) if shows.any() else 0)
    return found
