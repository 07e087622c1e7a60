"""Images that a generator drew some steps ago, so that a discriminator does not only know its latest ones."""

from __future__ import annotations

import torch
from torch import Tensor

SIZE = 50
"""Published number of images (Shrivastava et al., CVPR 2017; Zhu et al., ICCV 2017, section 4)."""


class ImagePool:
    """Keeps images and hands out older ones.

    Attributes:
        size: Largest number of images.
        images: Images that are kept, each (C, Y, X).
    """

    def __init__(self, size: int = SIZE) -> None:
        """Make an empty pool.

        Args:
            size: Largest number of images.
        """
        self.size = size
        self.images: list[Tensor] = []

    def exchange(self, images: Tensor) -> Tensor:
        """Images for the discriminator.

        While the pool fills up, they are the new ones. Then each is, with probability 0.5, an older one, whose place
        the new one takes. The draws are those of torch's global generator on the CPU.

        Args:
            images: What the generator has just drawn, (B, C, Y, X), without a gradient.

        Returns:
            As many images.
        """
        chosen = []
        for image in images:
            if len(self.images) < self.size:
                self.images.append(image)
                chosen.append(image)
            elif float(torch.rand(())) < 0.5:
                place = int(torch.randint(self.size, ()))
                chosen.append(self.images[place])
                self.images[place] = image
            else:
                chosen.append(image)
        return torch.stack(chosen)
