"""Axial slices of volumes, and whole pictures, in one form: an 8-bit stack, and a label stack of the same shape."""

# mypy: untyped-calls-exclude="nibabel"
from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.orientations import apply_orientation, io_orientation
from numpy.typing import NDArray

from dataset_conversion.errors import Refused
from dataset_conversion.labels import count_labels
from dataset_conversion.picture import decode, read_picture
from dataset_conversion.source_file import open_source
from dataset_conversion.volume import NIFTI_ENDINGS, check_image, check_label_values, read_volume

Stack = NDArray[np.uint8]


@lru_cache(maxsize=1)
def read_image(path: Path, window: tuple[float, float] | None) -> tuple[Stack, str]:
    """Read an image as (slices, height, width) grey, or (1, height, width, 3) colour, and the hash of its file.

    The last image is cached, since its slices are read one after the other.

    Args:
        path: A NIfTI volume or a picture.
        window: Values that become black and white; None takes the 0.5 and 99.5 percentiles of a volume.
    """
    if not path.name.lower().endswith(NIFTI_ENDINGS):
        picture = read_picture(path)
        return picture.pixels[None], picture.source.sha256
    volume = read_volume(path)
    check_image(volume)
    values = _axial(volume.values(), volume.affine)
    low, high = window or np.percentile(values, (0.5, 99.5))
    grey = (values.astype(np.float32) - np.float32(low)) * np.float32(255.0 / max(float(high) - float(low), 1e-6))
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8), volume.source.sha256


@lru_cache(maxsize=1)
def read_label(path: Path) -> tuple[Stack, str]:
    """Read a label as (slices, height, width), and the hash of its file."""
    if not path.name.lower().endswith(NIFTI_ENDINGS):
        source = open_source(path)
        values = np.asarray(decode(source))
        if values.ndim != 2 or values.dtype.kind not in "bui" or int(values.max()) > 255 or int(values.min()) < 0:
            raise Refused(
                f"{path.name} is {' x '.join(map(str, values.shape))} of {values.dtype} from {values.min()} to "
                f"{values.max()}; a label is a grey picture with values from 0 to 255"
            )
        return values.astype(np.uint8)[None], source.sha256
    volume = read_volume(path)
    return _axial(check_label_values(volume), volume.affine), volume.source.sha256


def chosen_slices(label: Stack, values: Sequence[int], count: int, smallest: int) -> list[int]:
    """Choose at most ``count`` slices, evenly spread over those in which an object is large enough.

    Examples:
        >>> stack = np.zeros((9, 4, 4), dtype=np.uint8)
        >>> stack[2:8] = 1
        >>> chosen_slices(stack, [1], 3, smallest=4)
        [2, 4, 7]
    """
    if not set(count_labels(label)) & set(values):
        return []
    areas = np.isin(label, values).sum(axis=(1, 2))
    large = np.flatnonzero(areas >= smallest)
    if len(large) > count:
        large = large[np.linspace(0, len(large) - 1, count).astype(int)]
    return [int(index) for index in large]


def _axial(voxels: NDArray[Any], affine: NDArray[np.float64]) -> NDArray[Any]:
    """Axial slices from the feet up, each with the front of the body on top and its right side on the left."""
    standard = apply_orientation(voxels, io_orientation(affine))
    return np.asarray(standard.transpose(2, 1, 0)[:, ::-1, ::-1])
