"""What a case is like, measured from its truth and image: size, number and contrast of objects, and spacing."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.comparison import images
from nnunet_tricks.comparison.scans import ImageVolume
from nnunet_tricks.nnunet.classes import Classes
from nnunet_tricks.utilities.files import write_atomically

VERSION = 2
"""Version of the definitions: what others have measured is not taken from the file."""

SHELL = 3
"""Width of an object's surroundings in voxels."""

TRAITS = {
    "size": "volume of the class in mm³ (mm² or pixels in 2D)",
    "count": "number of connected objects",
    "contrast": "mean grey value inside minus that of annotated voxels within 3, by the standard deviation of both",
    "spacing": "largest distance between voxels along an axis in mm",
}
"""Name and definition. Size, count and spacing span decades, so their logarithms count."""

Values = dict[str, dict[str, float]]
"""Traits of each class; NaN where a trait is not defined."""


@dataclass(frozen=True)
class TraitSource:
    """Files of a case from which its traits are measured.

    Attributes:
        case: Identifier of the case.
        truth: File of its label map.
        channels: Files of its image, one for each channel; empty if it is not at hand.
    """

    case: str
    truth: Path
    channels: tuple[Path, ...] = ()

    @property
    def stamp(self) -> str:
        """A text that changes whenever one of the files does."""
        return " ".join(f"{file.stat().st_size} {file.stat().st_mtime_ns}" for file in (self.truth, *self.channels))


def measure(sources: Sequence[TraitSource], classes: Classes, cache: Path | None = None) -> dict[str, Values]:
    """The traits of cases, or what an earlier call has measured.

    Args:
        sources: Files of the cases.
        classes: Classes or regions; each has traits of its own.
        cache: File that keeps what was measured.

    Raises:
        ValueError: If a truth or an image cannot be read.
    """
    known = _known(cache)
    traits: dict[str, Values] = {}
    changed = False
    for source in sources:
        stamp = f"{source.stamp} ignore {classes.ignore}"
        keys = {label: "+".join(map(str, values)) for label, values in classes.values.items()}
        before = known.get(source.case, {})
        values = before.get("values", {}) if before.get("stamp") == stamp else {}
        if not set(keys.values()) <= set(values):
            values = values | {
                keys[label]: _as_stored(of_label) for label, of_label in _of_case(source, classes).items()
            }
            known[source.case] = {"stamp": stamp, "values": values}
            changed = True
        traits[source.case] = {label: _as_floats(values[key]) for label, key in keys.items()}
    if cache and changed:
        with suppress(OSError):
            cache.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(cache, json.dumps({"version": VERSION, "cases": known}))
    return traits


def of_object(
    mask: NDArray[np.bool_],
    spacing: Sequence[float],
    image: NDArray[np.float32] | None = None,
    annotated: NDArray[np.bool_] | None = None,
) -> dict[str, float]:
    """The traits of one class.

    Args:
        mask: Whether a voxel belongs to the class, axes z, y, x or y, x.
        spacing: Distance of voxels along each axis.
        image: Grey values, axes channel and those of the mask; None if there is no image. The channel with the
            strongest contrast counts.
        annotated: Whether a voxel is annotated; None if all are.

    Returns:
        Numbers by the names of ``TRAITS``; only spacing and count are defined for an empty mask.

    Examples:
        >>> mask = np.zeros((4, 8), bool)
        >>> mask[1:3, 1:3] = True
        >>> of_object(mask, (1.0, 0.5), np.where(mask, 9.0, 1.0)[None])["size"]
        2.0
    """
    from scipy import ndimage

    # Objects that touch at a corner are one, as in the lesion metrics.
    count = int(ndimage.label(mask, np.ones((3,) * mask.ndim))[1])
    traits = {"size": math.nan, "count": float(count), "contrast": math.nan, "spacing": float(max(spacing))}
    if count:
        traits["size"] = float(np.count_nonzero(mask)) * math.prod(spacing)
    if count and image is not None:
        box = ndimage.find_objects(mask.astype(np.uint8))[0]
        near = tuple(slice(max(0, side.start - SHELL), side.stop + SHELL) for side in box)
        channels = [channel[near] for channel in image]
        traits["contrast"] = contrast_of(channels, mask[near], True if annotated is None else annotated[near])
    return traits


def contrast_of(
    channels: Sequence[NDArray[np.float32]], mask: NDArray[np.bool_], annotated: NDArray[np.bool_] | bool
) -> float:
    """Contrast of a class to its surroundings, in the channel with the strongest.

    Args:
        channels: Grey values of each channel, with the axes of the mask.
        mask: Whether a voxel belongs to the class.
        annotated: Whether a voxel is annotated: what is around may be of the class where it is not.

    Returns:
        Difference of mean grey values in standard deviations; NaN if nothing around is annotated, or all is alike.
    """
    from scipy import ndimage

    around = ndimage.binary_dilation(mask, np.ones((3,) * mask.ndim), iterations=SHELL) & ~mask & annotated
    if not around.any():
        return math.nan
    contrasts = []
    for grey in channels:
        spread = float(np.std(grey[mask | around], dtype=np.float64))
        if spread > 0:
            contrasts.append(float(grey[mask].mean(dtype=np.float64) - grey[around].mean(dtype=np.float64)) / spread)
    return max(contrasts, key=abs, default=math.nan)


def _of_case(source: TraitSource, classes: Classes) -> Values:
    truth = images.read(source.truth)
    image = ImageVolume.read(source.channels).values if source.channels else None
    if image is not None and truth.values.ndim == 2:
        image = image[:, 0]
    if image is not None and image.shape[1:] != truth.values.shape:
        raise ValueError(f"{source.case}: the image has shape {image.shape[1:]}, its label {truth.values.shape}")
    annotated = None if classes.ignore is None else truth.values != classes.ignore
    return {
        label: of_object(np.isin(truth.values, values), truth.spacing, image, annotated)
        for label, values in classes.values.items()
    }


def _known(cache: Path | None) -> dict[str, dict[str, Any]]:
    if cache:
        with suppress(OSError, ValueError, KeyError, TypeError):
            content = json.loads(cache.read_text(encoding="utf-8"))
            if content["version"] == VERSION:
                return dict(content["cases"])
    return {}


def _as_stored(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in values.items()}


def _as_floats(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: math.nan if value is None else value for name, value in values.items()}
