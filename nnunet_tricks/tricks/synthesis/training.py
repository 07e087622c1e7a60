r"""Training of a pix2pix: a generator draws images for masks, and a discriminator learns to tell them from real ones.

$\min_G \max_D\; \log D(x, y) + \log(1 - D(x, G(x))) + \lambda \|y - G(x)\|_1$ with mask $x$, image $y$ and
$\lambda = 100$ (Isola et al., CVPR 2017, eq. 4). Settings are the published ones: Adam with rate 0.0002 and betas 0.5
and 0.999, one image a step, 200 passes over the cases, the rate falling to 0 in the second half. The discriminator's
loss is halved.

Each step draws from its own seed. So a training that was interrupted goes on as if it had not been.
"""

from __future__ import annotations

import csv
import io
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from nnunet_tricks.training.shared_randomness import seeded
from nnunet_tricks.tricks.synthesis.cases import FoldCases, crop_size, scaled
from nnunet_tricks.tricks.synthesis.discriminator import AdversarialLoss, check_installed, patch_discriminator
from nnunet_tricks.tricks.synthesis.gallery import write_gallery
from nnunet_tricks.tricks.synthesis.generator import WIDTH, UNetGenerator, halvings
from nnunet_tricks.tricks.synthesis.masks import condition, condition_channels
from nnunet_tricks.tricks.synthesis.place import GanFacts, GanPlace
from nnunet_tricks.tricks.synthesis.spade import SpadeGenerator
from nnunet_tricks.utilities.files import replacing, write_atomically

PASSES = 200
RATE, BETAS = 2e-4, (0.5, 0.999)
L1 = 100
COMPARED = 20
"""Steps at the beginning and at the end whose errors are told apart."""
GENERATORS = {"unet": UNetGenerator, "spade": SpadeGenerator}
LOSSES = ("l1", "generator", "discriminator")
COLUMNS = ("step", *LOSSES)

Row = dict[str, float]


def facts_of(
    cases: FoldCases,
    *,
    steps: int | None,
    batch: int = 1,
    seed: int = 0,
    generator: str = "unet",
    style: bool = True,
    width: int = WIDTH,
) -> GanFacts:
    """What a GAN of a fold will be.

    Args:
        cases: Training cases.
        steps: Steps of the training; ``None`` for the published number of passes.
        batch: Images of a step.
        seed: Seed of all random draws.
        generator: One of ``GENERATORS``.
        style: Whether it is told means and deviations of the channels.
        width: Channels after the first convolution.
    """
    return GanFacts(
        dataset=cases.place.dataset,
        configuration=cases.place.configuration,
        fold=cases.place.fold,
        cases=cases.names,
        generator=generator,
        style=style,
        width=width,
        depth=halvings(crop_size(cases.patch)),
        labels=cases.known,
        ignore=cases.planned.labels.ignore_label,
        ranges=cases.ranges(),
        patch=cases.patch,
        batch=batch,
        steps=-(-PASSES * len(cases.names) // batch) if steps is None else steps,
        seed=seed,
    )


def generator_of(facts: GanFacts) -> UNetGenerator:
    """A generator with random weights."""
    return GENERATORS[facts.generator](
        inputs=condition_channels(facts.labels, facts.styles),
        outputs=facts.channels,
        depth=facts.depth,
        width=facts.width,
    )


@contextmanager
def loading(place: GanPlace) -> Iterator[None]:
    """Say what to do about a checkpoint that is damaged, or of other networks.

    Raises:
        ValueError: With the command that trains a GAN anew.
    """
    try:
        yield
    except (RuntimeError, KeyError, EOFError, pickle.UnpicklingError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"{place.checkpoint} is damaged or of another version ({first}): '{place.command('train')} --restart'"
        ) from error


class Pix2Pix:
    """The two networks, their optimizers, and the steps that they have done.

    Attributes:
        facts: What is known of the GAN.
        rows: Losses of each step.
    """

    def __init__(self, facts: GanFacts, device: torch.device) -> None:
        """Build them with the first weights of the seed.

        Args:
            facts: What is known of the GAN.
            device: Device to train on.
        """
        check_installed()
        self.facts, self.device = facts, device
        with seeded("ganaug", facts.seed, "weights"):
            self.generator = generator_of(facts).to(device)
            inputs = condition_channels(facts.labels, facts.styles) + facts.channels
            self.discriminator = patch_discriminator(inputs, facts.width).to(device)
        self.loss = AdversarialLoss()
        parts = (self.generator, self.discriminator)
        self.optimizers = [torch.optim.Adam(part.parameters(), RATE, BETAS) for part in parts]
        self.rows: list[Row] = []

    @property
    def step_number(self) -> int:
        """Number of steps that are done."""
        return len(self.rows)

    def step(self, conditions: Tensor, images: Tensor) -> Row:
        """Train both networks on a batch.

        Args:
            conditions: (B, channels, Y, X).
            images: Real images (B, channels, Y, X) from -1 to 1.

        Returns:
            Losses: the generator's mean absolute error, its adversarial loss, and that of the discriminator.
        """
        half = self.facts.steps / 2
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = RATE * min(1, (self.facts.steps - self.step_number) / half)
        of_generator, of_discriminator = self.optimizers
        drawn = self.generator(conditions)
        self.discriminator.requires_grad_(True)
        real = self.loss(self.discriminator(torch.cat([conditions, images], 1)), real=True)
        synthetic = self.loss(self.discriminator(torch.cat([conditions, drawn.detach()], 1)), real=False)
        told_apart = (real + synthetic) / 2
        of_discriminator.zero_grad(set_to_none=True)
        told_apart.backward()  # type: ignore[no-untyped-call]
        of_discriminator.step()
        self.discriminator.requires_grad_(False)
        outputs = self.discriminator(torch.cat([conditions, drawn], 1))
        fooled, error = self.loss(outputs, real=True, of_generator=True), (drawn - images).abs().mean()
        of_generator.zero_grad(set_to_none=True)
        (fooled + L1 * error).backward()
        of_generator.step()
        losses = {"l1": error, "generator": fooled, "discriminator": told_apart}
        row = {name: float(loss.detach()) for name, loss in losses.items()}
        self.rows.append(row)
        return row

    def noted(self) -> GanFacts:
        """What is known of the GAN by now."""
        errors = [row["l1"] for row in self.rows]
        first, last = errors[:COMPARED], errors[-COMPARED:]
        means = (sum(first) / max(len(first), 1), sum(last) / max(len(last), 1))
        return replace(self.facts, step=self.step_number, l1=means)

    def save(self, place: GanPlace) -> None:
        """Write everything: whole files or none, and what is known of the GAN at last."""
        place.folder.mkdir(parents=True, exist_ok=True)
        content = {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "rows": self.rows,
        }
        with replacing(place.checkpoint) as temporary:
            torch.save(content, temporary)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows((n, *(f"{row[name]:.6g}" for name in LOSSES)) for n, row in enumerate(self.rows, 1))
        write_atomically(place.log, text.getvalue())
        place.note_gan(self.noted())

    def load(self, place: GanPlace) -> None:
        """Go on where a checkpoint was written."""
        with loading(place):
            content = torch.load(place.checkpoint, map_location=self.device, weights_only=True)
            self.generator.load_state_dict(content["generator"])
            self.discriminator.load_state_dict(content["discriminator"])
            for optimizer, state in zip(self.optimizers, content["optimizers"], strict=True):
                optimizer.load_state_dict(state)
            self.rows = list(content["rows"])


class GanTraining:
    """Trains the GAN of a fold.

    Attributes:
        gan: Networks and optimizers.
    """

    def __init__(self, cases: FoldCases, facts: GanFacts, device: torch.device, *, restart: bool = False) -> None:
        """Begin, or go on where a checkpoint is.

        Args:
            cases: Training cases.
            facts: What the GAN should be.
            device: Device to train on.
            restart: Whether to begin anew.

        Raises:
            ValueError: If there is no foreground, or the GAN that was begun is another one.
        """
        cases.check_foreground()
        self.cases, self.facts = cases, facts
        begun = None if restart else cases.place.gan()
        if begun is not None:
            self._check_same(begun)
        self.gan = Pix2Pix(facts, device)
        if begun is not None:
            self.gan.load(cases.place)
        self._styles: dict[str, Tensor] = {}

    def _check_same(self, begun: GanFacts) -> None:
        """Refuse to go on with a GAN of other settings."""
        now = {**vars(self.facts), "step": 0, "l1": ()}
        differs = [name for name, value in vars(begun).items() if name not in ("step", "l1") and value != now[name]]
        if differs:
            name = differs[0]
            raise ValueError(
                f"{self.cases.place.folder} holds a GAN with {name} {getattr(begun, name)}, and now {name} is "
                f"{now[name]}: give the same settings to go on, or --restart to replace it"
            )

    def run(self, *, save_every: int) -> Iterator[Row]:
        """Train to the end, and write checkpoint, log and gallery on the way.

        Args:
            save_every: Steps between checkpoints.

        Yields:
            Losses of each step.
        """
        while self.gan.step_number < self.facts.steps:
            number = self.gan.step_number
            with seeded("ganaug", self.facts.seed, number):
                row = self.gan.step(*self.batch())
            done = self.gan.step_number
            if done % save_every == 0 or done == self.facts.steps:
                self.save()
            yield row

    def save(self) -> None:
        """Write checkpoint, log and gallery."""
        self.gan.save(self.cases.place)
        write_gallery(self.cases, self.gan.noted(), self.gan.generator, self.gan.device)

    def batch(self) -> tuple[Tensor, Tensor]:
        """Conditions and real images of a step, on the device."""
        drawn = [self.cases.draw(crop_size(self.facts.patch)) for _ in range(self.facts.batch)]
        labels = torch.stack([part for _, _, part in drawn])
        images = torch.stack([scaled(image, self.facts.ranges) for _, image, _ in drawn])
        conditions = condition(labels, self.facts.labels, torch.stack([self._style(name) for name, *_ in drawn]))
        return conditions.to(self.gan.device), images.to(self.gan.device)

    def _style(self, name: str) -> Tensor:
        if name not in self._styles:
            self._styles[name] = self.cases.style(name, self.facts.ranges)[: self.facts.styles]
        return self._styles[name]
