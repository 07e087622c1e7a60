"""Networks that are trained against each other: steps, rate, checkpoints and log, whatever the networks are.

Settings are those of pix2pix and CycleGAN: Adam with rate 0.0002 and betas 0.5 and 0.999, and a rate that falls to 0 in
the second half. Each step draws from its own seed. So a training that was interrupted goes on as if it had not been.
"""

from __future__ import annotations

import csv
import io
import pickle
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn

from nnunet_tricks.training.shared_randomness import seeded
from nnunet_tricks.tricks.synthesis.place import GanFiles
from nnunet_tricks.tricks.synthesis.pool import ImagePool
from nnunet_tricks.utilities.files import replacing, write_atomically

PASSES = 200
"""Published number of passes over the cases."""
RATE, BETAS = 2e-4, (0.5, 0.999)
COMPARED = 20
"""Steps at the beginning and at the end whose errors are told apart."""

Row = dict[str, float]


class TrainingFacts(Protocol):
    """What a training of any kind needs to know."""

    @property
    def steps(self) -> int:
        """Steps of the whole training."""

    @property
    def seed(self) -> int:
        """Seed of all random draws."""

    @property
    def step(self) -> int:
        """Steps that are done."""


@contextmanager
def loading(files: GanFiles) -> Iterator[None]:
    """Say what to do about a checkpoint that is damaged, or of other networks.

    Raises:
        ValueError: With the command that trains a GAN anew.
    """
    try:
        yield
    except (RuntimeError, KeyError, EOFError, pickle.UnpicklingError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"{files.checkpoint} is damaged or of another version ({first}): '{files.train_command} --restart'"
        ) from error


class Adversaries(ABC):
    """Networks, their optimizers, and the steps that they have done.

    Attributes:
        losses: Names of the losses of a step.
        compared: Loss that says how far the training has come.
        networks: All networks, by their names in the checkpoint.
        rows: Losses of each step.
        pools: Older images that the discriminators learn from, if any.
    """

    losses: ClassVar[tuple[str, ...]]
    compared: ClassVar[str]

    def __init__(self, networks: Mapping[str, nn.Module], groups: Sequence[Sequence[str]], steps: int) -> None:
        """Make the optimizers.

        Args:
            networks: All networks, by name.
            groups: Names of those that an optimizer trains together.
            steps: Steps of the whole training.
        """
        self.networks, self.steps = dict(networks), steps
        self.optimizers = [
            torch.optim.Adam([weight for name in names for weight in networks[name].parameters()], RATE, BETAS)
            for names in groups
        ]
        self.rows: list[Row] = []
        self.pools: tuple[ImagePool, ...] = ()

    @abstractmethod
    def step(self, first: Tensor, second: Tensor) -> Row:
        """Train all networks on a batch, and return its losses."""

    @property
    def step_number(self) -> int:
        """Number of steps that are done."""
        return len(self.rows)

    def set_rate(self) -> None:
        """Set the learning rate of the next step."""
        rate = RATE * min(1, (self.steps - self.step_number) / (self.steps / 2))
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate

    def noted_row(self, losses: Mapping[str, Tensor]) -> Row:
        """Losses of a step as numbers, which are kept."""
        row = {name: float(losses[name].detach()) for name in self.losses}
        self.rows.append(row)
        return row

    @property
    def first_and_last(self) -> tuple[float, float]:
        """Means of the compared loss over the first steps and over the last ones."""
        values = [row[self.compared] for row in self.rows]
        first, last = values[:COMPARED], values[-COMPARED:]
        return sum(first) / max(len(first), 1), sum(last) / max(len(last), 1)

    def save(self, files: GanFiles) -> None:
        """Write checkpoint and log: whole files or none."""
        files.folder.mkdir(parents=True, exist_ok=True)
        content = {
            **{name: network.state_dict() for name, network in self.networks.items()},
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "rows": self.rows,
            "pools": [[image.cpu() for image in pool.images] for pool in self.pools],
        }
        with replacing(files.checkpoint) as temporary:
            torch.save(content, temporary)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("step", *self.losses))
        writer.writerows((n, *(f"{row[name]:.6g}" for name in self.losses)) for n, row in enumerate(self.rows, 1))
        write_atomically(files.log, text.getvalue())

    def load(self, files: GanFiles, device: torch.device) -> None:
        """Go on where a checkpoint was written.

        Raises:
            ValueError: If it is damaged.
        """
        with loading(files):
            content = torch.load(files.checkpoint, map_location=device, weights_only=True)
            for name, network in self.networks.items():
                network.load_state_dict(content[name])
            for optimizer, state in zip(self.optimizers, content["optimizers"], strict=True):
                optimizer.load_state_dict(state)
            self.rows = list(content["rows"])
            for pool, images in zip(self.pools, content.get("pools", ()), strict=True):
                pool.images = [image.to(device) for image in images]


class AdversarialTraining(ABC):
    """Steps of a training, each from its own seed, with checkpoints on the way."""

    def __init__(self, words: str, facts: TrainingFacts, networks: Adversaries) -> None:
        """Set up the training.

        Args:
            words: Words that its draws begin with.
            facts: What is known of it.
            networks: Its networks.
        """
        self.words, self._facts, self._networks = words, facts, networks

    @abstractmethod
    def batch(self) -> tuple[Tensor, Tensor]:
        """What a step is trained on, on the device."""

    @abstractmethod
    def save(self) -> None:
        """Write checkpoint, log, facts and gallery."""

    def run(self, *, save_every: int) -> Iterator[Row]:
        """Train to the end, and write checkpoint, log and gallery on the way.

        Args:
            save_every: Steps between checkpoints.

        Yields:
            Losses of each step.
        """
        while self._networks.step_number < self._facts.steps:
            with seeded(self.words, self._facts.seed, self._networks.step_number):
                row = self._networks.step(*self.batch())
            done = self._networks.step_number
            if done % save_every == 0 or done == self._facts.steps:
                self.save()
            yield row


def check_same(files: GanFiles, begun: TrainingFacts, now: TrainingFacts, outcomes: Sequence[str]) -> None:
    """Refuse to go on with a training of other settings.

    Args:
        files: Place of its files.
        begun: What is known of it.
        now: What is asked for.
        outcomes: Names of facts that change with each step.

    Raises:
        ValueError: With the first setting that differs.
    """
    wanted = vars(now)
    differs = [name for name, value in vars(begun).items() if name not in outcomes and value != wanted[name]]
    if not differs:
        return
    name = differs[0]
    if name.endswith("cases"):
        raise ValueError(
            f"{files.folder} holds a GAN of other training cases: split or data have changed since; --restart replaces "
            "it"
        )
    raise ValueError(
        f"{files.folder} holds a GAN with {name} {vars(begun)[name]}, and now {name} is {wanted[name]}: give the same "
        "settings to go on, or --restart to replace it"
    )
