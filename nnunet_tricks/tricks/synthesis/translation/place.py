"""Where the CycleGAN of a fold and another data set is, and what is known of it.

It is in ``to_<other data set>`` in the folder of the fold's GAN. Neither torch nor nnU-Net is imported here.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from nnunet_tricks.tricks.synthesis.place import GanFiles, GanPlace, read_facts, short
from nnunet_tricks.utilities.files import write_atomically

OUTCOMES = ("step", "cycle")
"""Facts that change with each step."""


@dataclass(frozen=True, kw_only=True)
class TranslationFacts:
    """What is known of a CycleGAN beside its weights.

    Attributes:
        dataset: Full name of the data set whose images get another look.
        other: Full name of the data set with that look.
        configuration: Configuration of both.
        plans: Stem of the plans files.
        fold: Fold of both.
        cases: Training cases of the fold.
        other_cases: Those of the other data set.
        ranges: Grey values of each channel that are -1 and 1 for the networks.
        other_ranges: Those of the other data set.
        patch: Size of the patches of the configuration.
        blocks: Residual blocks of each generator.
        width: Channels after its first convolution.
        batch: Images of each data set in a step.
        steps: Steps of the whole training.
        seed: Seed of all random draws.
        step: Steps that are done.
        cycle: Mean absolute error of there and back in the first steps and in the last ones; grey values are -1 to 1.
    """

    dataset: str
    other: str
    configuration: str
    plans: str
    fold: str
    cases: tuple[str, ...]
    other_cases: tuple[str, ...]
    ranges: tuple[tuple[float, float], ...]
    other_ranges: tuple[tuple[float, float], ...]
    patch: tuple[int, ...]
    blocks: int
    width: int
    batch: int
    steps: int
    seed: int
    step: int = 0
    cycle: tuple[float, float] = (0.0, 0.0)

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return len(self.ranges)


@dataclass(frozen=True)
class TranslationPlace(GanFiles):
    """Files of the CycleGAN.

    Attributes:
        folder: Its folder.
        source: Place of the fold's other GAN, for commands.
        other: Full name of the other data set.
    """

    source: GanPlace
    other: str

    @classmethod
    def of(cls, source: GanPlace, other: str) -> TranslationPlace:
        """The place beside that of a fold's GAN.

        Args:
            source: Place of the fold.
            other: Full name of the other data set.
        """
        return cls(source.folder / f"to_{other}", source, other)

    @property
    def train_command(self) -> str:
        """The command that trains it, but for the number of the new data set."""
        numbers = f"{short(self.source.dataset)} {short(self.other)}"
        return f"nnunet-tricks ganaug translate {numbers} {self.source.options} --to NUMBER"

    def facts(self) -> TranslationFacts | None:
        """What is known of the CycleGAN, if there is one."""
        facts = read_facts(self.folder / "translation.json")
        return None if facts is None else TranslationFacts(**facts)

    def note(self, facts: TranslationFacts) -> None:
        """Write what is known of it."""
        write_atomically(self.folder / "translation.json", json.dumps(asdict(facts), indent=2) + "\n")
