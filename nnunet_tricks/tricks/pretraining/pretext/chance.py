"""Random decisions of pretext tasks, from one seed for each step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Chance:
    """Draws decisions on the CPU, so that no GPU is waited for, and random voxels where the images are.

    Attributes:
        device: Device of the images.

    Examples:
        >>> chance = Chance(3, torch.device("cpu"))
        >>> chance.yes(1.0), chance.yes(0.0), chance.whole(4, 4)
        (True, False, 4)
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        """Begin at a seed."""
        self.device = device
        self._decisions = torch.Generator().manual_seed(seed)
        self._voxels = torch.Generator(device).manual_seed(seed)

    def yes(self, probability: float) -> bool:
        """Whether something with this probability happens."""
        return bool(torch.rand((), generator=self._decisions) < probability)

    def whole(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, both included."""
        return int(torch.randint(low, high + 1, (), generator=self._decisions))

    def numbers(self, *shape: int) -> Tensor:
        """Decisions: numbers from 0 to 1 on the CPU."""
        return torch.rand(shape, generator=self._decisions)

    def order(self, count: int) -> Tensor:
        """The numbers below ``count`` in a random order, on the device."""
        return torch.randperm(count, generator=self._voxels, device=self.device)

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """Voxels from 0 to 1 on the device."""
        return torch.rand(tuple(shape), generator=self._voxels, device=self.device)

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Voxels with mean 0 and deviation 1 on the device."""
        return torch.randn(tuple(shape), generator=self._voxels, device=self.device)
