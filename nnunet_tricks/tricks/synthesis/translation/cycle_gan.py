r"""Training of a CycleGAN: two generators translate between two kinds of images, without pairs.

Generator $G$ translates images $a$ of one data set to the look of images $b$ of another, and $F$ translates back.
$D_A$ and $D_B$ tell real images from translated ones. With least squares, $G$ and $F$ minimise

$(D_B(G(a)) - 1)^2 + (D_A(F(b)) - 1)^2 + \lambda (\|F(G(a)) - a\|_1 + \|G(F(b)) - b\|_1)
+ \lambda_i \lambda (\|G(b) - b\|_1 + \|F(a) - a\|_1)$

with $\lambda = 10$ and $\lambda_i = 0.5$ (Zhu et al., ICCV 2017, eq. 3 and sections 4 and 5.2). The discriminators see
70 x 70 voxels. They learn from translated images of a pool of 50, and their loss is halved. Crops are drawn anywhere in
an image, since labels of the other data set are not used.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from nnunet_tricks.training.shared_randomness import seeded
from nnunet_tricks.tricks.synthesis.adversaries import AdversarialTraining, Adversaries, Row, check_same
from nnunet_tricks.tricks.synthesis.cases import FoldCases, scaled
from nnunet_tricks.tricks.synthesis.discriminator import AdversarialLoss, check_installed, patch_discriminator
from nnunet_tricks.tricks.synthesis.pool import ImagePool
from nnunet_tricks.tricks.synthesis.translation.generator import ResNetGenerator
from nnunet_tricks.tricks.synthesis.translation.pair import DataSetPair
from nnunet_tricks.tricks.synthesis.translation.pictures import write_pictures
from nnunet_tricks.tricks.synthesis.translation.place import OUTCOMES, TranslationFacts

CYCLE = 10
IDENTITY = 0.5
"""Weight of the identity, as a part of ``CYCLE``."""
FORTH, BACK = "forth", "back"
"""Names of the generators in a checkpoint: to the look of the other data set, and back."""
WORDS = "ganaug translate"


def generator_of(facts: TranslationFacts) -> ResNetGenerator:
    """A generator with random weights."""
    return ResNetGenerator(channels=facts.channels, blocks=facts.blocks, width=facts.width)


class CycleGan(Adversaries):
    """Two generators and two discriminators.

    Attributes:
        facts: What is known of the CycleGAN.
        forth: Generator to the look of the other data set.
        back: Generator back.
    """

    losses = ("cycle", "identity", "generators", "discriminators")
    compared = "cycle"

    def __init__(self, facts: TranslationFacts, device: torch.device) -> None:
        """Build them with the first weights of the seed.

        Args:
            facts: What is known of the CycleGAN.
            device: Device to train on.
        """
        check_installed("ganaug translate")
        self.facts, self.device = facts, device
        with seeded(WORDS, facts.seed, "weights"):
            self.forth, self.back = (generator_of(facts).to(device) for _ in range(2))
            self.of_own, self.of_other = (
                patch_discriminator(facts.channels, facts.width, norm="INSTANCE", bias=True).to(device)
                for _ in range(2)
            )
        self.loss = AdversarialLoss("least_squares")
        networks = {FORTH: self.forth, BACK: self.back, "of_own": self.of_own, "of_other": self.of_other}
        super().__init__(networks, [(FORTH, BACK), ("of_own", "of_other")], facts.steps)
        self.pools = (ImagePool(), ImagePool())

    def step(self, first: Tensor, second: Tensor) -> Row:
        """Train all networks on a batch.

        Args:
            first: Images (B, channels, Y, X) from -1 to 1.
            second: Images of the other data set.

        Returns:
            Losses: mean absolute errors of there and back and of the identity, and the adversarial losses.
        """
        self.set_rate()
        of_generators, of_discriminators = self.optimizers
        self._judges_learn(False)
        forth, back = self.forth(first), self.back(second)
        cycle = (self.back(forth) - first).abs().mean() + (self.forth(back) - second).abs().mean()
        identity = (self.forth(second) - second).abs().mean() + (self.back(first) - first).abs().mean()
        fooled = self.loss(self.of_other(forth), real=True, of_generator=True)
        fooled = fooled + self.loss(self.of_own(back), real=True, of_generator=True)
        of_generators.zero_grad(set_to_none=True)
        (fooled + CYCLE * cycle + IDENTITY * CYCLE * identity).backward()
        of_generators.step()
        self._judges_learn(True)
        drawn = [pool.exchange(images.detach()) for pool, images in zip(self.pools, (back, forth), strict=True)]
        told_apart = self._told_apart(self.of_own, first, drawn[0]) + self._told_apart(self.of_other, second, drawn[1])
        of_discriminators.zero_grad(set_to_none=True)
        told_apart.backward()  # type: ignore[no-untyped-call]
        of_discriminators.step()
        return self.noted_row(
            {"cycle": cycle / 2, "identity": identity / 2, "generators": fooled, "discriminators": told_apart}
        )

    def _judges_learn(self, learn: bool) -> None:
        for network in (self.of_own, self.of_other):
            network.requires_grad_(learn)

    def _told_apart(self, discriminator: torch.nn.Module, real: Tensor, drawn: Tensor) -> Tensor:
        losses = self.loss(discriminator(real), real=True), self.loss(discriminator(drawn), real=False)
        return (losses[0] + losses[1]) / 2

    def noted(self) -> TranslationFacts:
        """What is known of the CycleGAN by now."""
        return replace(self.facts, step=self.step_number, cycle=self.first_and_last)


class CycleTraining(AdversarialTraining):
    """Trains the CycleGAN of two data sets.

    Attributes:
        gan: Networks and optimizers.
    """

    def __init__(
        self, pair: DataSetPair, facts: TranslationFacts, device: torch.device, *, restart: bool = False
    ) -> None:
        """Begin, or go on where a checkpoint is.

        Args:
            pair: Training cases of both.
            facts: What the CycleGAN should be.
            device: Device to train on.
            restart: Whether to begin anew.

        Raises:
            ValueError: If the CycleGAN that was begun is another one.
        """
        self.pair, self.facts = pair, facts
        begun = None if restart else pair.place.facts()
        if begun is not None:
            check_same(pair.place, begun, facts, OUTCOMES)
        self.gan = CycleGan(facts, device)
        if begun is not None:
            self.gan.load(pair.place, device)
        super().__init__(WORDS, facts, self.gan)

    def save(self) -> None:
        """Write checkpoint, log and pictures."""
        self.gan.save(self.pair.place)
        self.pair.place.note(self.gan.noted())
        write_pictures(self.pair, self.facts, (self.gan.forth, self.gan.back), self.gan.device)

    def batch(self) -> tuple[Tensor, Tensor]:
        """Images of both data sets, on the device."""
        ranges = self.facts.ranges, self.facts.other_ranges
        first, second = (self._crops(*parts) for parts in zip(self.pair.both, ranges, strict=True))
        return first, second

    def _crops(self, cases: FoldCases, ranges: tuple[tuple[float, float], ...]) -> Tensor:
        drawn = (cases.draw(self.pair.crop, on_foreground=0)[1] for _ in range(self.facts.batch))
        return torch.stack([scaled(image, ranges) for image in drawn]).to(self.gan.device)
