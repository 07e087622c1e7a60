"""A trained generator that gives images the look of another data set."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from nnunet_tricks.tricks.pretraining.weights.store import digest
from nnunet_tricks.tricks.synthesis.adversaries import loading
from nnunet_tricks.tricks.synthesis.cases import scaled, unscaled
from nnunet_tricks.tricks.synthesis.translation.cycle_gan import FORTH, generator_of
from nnunet_tricks.tricks.synthesis.translation.place import TranslationFacts, TranslationPlace


@dataclass(frozen=True)
class Translator:
    """A generator, and what is known of it.

    Attributes:
        facts: What is known of its CycleGAN.
        generator: Generator to the look of the other data set.
        weights: SHA-256 of the file with its weights.
        device: Device that it is on.
    """

    facts: TranslationFacts
    generator: nn.Module = field(repr=False)
    weights: str
    device: torch.device

    @classmethod
    def trained(cls, place: TranslationPlace, device: torch.device) -> Translator:
        """Load the generator of a CycleGAN whose training has ended.

        Args:
            place: Place of the CycleGAN.
            device: Device to translate on.

        Raises:
            ValueError: If it is not trained to the end, or damaged.
        """
        facts = place.facts()
        if facts is None or facts.step < facts.steps:
            raise ValueError(f"{place.folder} has no trained CycleGAN: '{place.train_command}'")
        generator = generator_of(facts).to(device)
        with loading(place):
            content = torch.load(place.checkpoint, map_location=device, weights_only=True)
            generator.load_state_dict(content[FORTH])
        return cls(facts, generator, digest(place.checkpoint), device)

    def __call__(self, image: Tensor) -> Tensor:
        """Translate an image slice by slice.

        Args:
            image: Preprocessed grey values, (C, Z, Y, X).

        Returns:
            Preprocessed grey values of the other data set, of the same size.
        """
        planes = scaled(image, self.facts.ranges).unbind(1)
        with torch.no_grad():
            looks = [self.generator(plane[None].to(self.device))[0].cpu() for plane in planes]
        return unscaled(torch.stack(looks, 1), self.facts.other_ranges)
