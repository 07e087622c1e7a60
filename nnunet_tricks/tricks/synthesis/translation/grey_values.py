"""From preprocessed grey values back to those of raw images: the inverse of nnU-Net's normalisation.

CT and RGB values have one inverse for all cases. Z-scores and values from 0 to 1 were normalised case by case, so a
translated image gets the mean of what the other data set's training cases have. Preprocessing undoes this again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from nnunetv2.preprocessing.cropping.cropping import crop_to_nonzero
from numpy.typing import NDArray

from nnunet_tricks.tricks.synthesis.cases import FoldCases
from nnunet_tricks.tricks.synthesis.translation.raw_cases import Image, RawCases

BLACK = 0.01
"""Part of the voxels that is black around the objects of images that have such a rim."""

SCHEMES = (
    "CTNormalization",
    "RGBTo01Normalization",
    "NoNormalization",
    "ZScoreNormalization",
    "RescaleTo01Normalization",
)
"""nnU-Net's normalisations, all of which have an inverse here."""

Line = tuple[float, float]
"""Slope and shift from a preprocessed value to a raw one."""


@dataclass(frozen=True)
class RawGreyValues:
    """How raw images of a data set look beside their preprocessed ones.

    Attributes:
        lines: Slope and shift of each channel.
        black: Part of the voxels that is 0 around the objects, which nnU-Net crops away or masks.
        numbers: Kind of numbers in its files.
    """

    lines: tuple[Line, ...]
    black: float
    numbers: np.dtype[Any]

    @classmethod
    def of(
        cls, cases: FoldCases, raw: RawCases, along: Callable[[Iterable[str]], Iterable[str]] = iter
    ) -> RawGreyValues:
        """Read the raw images of all training cases.

        Args:
            cases: Training cases.
            raw: Their raw files.
            along: Shows progress over the names of the cases.
        """
        lines: list[NDArray[np.float64]] = []
        outside = voxels = 0
        for name in along(cases.names):
            image = raw.read(name)
            voxels += int(np.prod(image.shape[1:]))
            cropped, mask, _ = crop_to_nonzero(image)
            inside = mask[0] >= 0
            outside += int(np.prod(image.shape[1:])) - int(inside.sum())
            lines.append(np.array([_line(cases, at, channel, inside) for at, channel in enumerate(cropped)]))
        means = np.mean(lines, axis=0)
        return cls(tuple((float(slope), float(shift)) for slope, shift in means), outside / voxels, raw.numbers)

    @property
    def has_rim(self) -> bool:
        """Whether voxels around the objects are 0, as in images of heads without a skull."""
        return self.black >= BLACK

    def raw(self, image: Image) -> Image:
        """Raw grey values of a preprocessed image, (C, ...)."""
        slopes, shifts = (
            np.reshape(values, (-1, *(1,) * (image.ndim - 1))) for values in zip(*self.lines, strict=True)
        )
        return np.asarray(image * slopes + shifts, np.float32)


def _line(cases: FoldCases, channel: int, image: Image, inside: NDArray[np.bool_]) -> Line:
    """Slope and shift of a channel of a case.

    Args:
        cases: Training cases, for their plans.
        channel: Number of the channel.
        image: Its raw values, cropped.
        inside: Voxels that are not in a rim of 0.
    """
    configuration = cases.planned.configuration
    scheme = str(configuration.normalization_schemes[channel])
    if scheme == "CTNormalization":
        known = cases.planned.plans.foreground_intensity_properties_per_channel[str(channel)]
        return float(known["std"]), float(known["mean"])
    if scheme == "RGBTo01Normalization":
        return 255.0, 0.0
    if scheme == "NoNormalization":
        return 1.0, 0.0
    if scheme == "ZScoreNormalization":
        values = image[inside] if configuration.use_mask_for_norm[channel] else image
        return float(values.std()), float(values.mean())
    return float(image.max() - image.min()), float(image.min())


def check_schemes(cases: FoldCases) -> None:
    """Refuse a normalisation without an inverse.

    Args:
        cases: Training cases, for their plans.

    Raises:
        ValueError: With the first such channel.
    """
    for channel, scheme in enumerate(cases.planned.configuration.normalization_schemes):
        if scheme not in SCHEMES:
            raise ValueError(
                f"channel {channel} of {cases.place.dataset} is normalised by {scheme}, and translated images could "
                f"not be brought back to raw grey values: plan it with one of {', '.join(SCHEMES)}"
            )
