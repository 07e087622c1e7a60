"""Instance maps of a data set on their way through nnU-Net's loader.

A label map cannot say where one nucleus ends and the next begins. A raw data set may have a folder ``instancesTr`` with
a map of instance numbers for each case, named as its label map. Then instances get a few colours, so that no two that
touch share one. The colour travels in the label: nnU-Net crops, warps and mirrors label + ``STRIDE`` * colour as it
does any label. The two are separated again before its transforms turn labels into anything else. Connected voxels of
one label and one colour are then one instance.
"""

# mypy: untyped-calls-exclude="skimage", disable-error-code="import-untyped"
from __future__ import annotations

import os
from collections.abc import Callable
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any

import networkx
import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from numpy.typing import NDArray
from rich.progress import track
from skimage.segmentation import expand_labels

from nnunet_tricks.utilities.files import write_atomically

COLOURS = "instance_colours"
"""Key under which transforms find the colours."""
STRIDE = 2048
"""Labels below one colour: a label and its colour are packed as label + ``STRIDE`` * colour."""
MOST_COLOURS = np.iinfo(np.int16).max // STRIDE
GAP = 2
"""Voxels between two instances up to which they do not share a colour: warping may make them touch."""
FOLDER = "instancesTr"
CHANGE_CHANNELS = (
    "MoveSegAsOneHotToDataTransform",
    "ConvertSegmentationToRegionsTransform",
    "DownsampleSegForDSTransform",
)
"""Transforms of nnU-Net after which the first channel of a segmentation is no longer its label map."""


def colour(instances: NDArray[np.integer[Any]]) -> NDArray[np.int16]:
    """Few colours, so that no two instances that touch share one.

    Args:
        instances: Instance numbers, 0 where there is no instance; 2D or 3D.

    Returns:
        Colours from 0; background has 0, too.

    Raises:
        ValueError: If so many instances touch each other that there are not enough colours.

    Examples:
        >>> colour(np.array([[7, 7, 9, 9, 0, 0, 0, 0, 0, 8]]))
        array([[0, 0, 1, 1, 0, 0, 0, 0, 0, 0]], dtype=int16)
    """
    numbers, compact = np.unique(instances, return_inverse=True)
    if numbers[0] != 0:
        numbers, compact = np.concatenate([[0], numbers]), compact + 1
    wide = expand_labels(compact.reshape(instances.shape), GAP)
    neighbours = networkx.Graph()
    neighbours.add_nodes_from(range(1, len(numbers)))
    for step in product((-1, 0, 1), repeat=wide.ndim):
        if step > (0,) * wide.ndim:  # each pair of directions once
            first, second = (wide[tuple(_side(offset * sign) for offset in step)] for sign in (1, -1))
            touch = (first != second) & (first > 0) & (second > 0)
            neighbours.add_edges_from(np.unique(np.stack([first[touch], second[touch]], 1), axis=0).tolist())
    colours = np.zeros(len(numbers), np.int16)
    for instance, its_colour in networkx.greedy_color(neighbours).items():
        colours[instance] = its_colour
    if colours.max() > MOST_COLOURS:
        raise ValueError(
            f"instances touch so many others that {colours.max() + 1} colours are needed; {MOST_COLOURS + 1} are there"
        )
    return colours[compact].reshape(instances.shape)


def _side(step: int) -> slice:
    return {1: slice(1, None), -1: slice(None, -1), 0: slice(None)}[step]


class SplitColours(BasicTransform):
    """Separates label and colour again."""

    def apply(self, data_dict: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Leave the label where nnU-Net looks for it, and keep the colour under ``COLOURS``."""
        segmentation = data_dict["segmentation"].clone()
        code = segmentation[0]
        data_dict[COLOURS] = torch.div(code, STRIDE, rounding_mode="floor").clamp_min(0)
        segmentation[0] = code - STRIDE * data_dict[COLOURS]
        data_dict["segmentation"] = segmentation
        return data_dict


def before_channels_change(transforms: BasicTransform, added: BasicTransform) -> ComposeTransforms:
    """nnU-Net's transforms with one more before the first that turns labels into regions, channels or levels.

    Args:
        transforms: nnU-Net's composition.
        added: Transform that is put in.
    """
    parts = list(transforms.transforms) if isinstance(transforms, ComposeTransforms) else [transforms]
    at = next((i for i, part in enumerate(parts) if type(part).__name__ in CHANGE_CHANNELS), len(parts))
    return ComposeTransforms([*parts[:at], added, *parts[at:]])


class ColouredCases:
    """A data set of nnU-Net's loader whose segmentations hold the colours of instances."""

    def __init__(self, cases: Any, folder: Path) -> None:
        """Put coloured segmentations in front of a data set.

        Args:
            cases: nnU-Net's data set.
            folder: Folder with a coloured segmentation of each case.
        """
        self.cases = cases
        self.identifiers = cases.identifiers
        self.folder = folder

    def load_case(self, identifier: str) -> tuple[Any, ...]:
        """A case as nnU-Net loads it, with the coloured segmentation, which is read where it is cropped."""
        image, _, *rest = self.cases.load_case(identifier)
        # Transforms write into the arrays that they get; that must not reach the file.
        return image, np.load(self.folder / f"{identifier}.npy", mmap_mode="c"), *rest


def coloured_segmentation(trainer: Any, instances: Path, segmentation: Any, properties: dict[str, Any]) -> NDArray[Any]:
    """The preprocessed segmentation of a case with the colours of its instances.

    Args:
        trainer: nnU-Net's trainer, for its plans.
        instances: File of the case's instance numbers, on the grid of its label map.
        segmentation: Preprocessed segmentation, (1, *spatial).
        properties: Properties of the preprocessed case.

    Raises:
        ValueError: If the map is not on the grid of the case.
    """
    plans, configuration = trainer.plans_manager, trainer.configuration_manager
    numbers, _ = plans.image_reader_writer_class().read_seg(str(instances))
    raw = tuple(properties["shape_before_cropping"])
    numbers = numbers[0].transpose(plans.transpose_forward).astype(np.int64)
    if numbers.shape != raw:
        raise ValueError(f"{instances} has {numbers.shape} voxels, its image {raw}; both must have the same grid")
    box = tuple(slice(*edges) for edges in properties["bbox_used_for_cropping"])
    colours = colour(numbers[box])[None]
    if colours.shape != segmentation.shape:
        spacing = [properties["spacing"][axis] for axis in plans.transpose_forward]
        target = [*spacing[: len(spacing) - len(configuration.spacing)], *configuration.spacing]
        colours = configuration.resampling_fn_seg(colours, segmentation.shape[1:], spacing, target)
    labels = np.asarray(segmentation[:]).astype(np.int16)
    ignore = trainer.label_manager.ignore_label
    objects = labels > 0 if ignore is None else (labels > 0) & (labels != ignore)
    return labels + STRIDE * np.where(objects, colours, 0).astype(np.int16)


def coloured_cases(trainer: Any, cases: Any, raw: Path | None, folder: Path, log: Callable[[str], None]) -> Any:
    """A data set with colours of instances; the same data set if the raw one has no instances.

    If the raw data set is missing, as on a machine that only trains, stored colours are used.

    Args:
        trainer: nnU-Net's trainer.
        cases: nnU-Net's data set.
        raw: Folder of the raw data set; ``None`` where nnUNet_raw is not set.
        folder: Folder of the coloured segmentations. They are made if they are missing or older than their sources.
        log: Function that takes a line of the log.

    Raises:
        FileNotFoundError: If some cases have no instance map.
    """
    if raw is None or not raw.is_dir():
        if all((folder / f"{case}.npy").is_file() for case in cases.identifiers):
            log(f"instances of {len(cases.identifiers)} cases from {folder}")
            return ColouredCases(cases, folder)
        missing_raw = "nnUNet_raw is not set" if raw is None else f"no {raw}"
        log(f"{missing_raw}: objects of one class that touch count as one")
        return cases
    if not (raw / FOLDER).is_dir():
        log(f"no {FOLDER} in {raw}: objects of one class that touch count as one")
        return cases
    ending = trainer.dataset_json["file_ending"]
    maps = {case: instance_map(raw / FOLDER, case, ending) for case in cases.identifiers}
    missing = [str(file) for file in maps.values() if not file.is_file()]
    if missing:
        raise FileNotFoundError(f"{len(missing)} of {len(maps)} cases have no instance map, the first is {missing[0]}")
    folder.mkdir(exist_ok=True)
    sources = Path(trainer.preprocessed_dataset_folder)
    old = [case for case in maps if _older(folder / f"{case}.npy", (maps[case], *sources.glob(f"{case}.pkl")))]
    for case in track(old, description="instances", transient=True, disable=not old):
        _, segmentation, _, properties = cases.load_case(case)
        content = BytesIO()
        np.save(content, coloured_segmentation(trainer, maps[case], segmentation, properties))
        write_atomically(folder / f"{case}.npy", content.getvalue())
    log(f"instances of {len(maps)} cases from {raw / FOLDER}")
    return ColouredCases(cases, folder)


def instance_map(folder: Path, case: str, ending: str) -> Path:
    """The file of a case's instances, with the data set's ending or as PNG, since BMP has no 16 bits."""
    file = folder / f"{case}{ending}"
    png = folder / f"{case}.png"
    return png if png.is_file() and not file.is_file() else file


def _older(file: Path, sources: tuple[Path, ...]) -> bool:
    return not file.is_file() or file.stat().st_mtime < max(os.path.getmtime(source) for source in sources)
