"""How often each channel is chosen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nnunet_tricks.pictures.enhancement.model import Look


@dataclass(frozen=True)
class Frequency:
    """Choices at one skip connection.

    Attributes:
        stage: Its number.
        count: How many channels are chosen in each image.
        times: In how many images each channel is.
        images: How many images there are.
    """

    stage: int
    count: int
    times: tuple[int, ...]
    images: int

    @property
    def always(self) -> int:
        """How many channels are chosen in every image."""
        return sum(times == self.images for times in self.times)

    @property
    def never(self) -> int:
        """How many channels are chosen in none."""
        return sum(times == 0 for times in self.times)


def frequencies(looks: Iterable[Look]) -> list[Frequency]:
    """Count over images, for each skip connection from shallow to deep.

    Args:
        looks: The images; each may be forgotten before the next one is looked at.
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
