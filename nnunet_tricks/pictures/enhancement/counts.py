"""Counts of how often each channel is chosen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nnunet_tricks.pictures.enhancement.model import Look


@dataclass(frozen=True)
class Frequency:
    """Frequency of the channels that are chosen at one skip connection.

    Attributes:
        stage: Number of the skip connection.
        count: Number of channels that are chosen in each image.
        times: Number of images in which each channel is chosen.
        images: Number of images.
    """

    stage: int
    count: int
    times: tuple[int, ...]
    images: int

    @property
    def always(self) -> int:
        """Number of channels that are chosen in every image."""
        return sum(times == self.images for times in self.times)

    @property
    def never(self) -> int:
        """Number of channels that are chosen in no image."""
        return sum(times == 0 for times in self.times)


def frequencies(looks: Iterable[Look]) -> list[Frequency]:
    """Count over images, for each skip connection from shallow to deep.

    Args:
        looks: Looks at the images, one at a time; each may be forgotten before the next is made.
    """
    counted: list[Frequency] = []
    for images, look in enumerate(looks, start=1):
        before = [frequency.times for frequency in counted] or [(0,) * len(s.scores) for s in look.selections]
        counted = [
            Frequency(
                stage=selection.stage,
                count=len(selection.chosen),
                times=tuple(times + (channel in selection.chosen) for channel, times in enumerate(earlier)),
                images=images,
            )
            for selection, earlier in zip(look.selections, before, strict=True)
        ]
    return counted
