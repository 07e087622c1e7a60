"""Images, as a picture or a measurement of contrast needs them. Imports neither torch nor nnU-Net."""

# mypy: untyped-calls-exclude="SimpleITK"
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.comparison.images import ITK, TIFF, UNREADABLE, reason
from nnunet_tricks.utilities.whole_images import check_whole

CT_WINDOW = (-160.0, 240.0)
"""Window of soft tissue in HU."""


@dataclass(frozen=True)
class ImageVolume:
    """An image with all its channels.

    Attributes:
        values: Grey values, axes channel, z, y, x. A 2D image has one slice, a colour image three channels.
        natural: Whether the image is a picture with values from 0 to 255.
    """

    values: NDArray[np.float32]
    natural: bool = False

    @classmethod
    def read(cls, files: Sequence[Path]) -> ImageVolume:
        """Read the files of a case, one for each of nnU-Net's channels.

        Raises:
            ValueError: If one cannot be read, or is cut off or damaged.
        """
        channels = [channel for file in files for channel in _channels(file)]
        if len({channel.shape for channel in channels}) > 1:
            raise ValueError(f"{files[0].name} and the other channels of its case have different shapes")
        return cls(np.stack(channels), natural=not files[0].name.lower().endswith(ITK + TIFF))

    def plane(self, index: int, *, ct: bool = False) -> NDArray[np.uint8]:
        """A slice as grey values or colours: CT in a soft-tissue window, all else between its own percentiles.

        Args:
            index: Number of the slice.
            ct: Whether the first channel is in HU.

        Returns:
            Grey values, axes y, x, or RGB, axes y, x, colour.
        """
        if self.natural and len(self.values) == 3:
            return np.moveaxis(np.clip(self.values[:, index], 0, 255), 0, -1).astype(np.uint8)
        plane = self.values[0, index].astype(np.float64)
        finite = plane[np.isfinite(plane)]
        low, high = CT_WINDOW if ct else np.percentile(finite, (0.5, 99.5)) if finite.size else (0.0, 1.0)
        scaled = np.clip((np.nan_to_num(plane) - low) / max(float(high - low), 1e-6), 0, 1)
        return np.round(255 * scaled).astype(np.uint8)


def _channels(file: Path) -> list[NDArray[np.float32]]:
    try:
        check_whole(file)
        if file.name.lower().endswith(ITK):
            import SimpleITK as sitk  # noqa: N813, its usual name

            values = sitk.GetArrayFromImage(sitk.ReadImage(str(file)))
        elif file.name.lower().endswith(TIFF):
            import tifffile

            values = tifffile.imread(file)
        else:
            from skimage import io

            values = io.imread(file)
            if values.ndim == 3:
                return [
                    np.asarray(values[None, ..., channel], np.float32) for channel in range(min(3, values.shape[-1]))
                ]
    except UNREADABLE as error:
        raise ValueError(f"{file} cannot be read as an image: {reason(error)}") from None
    volume = np.asarray(values, np.float32)
    return [volume[None] if volume.ndim == 2 else volume]
