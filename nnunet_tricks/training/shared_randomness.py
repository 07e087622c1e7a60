"""Common random numbers: baseline and trick start from the same weights and see the same patches, augmented alike.

Shared chance cancels in the difference, so fewer trainings may be enough to see it. It is not determinism for its own
sake: another run draws other numbers, and only runs of the same number, fold and data set share theirs.
Where sums are not made in the same order, as on most GPUs, trainings that begin alike still drift apart.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import Value
from typing import Any

import numpy as np
import torch
from batchgenerators.dataloading.nondet_multi_threaded_augmenter import NonDetMultiThreadedAugmenter
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader

NUMBER = "number"
"""Where a batch says which one it is."""


def seed_of(*words: object) -> int:
    """A seed from what a training shares with others.

    Examples:
        >>> seed_of("Dataset501_Hippocampus", 0, 1) == seed_of("Dataset501_Hippocampus", 0, 1)
        True
        >>> seed_of("Dataset501_Hippocampus", 0, 1) == seed_of("Dataset501_Hippocampus", 0, 2)
        False
    """
    return int.from_bytes(hashlib.sha256(repr(words).encode()).digest()[:4], "little")


@contextmanager
def seeded(*words: object) -> Iterator[None]:
    """Let Python, NumPy and torch on the CPU draw what the words say, and go on afterwards as if nothing had been."""
    seed, python, numeric = seed_of(*words), random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        try:
            random.seed(seed)
            np.random.seed(seed)
            torch.default_generator.manual_seed(seed)
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numeric)


class SharedLoader(nnUNetDataLoader):
    """Draws batch by batch from its own seed, so that it does not matter which process makes it, or what came before.

    Attributes:
        words: Values that the training shares with others.
        made: Number of batches that all processes have begun.
    """

    def __init__(self, *arguments: Any, words: tuple[object, ...], first: int = 0, **settings: Any) -> None:
        """Make nnU-Net's loader, with the words of the seed and the number of the first batch."""
        super().__init__(*arguments, **settings)
        self.words, self.made = words, Value("q", first)

    def begin_at(self, number: int) -> None:
        """Let the next batch be that of a number; no process may be making one."""
        self.made.value = number

    def generate_train_batch(self) -> dict[str, Any]:
        """A batch that says which one it is."""
        with self.made.get_lock():
            number = self.made.value
            self.made.value += 1
        with seeded(*self.words, number):
            batch: dict[str, Any] = super().generate_train_batch()
        return {**batch, NUMBER: number}


class InOrder(NonDetMultiThreadedAugmenter):
    """nnU-Net's loading processes, whose batches come in the order of their numbers."""

    def __init__(self, data_loader: SharedLoader, *arguments: Any, **settings: Any) -> None:
        """Prepare nnU-Net's loading processes, which start with the first batch that is asked for."""
        super().__init__(data_loader, *arguments, **settings)
        self.next_number: int = data_loader.made.value
        self.early: dict[int, Any] = {}

    def _start(self) -> None:
        if not self.initialized:
            # Batches of processes that have ended are none of those that start.
            self.next_number, self.early = self.generator.made.value, {}
        super()._start()

    def __next__(self) -> Any:
        """The batch whose turn it is."""
        self._start()
        while self.next_number not in self.early:
            batch = super().__next__()
            self.early[batch[NUMBER]] = batch
        self.next_number += 1
        return self.early.pop(self.next_number - 1)
