"""What all parts of a run share: device, sizes, rounds and the time that is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from benchmarks.gpu.budget import Budget

LOGITS = {"2d": (12, 3, 512, 512), "3d": (2, 3, 128, 128, 128)}
QUICK = {"2d": (2, 3, 64, 64), "3d": (1, 3, 32, 32, 32)}
"""Batch, classes and patch of a usual run, and of a quick one."""

ROUNDS, QUICK_ROUNDS = 15, 2
STEPS, QUICK_STEPS = 8, 2
CLASSES = 3

Measurements = Iterator[tuple[str, Callable[[], Any]]]
"""What a part measures, one after the other: the name of each result, and the call that makes it."""


class Settings:
    """What all parts share.

    Attributes:
        device: Device to measure on.
        quick: Whether patches are tiny.
        budget: Time that is left.
        networks: Names of networks to measure; None for the usual ones.
    """

    def __init__(self, device: Any, quick: bool, budget: Budget, networks: Sequence[str] | None) -> None:
        """Keep them."""
        self.device, self.quick, self.budget, self.networks = device, quick, budget, networks

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Batch, classes or channels, and patch of both dimensions."""
        return QUICK if self.quick else LOGITS

    @property
    def rounds(self) -> int:
        """Rounds of losses."""
        return QUICK_ROUNDS if self.quick else ROUNDS

    @property
    def steps(self) -> int:
        """Rounds of training steps."""
        return QUICK_STEPS if self.quick else STEPS

    @property
    def is_cuda(self) -> bool:
        """Whether there is a GPU."""
        return bool(self.device.type == "cuda")
