r"""Training of a pix2pix: a generator draws images for masks, and a discriminator learns to tell them from real ones.

$\min_G \max_D\; \log D(x, y) + \log(1 - D(x, G(x))) + \lambda \|y - G(x)\|_1$ with mask $x$, image $y$ and
$\lambda = 100$ (Isola et al., CVPR 2017, eq. 4). Settings are the published ones: one image a step, and 200 passes over
the cases. The discriminator's loss is halved.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from nnunet_tricks.training.shared_randomness import seeded
from nnunet_tricks.tricks.synthesis.adversaries import PASSES, AdversarialTraining, Adversaries, Row, check_same
from nnunet_tricks.tricks.synthesis.cases import FoldCases, crop_size, scaled
from nnunet_tricks.tricks.synthesis.discriminator import AdversarialLoss, check_installed, patch_discriminator
from nnunet_tricks.tricks.synthesis.gallery import write_gallery
from nnunet_tricks.tricks.synthesis.generator import WIDTH, UNetGenerator, halvings
from nnunet_tricks.tricks.synthesis.masks import condition, condition_channels
from nnunet_tricks.tricks.synthesis.place import GanFacts
from nnunet_tricks.tricks.synthesis.spade import SpadeGenerator

L1 = 100
GENERATORS = {"unet": UNetGenerator, "spade": SpadeGenerator}


def facts_of(
    cases: FoldCases,
    *,
    steps: int | None,
    batch: int = 1,
    seed: int = 0,
    generator: str = "unet",
    style: bool = True,
    width: int = WIDTH,
    neighbours: int = 0,
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
        neighbours: Slices on either side whose masks it is told, too.

    Raises:
        ValueError: If volumes have fewer slices than it is told of at once.
    """
    cases.check_depth(neighbours)
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
        neighbours=neighbours,
    )


def generator_of(facts: GanFacts) -> UNetGenerator:
    """A generator with random weights."""
    return GENERATORS[facts.generator](
        inputs=condition_channels(facts.labels, facts.styles, facts.neighbours),
        outputs=facts.channels,
        depth=facts.depth,
        width=facts.width,
    )


class Pix2Pix(Adversaries):
    """A generator and a discriminator.

    Attributes:
        facts: What is known of the GAN.
    """

    losses = ("l1", "generator", "discriminator")
    compared = "l1"

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
            inputs = condition_channels(facts.labels, facts.styles, facts.neighbours) + facts.channels
            self.discriminator = patch_discriminator(inputs, facts.width).to(device)
        self.loss = AdversarialLoss()
        networks = {"generator": self.generator, "discriminator": self.discriminator}
        super().__init__(networks, [("generator",), ("discriminator",)], facts.steps)

    def step(self, first: Tensor, second: Tensor) -> Row:
        """Train both networks on a batch.

        Args:
            first: Conditions (B, channels, Y, X).
            second: Real images (B, channels, Y, X) from -1 to 1.

        Returns:
            Losses: the generator's mean absolute error, its adversarial loss, and that of the discriminator.
        """
        conditions, images = first, second
        self.set_rate()
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
        return self.noted_row({"l1": error, "generator": fooled, "discriminator": told_apart})

    def noted(self) -> GanFacts:
        """What is known of the GAN by now."""
        return replace(self.facts, step=self.step_number, l1=self.first_and_last)


class GanTraining(AdversarialTraining):
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
            check_same(cases.place, begun, facts, ("step", "l1"))
        self.gan = Pix2Pix(facts, device)
        if begun is not None:
            self.gan.load(cases.place, device)
        super().__init__("ganaug", facts, self.gan)
        self._styles: dict[str, Tensor] = {}

    def save(self) -> None:
        """Write checkpoint, log and gallery."""
        self.gan.save(self.cases.place)
        self.cases.place.note_gan(self.gan.noted())
        write_gallery(self.cases, self.gan.noted(), self.gan.generator, self.gan.device)

    def batch(self) -> tuple[Tensor, Tensor]:
        """Conditions and real images of a step, on the device."""
        size, neighbours = crop_size(self.facts.patch), self.facts.neighbours
        drawn = [self.cases.draw(size, neighbours=neighbours) for _ in range(self.facts.batch)]
        labels = torch.stack([part for _, _, part in drawn])
        images = torch.stack([scaled(image, self.facts.ranges) for _, image, _ in drawn])
        conditions = condition(labels, self.facts.labels, torch.stack([self._style(name) for name, *_ in drawn]))
        return conditions.to(self.gan.device), images.to(self.gan.device)

    def _style(self, name: str) -> Tensor:
        if name not in self._styles:
            self._styles[name] = self.cases.style(name, self.facts.ranges)[: self.facts.styles]
        return self._styles[name]
