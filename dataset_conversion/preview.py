"""An overview picture of a converted data set, with outlines, to be looked at before training."""

# mypy: untyped-calls-exclude="nibabel"
from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dataset_conversion.model import CaseRecord, ConversionSettings

CASES = 12
TILE = 256
WINDOW = (-160.0, 240.0)
"""HU that become black and white: soft tissue."""
COLOURS = ((0, 255, 0), (255, 64, 64), (64, 160, 255), (255, 220, 0), (255, 0, 255), (0, 255, 255), (255, 140, 0))

Pixels = NDArray[np.uint8]


def preview(folder: Path, records: Sequence[CaseRecord], settings: ConversionSettings) -> bytes:
    """Draw up to a dozen cases: those with warnings first, then others, evenly spread.

    Args:
        folder: The data set's folder.
        records: Converted cases.
        settings: Settings of the conversion.

    Returns:
        A PNG file.
    """
    labelled = [record for record in records if record.voxels]
    doubtful = [record for record in labelled if record.warnings][:CASES]
    others = [record for record in labelled if not record.warnings]
    room = min(CASES - len(doubtful), len(others))
    chosen = [*doubtful, *(others[number * len(others) // room] for number in range(room))]
    rows = [_row(folder, record, settings) for record in chosen]
    across = 1 if settings.file_ending.startswith(".nii") else 4
    width = max(len(row) for row in rows) * TILE * across
    lines = [rows[start : start + across] for start in range(0, len(rows), across)]
    sheet = Image.new("RGB", (width, len(lines) * TILE))
    for down, line in enumerate(lines):
        for right, tile in enumerate(tile for row in line for tile in row):
            sheet.paste(tile, (right * TILE, down * TILE))
    stream = io.BytesIO()
    sheet.save(stream, "PNG")
    return stream.getvalue()


def _row(folder: Path, record: CaseRecord, settings: ConversionSettings) -> list[Image.Image]:
    """Draw the tiles of one case: three planes of a volume, or one picture."""
    image_name, label_name = (
        next(name for name in record.outputs if name.startswith(start)) for start in ("images", "labels")
    )
    if settings.file_ending.startswith(".nii"):
        tiles = _planes(folder / image_name, folder / label_name)
    else:
        picture = np.asarray(Image.open(folder / image_name).convert("RGB"))
        tiles = [_tile(picture, np.asarray(Image.open(folder / label_name)), (1.0, 1.0))]
    ImageDraw.Draw(tiles[0]).text((4, 4), record.id, fill=(255, 255, 0))
    return tiles


def _planes(image_path: Path, label_path: Path) -> list[Image.Image]:
    """Draw three planes through the middle of the label, with the head up and the patient's right on the left."""
    image = nibabel.funcs.as_closest_canonical(nibabel.loadsave.load(image_path))
    label = np.asanyarray(nibabel.funcs.as_closest_canonical(nibabel.loadsave.load(label_path)).dataobj)
    inside = np.argwhere(label)
    middle = np.median(inside, axis=0).astype(int) if len(inside) else np.array(label.shape) // 2
    edges = [float(edge) for edge in image.header.get_zooms()]
    tiles = []
    for axis in (2, 1, 0):
        across, down = (other for other in range(3) if other != axis)
        where = tuple(int(middle[axis]) if other == axis else slice(None) for other in range(3))
        # Turned upside down and, except for the sagittal plane, seen from the feet or from the front.
        flip = (slice(None, None, -1), slice(None, None, -1 if axis else None))
        plane = np.asarray(image.dataobj[where], dtype=np.float64).T[flip]
        grey = np.clip((plane - WINDOW[0]) / (WINDOW[1] - WINDOW[0]), 0, 1) * 255
        picture = np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
        tiles.append(_tile(picture, label[where].T[flip], (edges[down], edges[across])))
    return tiles


def _tile(picture: Pixels, label: NDArray[np.generic], edges: tuple[float, float]) -> Image.Image:
    """Draw a picture with its outlines, fitted into a square without distortion."""
    height, width = picture.shape[0] * edges[0], picture.shape[1] * edges[1]
    scale = TILE / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    resized = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR)).copy()
    labels = np.asarray(Image.fromarray(label.astype(np.uint8)).resize(size, Image.Resampling.NEAREST))
    for value in (int(value) for value in np.unique(labels) if value):
        resized[_outline(labels == value)] = COLOURS[(value - 1) % len(COLOURS)]
    tile = Image.new("RGB", (TILE, TILE))
    tile.paste(Image.fromarray(resized))
    return tile


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of a mask with a neighbour outside it."""
    padded = np.pad(mask, 1, mode="edge")
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner
