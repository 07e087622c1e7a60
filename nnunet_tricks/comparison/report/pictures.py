"""One slice of a case as small pictures: the image, and truth, baseline and trick to lay over it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.comparison import images
from nnunet_tricks.comparison.scans import ImageVolume
from nnunet_tricks.nnunet.classes import Classes

COLOURS = ("#2fd07a", "#ff9d2e", "#b18cff", "#ff5fa2", "#8fd014", "#ffd21f", "#38b6ff", "#ff6b4a")
"""Colours of the classes, in the order of ``dataset.json``: bright, as most images are dark."""

FILL = 70
"""Opacity of a class's area, of 255; its border has all."""

SIDE = 224
"""Width or height of the layers in pixels, whichever is larger; images are no larger, as a page can enlarge them."""

PALETTE = 64
"""Colours of a colour picture: enough to see what is there, in a third of the bytes."""

MARGIN = 0.4
"""Share of the objects' extent that is shown around them."""

LEAST = 48
"""Least width and height that is shown, in pixels."""

Mask = NDArray[np.generic]


@dataclass(frozen=True)
class SlicePicture:
    """A slice, as PNG in base64.

    Attributes:
        axis: Across which the volume was cut; 0 for the first axis of the array.
        slice: Number of the slice, from 0.
        width: Width of the layers, in square pixels.
        height: Height of the layers.
        image: Grey values or colours of the image.
        layers: Label maps ``truth``, ``baseline`` and ``trick``: transparent where there is background.
    """

    axis: int
    slice: int
    width: int
    height: int
    image: str
    layers: Mapping[str, str]


def picture(
    channels: Sequence[Path], truth: Path, baseline: Path, trick: Path, classes: Classes, *, ct: bool = False
) -> SlicePicture:
    """Show where two predictions of a case differ most.

    Args:
        channels: Files of the image, one for each channel.
        truth: File of the label map.
        baseline: File that the baseline predicts.
        trick: File that the trick predicts.
        classes: Classes or regions to show.
        ct: Whether the first channel is in HU.

    Raises:
        ValueError: If a file cannot be read, or the shapes differ.
    """
    maps = {name: images.read(file) for name, file in (("truth", truth), ("baseline", baseline), ("trick", trick))}
    flat = maps["truth"].values.ndim == 2
    volumes = {name: labels.values[None] if flat else labels.values for name, labels in maps.items()}
    spacing = (1.0, *maps["truth"].spacing) if flat else maps["truth"].spacing
    image = ImageVolume.read(channels)
    shapes = {volume.shape for volume in volumes.values()} | {image.values.shape[1:]}
    if len(shapes) > 1:
        raise ValueError(f"{truth.name}: image, label and predictions have the shapes {sorted(shapes)}")
    axis = int(np.argmax(spacing)) if not flat else 0
    volumes = {name: np.moveaxis(volume, axis, 0) for name, volume in volumes.items()}
    image = ImageVolume(np.moveaxis(image.values, axis + 1, 1), image.natural)
    index = _most_telling(volumes, classes)
    planes = {name: volume[index] for name, volume in volumes.items()}
    box = _box(
        [np.isin(plane, [value for values in classes.values.values() for value in values]) for plane in planes.values()]
    )
    rows, columns = (spacing[place] for place in range(3) if place != axis)
    size = _size(box, rows, columns)
    plane = image.plane(index, ct=ct)[box]
    grey = _png(_resized(plane, size, smooth=True) if max(plane.shape[:2]) > SIDE else plane)
    layers = {
        name: _layer(_resized(_codes(plane[box], classes), size), len(classes.values)) for name, plane in planes.items()
    }
    return SlicePicture(axis, index, size[1], size[0], grey, layers)


def _most_telling(volumes: Mapping[str, Mask], classes: Classes) -> int:
    """The slice in which one prediction is wrong most often where the other is right."""
    truth, baseline, trick = (_codes(volumes[name], classes) for name in ("truth", "baseline", "trick"))
    wrong = [(predicted != truth).sum(axis=(1, 2)).astype(np.int64) for predicted in (baseline, trick)]
    score = np.abs(wrong[0] - wrong[1])
    return int(np.argmax(score if score.any() else (truth > 0).sum(axis=(1, 2))))


def _codes(labels: Mask, classes: Classes) -> NDArray[np.uint8]:
    """Classes as 1, 2, ...; of regions within each other the later one is on top, as in nnU-Net."""
    codes = np.zeros(labels.shape, np.uint8)
    for code, values in enumerate(classes.values.values(), 1):
        codes[np.isin(labels, values)] = code
    return codes


def _box(masks: Sequence[NDArray[np.bool_]]) -> tuple[slice, slice]:
    """The part of a slice that is shown: all objects with some room around them."""
    union = np.logical_or.reduce(masks)
    sides = []
    for axis in (0, 1):
        filled = np.flatnonzero(union.any(axis=1 - axis))
        length = union.shape[axis]
        first, last = (int(filled[0]), int(filled[-1]) + 1) if filled.size else (0, length)
        extent = max(int((last - first) * (1 + 2 * MARGIN)), LEAST)
        start = max(0, min((first + last - extent) // 2, length - extent))
        sides.append(slice(start, min(length, start + extent)))
    return sides[0], sides[1]


def _size(box: tuple[slice, slice], row: float, column: float) -> tuple[int, int]:
    """Height and width of the picture, with square pixels."""
    height, width = ((side.stop - side.start) * step for side, step in zip(box, (row, column), strict=True))
    scale = SIDE / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _resized(plane: NDArray[np.uint8], size: tuple[int, int], *, smooth: bool = False) -> NDArray[np.uint8]:
    from PIL import Image

    shrunk = smooth and plane.shape[0] > size[0]
    resampling = Image.Resampling.BOX if shrunk else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(plane).resize((size[1], size[0]), resampling))


def _layer(codes: NDArray[np.uint8], classes: int) -> str:
    """A layer in the classes' colours: areas almost transparent, borders opaque."""
    padded = np.pad(codes, 1, mode="edge")
    inner = padded[1:-1, 1:-1]
    neighbours = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    border = (codes > 0) & np.logical_or.reduce([neighbour != inner for neighbour in neighbours])
    palette, opacity = [0, 0, 0], [0]
    for index in range(classes):
        colour = COLOURS[index % len(COLOURS)]
        rgb = [int(colour[start : start + 2], 16) for start in (1, 3, 5)]
        palette += [*rgb, *rgb]
        opacity += [FILL, 255]
    places = np.where(codes > 0, 2 * codes.astype(np.int64) - 1 + border, 0).astype(np.uint8)
    return _png(places, palette, bytes(opacity))


def _png(values: NDArray[np.uint8], palette: Sequence[int] = (), opacity: bytes = b"") -> str:
    from PIL import Image

    image, stream = Image.fromarray(values), io.BytesIO()
    if image.mode == "RGB":
        image = image.quantize(PALETTE, dither=Image.Dither.NONE)
    if palette:
        image.putpalette(palette)
        image.save(stream, format="PNG", optimize=True, transparency=opacity)
    else:
        image.save(stream, format="PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode("ascii")
