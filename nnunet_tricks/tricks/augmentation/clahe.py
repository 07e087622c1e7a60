"""Contrast-limited adaptive histogram equalisation (CLAHE): dark and bright regions both get contrast.

The image is cut into 8 x 8 tiles. In each tile, grey values are spread by the tile's own histogram. Before that, bins
are cut off at a multiple of their mean, so that noise in flat tiles is not amplified. Zuiderveld, "Contrast limited
adaptive histogram equalization", Graphics Gems IV, 1994. Tiles, and the limit in units of the mean bin, are those of
OpenCV and of the trick paper's published code. scikit-image computes it, within the range of grey values.
"""

# mypy: untyped-calls-exclude="skimage", disable-error-code="import-untyped"
from __future__ import annotations

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import ImageOnlyTransform
from skimage.exposure import equalize_adapthist
from torch import Tensor

from nnunet_tricks.tricks.augmentation.grey import LUMINANCE, unit

BINS = 256
TILES = 8


def equalised(image: Tensor, limit: float) -> Tensor:
    """A grey image with its contrast spread tile by tile, within the range that it has.

    Args:
        image: (height, width).
        limit: Largest bin of a tile's histogram, in units of the mean bin.

    Returns:
        A new image of the same shape.

    Examples:
        >>> one_bright_pixel = torch.linspace(0.4, 0.6, 64).repeat(64, 1)
        >>> one_bright_pixel[0, 0] = 1
        >>> bool(equalised(one_bright_pixel, limit=4).std() > one_bright_pixel.std())
        True
    """
    low, high = torch.aminmax(image)
    extent = high - low
    if not extent > 0:
        return image
    tile = [max(1, side // TILES) for side in image.shape]
    spread = equalize_adapthist(((image - low) / extent).numpy(), kernel_size=tile, clip_limit=limit / BINS, nbins=BINS)
    return torch.from_numpy(spread).to(image.dtype) * extent + low


class CLAHE(ImageOnlyTransform):
    """Equalises the luminance of colour images, and each channel of others by itself; 2D only."""

    def __init__(self, limit: tuple[float, float], *, colour: bool, together: bool = False) -> None:
        """Set up the transform.

        Args:
            limit: Smallest and largest limit; each image gets one in between, drawn uniformly.
            colour: Whether the channels are red, green and blue.
            together: Whether these have one scale, see ``Saturation``.
        """
        super().__init__()
        self.limit = limit
        self.colour = colour
        self.together = together

    def get_parameters(self, **_: object) -> dict[str, float]:
        """Draw the limit of an image."""
        return {"limit": float(np.random.uniform(*self.limit))}

    def _apply_to_image(self, image: Tensor, *, limit: float) -> Tensor:
        if not self.colour:
            return torch.stack([equalised(channel, limit) for channel in image])
        colours, extent, low = unit(image, together=self.together)
        luminance = torch.tensordot(LUMINANCE, colours, 1)
        # All channels move by as much as the luminance, so that differences between them, the colour, stay.
        moved = colours + (equalised(luminance, limit) - luminance)
        return moved.clamp_(0, 1).mul_(extent).add_(low)
