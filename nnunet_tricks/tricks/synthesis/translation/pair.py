"""Two data sets, one of which gets the look of the other, and whether they go together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nnunet_tricks.nnunet import plans_file
from nnunet_tricks.tricks.synthesis.adversaries import PASSES
from nnunet_tricks.tricks.synthesis.cases import FoldCases, crop_size
from nnunet_tricks.tricks.synthesis.generator import WIDTH
from nnunet_tricks.tricks.synthesis.translation.generator import blocks_for
from nnunet_tricks.tricks.synthesis.translation.place import TranslationFacts, TranslationPlace

ALIKE = 1.25
"""Ratio of two voxel sizes above which the user is told."""


@dataclass(frozen=True)
class DataSetPair:
    """Training cases of the same fold of two data sets.

    Attributes:
        source: Cases whose images get another look.
        other: Cases with that look; their labels are not used.
        place: Place of the CycleGAN.
    """

    source: FoldCases
    other: FoldCases
    place: TranslationPlace

    @classmethod
    def of(
        cls, dataset: str, other: str, configuration: str, fold: str, plans: str = plans_file.DEFAULT_PLANS
    ) -> DataSetPair:
        """Find the cases; their images are not read.

        Args:
            dataset: Number or full name of the data set whose images get another look.
            other: Number or full name of the one with that look.
            configuration: Configuration of both.
            fold: Fold of both splits, or ``all``.
            plans: Stem of both plans files.

        Raises:
            ValueError: If one is not preprocessed, they are the same, or their channels differ.
        """
        source, target = (FoldCases.of(name, configuration, fold, plans) for name in (dataset, other))
        names = [source.place.dataset, target.place.dataset]
        if names[0] == names[1]:
            raise ValueError(f"both data sets are {names[0]}: name another one, whose look its images should get")
        channels = [_channels(cases) for cases in (source, target)]
        if len(channels[0]) != len(channels[1]):
            raise ValueError(
                f"{names[0]} has {len(channels[0])} channels, and {names[1]} has {len(channels[1])}: images are "
                "translated between data sets with the same channels"
            )
        if [name.casefold() for name in channels[0]] != [name.casefold() for name in channels[1]]:
            raise ValueError(
                f"{names[0]} has the channels {', '.join(channels[0])}, and {names[1]} has {', '.join(channels[1])}: "
                "images are translated between data sets with the same channels"
            )
        return cls(source, target, TranslationPlace.of(source.place, names[1]))

    @property
    def crop(self) -> tuple[int, int]:
        """Size of the crops of both."""
        return crop_size(self.source.patch)

    def notes(self) -> Iterator[str]:
        """What the user should know before a training."""
        spacings = [[float(side) for side in cases.planned.configuration.spacing[-2:]] for cases in self.both]
        ratios = [max(a / b, b / a) for a, b in zip(*spacings, strict=True)]
        if max(ratios) > ALIKE:
            sizes = [" x ".join(f"{side:g}" for side in spacing) for spacing in spacings]
            yield (
                f"pixels of slices are {sizes[0]} in {self.source.place.dataset}, and {sizes[1]} in "
                f"{self.other.place.dataset}: the same object has another size there, and size is taken for look; "
                "preprocess both with plans of the same spacing"
            )

    @property
    def both(self) -> tuple[FoldCases, FoldCases]:
        """Both sets of cases."""
        return self.source, self.other

    def facts(
        self, *, steps: int | None, batch: int = 1, seed: int = 0, width: int = WIDTH, blocks: int | None = None
    ) -> TranslationFacts:
        """What the CycleGAN will be.

        Args:
            steps: Steps of the training; ``None`` for the published number of passes over the larger data set.
            batch: Images of each data set in a step.
            seed: Seed of all random draws.
            width: Channels after the first convolution.
            blocks: Residual blocks; ``None`` for the paper's number.
        """
        longest = max(len(cases.names) for cases in self.both)
        place = self.source.place
        return TranslationFacts(
            dataset=place.dataset,
            other=self.other.place.dataset,
            configuration=place.configuration,
            plans=place.plans,
            fold=place.fold,
            cases=self.source.names,
            other_cases=self.other.names,
            ranges=self.source.ranges(),
            other_ranges=self.other.ranges(),
            patch=self.source.patch,
            blocks=blocks_for(self.crop) if blocks is None else blocks,
            width=width,
            batch=batch,
            steps=-(-PASSES * longest // batch) if steps is None else steps,
            seed=seed,
        )


def _channels(cases: FoldCases) -> list[str]:
    description = cases.planned.dataset_json
    names = description.get("channel_names") or description.get("modality") or {}
    return [str(names[number]) for number in sorted(names, key=int)]
