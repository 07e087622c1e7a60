"""Where the GAN of a fold and its images are: ``ganaug/<images>/fold_<fold>`` beside the preprocessed data.

Configurations that train on the same preprocessed images share a GAN. Neither torch nor nnU-Net is imported here.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nnunet_tricks.nnunet.folders import read_json
from nnunet_tricks.utilities.files import write_atomically

FOLDER = "ganaug"
"""Folder of all GANs of a data set."""


@dataclass(frozen=True, kw_only=True)
class GanFacts:
    """What is known of a GAN beside its weights.

    Attributes:
        dataset: Full name of its data set.
        configuration: Configuration whose patches it was trained with.
        fold: Fold whose training cases it has seen.
        cases: Names of these.
        generator: Kind of generator.
        style: Whether it is told means and deviations of the channels.
        width: Channels after the first convolution.
        depth: Number of halvings.
        labels: All labels, background and ignore label among them.
        ignore: Label of voxels that nobody annotated, if there is one.
        ranges: Grey values of each channel that are -1 and 1 for the network.
        patch: Size of the patches of the configuration.
        batch: Images of a step.
        steps: Steps of the whole training.
        seed: Seed of all random draws.
        step: Steps that are done.
        l1: Mean absolute error in the first steps and in the last ones, where the range of grey values is 2.
        neighbours: Slices on either side whose masks the generator is told, too.
    """

    dataset: str
    configuration: str
    fold: str
    cases: tuple[str, ...]
    generator: str
    style: bool
    width: int
    depth: int
    labels: tuple[int, ...]
    ignore: int | None
    ranges: tuple[tuple[float, float], ...]
    patch: tuple[int, ...]
    batch: int
    steps: int
    seed: int
    step: int = 0
    l1: tuple[float, float] = (0.0, 0.0)
    neighbours: int = 0

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return len(self.ranges)

    @property
    def styles(self) -> int:
        """Values that tell the style of an image."""
        return 2 * self.channels if self.style else 0

    @property
    def is_finished(self) -> bool:
        """Whether all steps are done."""
        return self.step >= self.steps


@dataclass(frozen=True, kw_only=True)
class SamplesFacts:
    """What is known of synthetic pairs.

    Attributes:
        pairs: Number of images with masks.
        seed: Seed of all random draws.
        gan: SHA-256 of the weights that drew them.
        cases: Training cases of the GAN.
    """

    pairs: int
    seed: int
    gan: str
    cases: tuple[str, ...]


@dataclass(frozen=True)
class GanFiles(ABC):
    """Files of a GAN of any kind.

    Attributes:
        folder: Folder of the GAN.
    """

    folder: Path

    @property
    def checkpoint(self) -> Path:
        """Weights, optimizers and the log so far."""
        return self.folder / "checkpoint.pth"

    @property
    def log(self) -> Path:
        """Losses of all steps."""
        return self.folder / "losses.csv"

    @property
    def gallery(self) -> Path:
        """Real and synthetic images side by side."""
        return self.folder / "gallery.png"

    @property
    @abstractmethod
    def train_command(self) -> str:
        """The command that trains it, as somebody types it."""


@dataclass(frozen=True)
class GanPlace(GanFiles):
    """Files of the GAN of one fold.

    Attributes:
        folder: Folder of the fold.
        dataset: Name of the data set, for commands.
        configuration: Name of the configuration, for commands.
        fold: Fold, or ``"all"``.
        plans: Stem of the plans file, for commands.
    """

    dataset: str
    configuration: str
    fold: str
    plans: str

    @classmethod
    def of(
        cls, preprocessed: Path, dataset: str, configuration: str, fold: int | str, plans: str, identifier: str
    ) -> GanPlace:
        """The place of a fold.

        Args:
            preprocessed: Folder of the data set's preprocessed data.
            dataset: Its name.
            configuration: Configuration of the plans.
            fold: Fold of the split, or ``"all"``.
            plans: Stem of the plans file.
            identifier: ``data_identifier`` of the configuration: the folder of its images.
        """
        folder = preprocessed / FOLDER / identifier / f"fold_{fold}"
        return cls(folder, dataset, configuration, str(fold), plans)

    @property
    def samples(self) -> Path:
        """Synthetic pairs, in nnU-Net's format of preprocessed cases."""
        return self.folder / "samples"

    @property
    def train_command(self) -> str:
        """The command that trains the GAN."""
        return self.command("train")

    def command(self, action: str) -> str:
        """The command that trains or samples, as somebody types it."""
        return f"nnunet-tricks ganaug {action} {short(self.dataset)} {self.options}"

    @property
    def options(self) -> str:
        """Options that name fold, configuration and plans."""
        plans = "" if self.plans == "nnUNetPlans" else f" -p {self.plans}"
        return f"-f {self.fold} -c {self.configuration}{plans}"

    def gan(self) -> GanFacts | None:
        """What is known of the GAN, if there is one."""
        facts = read_facts(self.folder / "gan.json")
        return None if facts is None else GanFacts(**facts)

    def require_gan(self) -> GanFacts:
        """What is known of a GAN whose training has ended.

        Raises:
            ValueError: If there is none, with the command that trains one or goes on with it.
        """
        facts = self.gan()
        if facts is None:
            raise ValueError(f"{self.folder} has no GAN of {self.dataset}, fold {self.fold}: '{self.command('train')}'")
        if not facts.is_finished:
            raise ValueError(
                f"the GAN in {self.folder} was trained for {facts.step} of {facts.steps} steps: "
                f"'{self.command('train')}' goes on"
            )
        return facts

    def note_gan(self, facts: GanFacts) -> None:
        """Write what is known of the GAN."""
        write_atomically(self.folder / "gan.json", json.dumps(asdict(facts), indent=2) + "\n")

    def pairs(self) -> SamplesFacts | None:
        """What is known of the synthetic pairs, if there are some."""
        facts = read_facts(self.folder / "samples.json")
        return SamplesFacts(**facts) if facts is not None and self.samples.is_dir() else None

    def require_pairs(self, training: list[str] | None) -> SamplesFacts:
        """Pairs whose GAN has seen training cases only.

        Args:
            training: Training cases of the fold; ``None`` where nobody has divided the cases yet.

        Raises:
            ValueError: If there are none, with the command that draws them, or if the GAN has seen other cases.
        """
        facts = self.pairs()
        if facts is None:
            self.require_gan()
            raise ValueError(
                f"{self.folder} has a GAN, and no images of it: '{self.command('sample')} -n 200' draws some"
            )
        others = sorted(set(facts.cases) - set(facts.cases if training is None else training))
        if others:
            raise ValueError(
                f"the GAN in {self.folder} has seen {len(others)} cases that fold {self.fold} does not train on, such "
                f"as {others[0]}: the split has changed since; '{self.command('train')} --restart' trains another, and "
                f"'{self.command('sample')} -n {facts.pairs} --replace' draws with it"
            )
        return facts

    def note_pairs(self, facts: SamplesFacts) -> None:
        """Write what is known of the synthetic pairs."""
        write_atomically(self.folder / "samples.json", json.dumps(asdict(facts), indent=2) + "\n")


def short(dataset: str) -> str:
    """Number of a data set, for commands.

    Examples:
        >>> short("Dataset007_Pancreas")
        '7'
    """
    number = re.match(r"Dataset0*(\d+)_", dataset)
    return number.group(1) if number else dataset


def read_facts(file: Path) -> Mapping[str, Any] | None:
    """Values of a file, lists as tuples; ``None`` where it is not there."""
    if not file.is_file():
        return None
    return {name: _frozen(value) for name, value in read_json(file).items()}


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
