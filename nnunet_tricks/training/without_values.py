"""Networks of which only names and shapes are asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from nnunet_tricks.training.shared_randomness import seeded

Built = TypeVar("Built")


def without_values(make: Callable[[], Built]) -> Built:
    """What a function builds, without memory for its weights where that is possible.

    Some layers compute numbers while they are built, which torch's meta device cannot. These are built with values.
    Either way no random number is used up.

    Args:
        make: Builds a network, or lists what one has.

    Examples:
        >>> without_values(lambda: torch.nn.Linear(2, 3)).weight.is_meta
        True
        >>> without_values(lambda: torch.unique(torch.ones(3))).is_meta
        False
    """
    with seeded():
        try:
            with torch.device("meta"):
                return make()
        except NotImplementedError:
            return make()
