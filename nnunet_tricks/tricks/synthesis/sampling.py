"""Synthetic pairs: new masks, and the images that a trained generator draws for them.

Masks are those of training cases, turned, scaled and mirrored, so that a pair is new and not another rendering of a
case. Each is as large as its case. Volumes are drawn slice by slice; all slices of one get the same noise. The pairs
are stored as nnU-Net stores preprocessed cases. A mask is stored as the generator was told it, so both agree exactly.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.training.dataloading import nnunet_dataset
from numpy.typing import NDArray
from torch import Tensor, nn

from nnunet_tricks.training.shared_randomness import seeded
from nnunet_tricks.tricks.pretraining.weights.store import digest
from nnunet_tricks.tricks.synthesis.adversaries import loading
from nnunet_tricks.tricks.synthesis.cases import FoldCases, unscaled
from nnunet_tricks.tricks.synthesis.masks import condition, new_mask, turn_of, windows
from nnunet_tricks.tricks.synthesis.place import GanFacts, SamplesFacts
from nnunet_tricks.tricks.synthesis.training import generator_of


class Sampling:
    """Draws synthetic pairs of a fold.

    Attributes:
        generator: Trained generator.
    """

    def __init__(self, cases: FoldCases, *, pairs: int, seed: int, device: torch.device, replace: bool) -> None:
        """Load the generator.

        Args:
            cases: Training cases.
            pairs: Number of pairs.
            seed: Seed of all random draws.
            device: Device to draw on.
            replace: Whether pairs that are there are replaced.

        Raises:
            ValueError: If there is no trained GAN, it has seen other cases, or there are pairs already.
        """
        self.cases, self.pairs, self.seed, self.device = cases, pairs, seed, device
        self.place = cases.place
        self.facts: GanFacts = self.place.require_gan()
        if set(self.facts.cases) - set(cases.names):
            raise ValueError(
                f"the GAN in {self.place.folder} was trained on other cases than fold {self.place.fold} has: "
                f"'{self.place.command('train')} --restart'"
            )
        present = self.place.pairs()
        if present is not None and not replace:
            raise ValueError(
                f"{self.place.samples} holds {present.pairs} pairs, and trainings may have used them: --replace draws "
                "others in their place"
            )
        self.generator: nn.Module = generator_of(self.facts).to(device)
        with loading(self.place):
            content = torch.load(self.place.checkpoint, map_location=device, weights_only=True)
            self.generator.load_state_dict(content["generator"])

    def run(self) -> Iterator[str]:
        """Draw all pairs; they are there when the last one is.

        Yields:
            Name of each pair.
        """
        unfinished = self.place.folder / f".samples.{os.getpid()}"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        try:
            for number in range(self.pairs):
                name = f"synthetic_{number:04d}"
                with seeded("ganaug", self.seed, "pair", number):
                    self.write(unfinished / name, *self.pair(number))
                yield name
            shutil.rmtree(self.place.samples, ignore_errors=True)
            unfinished.rename(self.place.samples)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        facts = SamplesFacts(
            pairs=self.pairs, seed=self.seed, gan=digest(self.place.checkpoint), cases=self.facts.cases
        )
        self.place.note_pairs(facts)

    def pair(self, number: int) -> tuple[NDArray[np.float32], NDArray[np.int16], dict[str, Any]]:
        """Image (C, Z, Y, X), mask (Z, Y, X) and properties of a new pair."""
        names = self.cases.names
        of_mask, of_style = (names[np.random.randint(len(names))] for _ in range(2))
        mask = new_mask(self.cases.mask(of_mask), turn_of(self.facts.patch))
        style = self.cases.style(of_style, self.facts.ranges)[: self.facts.styles]
        image = self.draw(mask, style, f"{self.seed} {number}")
        properties = {**self.cases.data.load_case(of_mask)[-1], "class_locations": self.locations(mask)}
        return image.numpy().astype(np.float32), mask, properties

    def draw(self, mask: NDArray[np.int16], style: Tensor, words: str) -> Tensor:
        """The image for a mask.

        Args:
            mask: Label map, (Z, Y, X).
            style: Means and deviations of its channels.
            words: Words that stand for its noise.

        Returns:
            Preprocessed grey values, (C, Z, Y, X).
        """
        drawn = []
        with torch.no_grad():
            for window in windows(mask, self.facts.neighbours):
                with seeded(words):
                    known = condition(torch.from_numpy(window)[None], self.facts.labels, style[None])
                    drawn.append(self.generator(known.to(self.device))[0].cpu())
        return unscaled(torch.stack(drawn, 1), self.facts.ranges)

    def locations(self, mask: NDArray[np.int16]) -> dict[Any, Any]:
        """Some voxels of each class or region, as nnU-Net's preprocessing finds them."""
        labels = self.cases.planned.labels
        classes = list(labels.foreground_regions if labels.has_regions else labels.foreground_labels)
        if labels.has_ignore_label:
            classes.append([-1, *labels.all_labels])
        locations: dict[Any, Any] = DefaultPreprocessor._sample_foreground_locations(mask[None], classes)
        return locations

    def write(
        self, file: Path, image: NDArray[np.float32], mask: NDArray[np.int16], properties: dict[str, Any]
    ) -> None:
        """Write a pair as nnU-Net writes a case."""
        patch = self.facts.patch
        chunks: dict[str, Any] = {}
        for ending, array in (("", image), ("_seg", mask[None])):
            blocks, chunk = nnunet_dataset.comp_blosc2_params(array.shape, patch, array.itemsize)
            chunks |= {f"blocks{ending}": blocks, f"chunks{ending}": chunk}
        nnunet_dataset.nnUNetDatasetBlosc2.save_case(image, mask[None], properties, os.fspath(file), **chunks)
