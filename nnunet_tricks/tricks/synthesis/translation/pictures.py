"""A picture with images of two data sets before and after their translation."""

from __future__ import annotations

import torch
from torch import nn

from nnunet_tricks.training.shared_randomness import seeded
from nnunet_tricks.tricks.synthesis.cases import scaled
from nnunet_tricks.tricks.synthesis.gallery import ROWS, image_pixels, png
from nnunet_tricks.tricks.synthesis.translation.pair import DataSetPair
from nnunet_tricks.tricks.synthesis.translation.place import TranslationFacts
from nnunet_tricks.utilities.files import write_atomically


def write_pictures(
    pair: DataSetPair, facts: TranslationFacts, generators: tuple[nn.Module, nn.Module], device: torch.device
) -> None:
    """Write a picture: an image, with the other look, back again; an image of the other data set, with the own look.

    Args:
        pair: Training cases of both.
        facts: What is known of the CycleGAN.
        generators: Generators there and back.
        device: Device that they are on.
    """
    forth, back = generators
    rows = []
    with seeded("ganaug translate", facts.seed, "pictures"), torch.no_grad():
        for _ in range(ROWS):
            image, other = (
                scaled(cases.draw(pair.crop, on_foreground=0)[1], ranges)[None].to(device)
                for cases, ranges in zip(pair.both, (facts.ranges, facts.other_ranges), strict=True)
            )
            there = forth(image)
            rows.append([image_pixels(part[0].cpu()) for part in (image, there, back(there), other, back(other))])
    write_atomically(pair.place.gallery, png(rows))
