"""What annotators painted, read from their label maps as the values of a data set."""

# mypy: untyped-calls-exclude="SimpleITK"
from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from nnunet_tricks.annotation.axes import Axial
from nnunet_tricks.annotation.classes import PaintedClasses
from nnunet_tricks.annotation.placing import turned_like
from nnunet_tricks.annotation.scans import VolumeFile
from nnunet_tricks.annotation.segments import Segment, segments_of

Flags = NDArray[np.bool_]

OTHER = -1
"""Value of voxels whose paint belongs to no class."""


@dataclass
class Paint:
    """The paint of one case.

    Attributes:
        values: Values of the data set on the image's grid, slices first, from inferior to superior. They are 0 where
            nothing was painted, and ``OTHER`` where the paint belongs to no class.
        others: Number of voxels for each value or segment that belongs to no class, such as ``value 3``.
        overlaps: Number of voxels for each two classes that share them.
        overlapping: Slices in which classes share voxels.
        segments: Value of the class of each of 3D Slicer's segments, by name.
        by_number: Whether numbers decided the classes of segments, since no segment has the name of a class.
    """

    values: NDArray[np.int16]
    others: Counter[str] = field(default_factory=Counter)
    overlaps: Counter[str] = field(default_factory=Counter)
    overlapping: list[int] = field(default_factory=list)
    segments: dict[str, int] = field(default_factory=dict)
    by_number: bool = False


def read_paint(label: VolumeFile, image: Axial, classes: PaintedClasses) -> Paint:
    """Read one label map; voxels are matched with those of the image by their place.

    In a ``.seg.nrrd`` of 3D Slicer names of segments decide, if any of them is the name of a class, since the numbers
    are 3D Slicer's own. In all other files numbers decide. A voxel of two classes goes to the one with the
    higher value.

    Args:
        label: File of the label map.
        image: Slices of its image.
        classes: The painted classes.

    Raises:
        ValueError: If the label map is not on the image's grid, has paint outside the image, or its values are not
            whole numbers.
    """
    layers, segments = _stored(label, image)
    named = any(classes.named(segment.name) for segment in segments)
    repeated = len({segment.value for segment in segments}) < len(segments)
    if repeated and not named:
        raise ValueError(
            f"{label.file} has the segments {', '.join(segment.name for segment in segments)}, and none has the name "
            f"of a class ({', '.join(classes.names)}): rename them in 3D Slicer, or name the classes as they are"
        )
    paint = Paint(np.zeros(layers[0].shape, np.int16), by_number=bool(segments) and not named)
    if paint.by_number:
        known = [segment for segment in segments if segment.value in classes.values]
        paint.segments = {segment.name: classes.values[segment.value] for segment in known}
    parts = _by_segment(layers, segments, classes, paint) if named else _by_number(layers, classes, paint)
    crowded = np.zeros(paint.values.shape, bool)
    for value, voxels in sorted(parts, key=lambda part: part[0]):
        crowded |= _add(paint, value, voxels, classes)
    paint.values = image.slices_first(paint.values)
    paint.overlapping = np.flatnonzero(image.slices_first(crowded).any(axis=(1, 2))).tolist()
    return paint


def masks_of(label: VolumeFile, image: Axial) -> dict[str, Flags]:
    """Masks of all paint, slices first, by the name of 3D Slicer's segment or by value.

    Args:
        label: File of the label map.
        image: Slices of its image.

    Raises:
        ValueError: If the label map is not on the image's grid, or its values are not whole numbers.
    """
    layers, segments = _stored(label, image)
    masks: dict[str, Flags] = {}
    rest = [layer.copy() for layer in layers]
    for segment in segments:
        voxels = layers[segment.layer] == segment.value
        rest[segment.layer][voxels] = 0
        masks[segment.name] = masks.get(segment.name, False) | voxels  # two segments may have the same name
    for layer in rest:
        for number in np.unique(layer[layer != 0]):
            masks[f"value {number}"] = masks.get(f"value {number}", False) | (layer == number)
    return {name: image.slices_first(mask) for name, mask in masks.items()}


def _stored(label: VolumeFile, image: Axial) -> tuple[list[NDArray[np.integer]], list[Segment]]:
    """Layers on the image's grid, and 3D Slicer's segments if the file has any."""
    header = label.header
    layers = [_placed(layer, label, image) for layer in _layers(label, header.components)]
    try:
        segments = segments_of(header.metadata, len(layers))
    except ValueError as error:
        raise ValueError(f"{label.file}: {error}") from error
    if len(layers) > 1 and not segments:
        raise ValueError(
            f"{label.file} has {len(layers)} values per voxel, and does not say what they are, unlike a .seg.nrrd of "
            "3D Slicer: save a label map with one value per voxel"
        )
    return layers, segments


def _layers(label: VolumeFile, components: int) -> list[NDArray[np.integer]]:
    stored = SimpleITK.GetArrayFromImage(label.image())
    whole = label.whole(stored)
    return [whole[..., index] for index in range(components)] if components > 1 else [whole]


def _placed(layer: NDArray[np.integer], label: VolumeFile, image: Axial) -> NDArray[np.integer]:
    placed = turned_like(layer, label.header.axial, image)
    if placed is None:
        sizes = ["x".join(map(str, axial.shape)) for axial in (label.header.axial, image)]
        raise ValueError(
            f"{label.file} ({sizes[0]} voxels) does not have the voxels of its image ({sizes[1]} voxels), nor some "
            "of them: spacing, directions or the place of the first voxel differ. Save the labels on the image's own "
            "grid (in 3D Slicer: Export to files, with the image as reference volume)"
        )
    outside = np.count_nonzero(layer) - np.count_nonzero(placed)
    if outside:
        raise ValueError(
            f"{label.file} has {outside} painted voxels outside its image: does it belong to another image?"
        )
    return placed


def _by_segment(
    layers: list[NDArray[np.integer]], segments: list[Segment], classes: PaintedClasses, paint: Paint
) -> Iterator[tuple[int, Flags]]:
    known = [np.zeros(layer.shape, bool) for layer in layers]
    for segment in segments:
        voxels = layers[segment.layer] == segment.value
        known[segment.layer] |= voxels
        value = classes.named(segment.name)
        if value:
            paint.segments[segment.name] = value
        elif voxels.any():
            paint.others[f"segment '{segment.name}'"] += int(np.count_nonzero(voxels))
        if voxels.any():
            yield value or OTHER, voxels
    for layer, named in zip(layers, known, strict=True):
        rest = np.where(named, 0, layer)
        for number in np.unique(rest[rest != 0]):
            voxels = rest == number
            paint.others[f"value {number}"] += int(np.count_nonzero(voxels))
            yield OTHER, voxels


def _by_number(layers: list[NDArray[np.integer]], classes: PaintedClasses, paint: Paint) -> Iterator[tuple[int, Flags]]:
    for layer in layers:
        for number in np.unique(layer[layer != 0]):
            voxels = layer == number
            value = classes.values.get(int(number), OTHER)
            if value == OTHER:
                paint.others[f"value {number}"] += int(np.count_nonzero(voxels))
            yield value, voxels


def _add(paint: Paint, value: int, voxels: Flags, classes: PaintedClasses) -> Flags:
    """Add the paint of one value, and return the voxels that another class already had.

    Paint of no class is added first, then classes in ascending order.
    """
    had = voxels & (paint.values > 0) & (paint.values != value)
    for before in np.unique(paint.values[had]):
        pair = f"{classes.names[before - 1]} and {classes.names[value - 1]}"
        paint.overlaps[pair] += int(np.count_nonzero(paint.values[had] == before))
    paint.values[voxels] = value
    return had
