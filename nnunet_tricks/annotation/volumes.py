"""The choice of the volumes that are annotated at all."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nnunet_tricks.annotation.policies import generator


def chosen(cases: Sequence[str], fraction: float, *, seed: int = 0) -> list[str]:
    """Choose a random share of the volumes, the same for all densities and policies; each contains every smaller one.

    Args:
        cases: Names of all volumes, in any order.
        fraction: Share to take, above 0, at most 1; rounded up to whole volumes.
        seed: Seed of the choice.

    Returns:
        Names in alphabetical order.

    Raises:
        ValueError: If there are no cases, one occurs twice, or the fraction is out of range.

    Examples:
        >>> half = chosen(["a", "b", "c", "d"], 0.5)
        >>> len(half), set(chosen(["d", "c", "b", "a"], 0.25)) < set(half)
        (2, True)
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction of volumes must be above 0 and at most 1, got {fraction:g}")
    names = sorted(set(cases))
    if not names or len(names) != len(cases):
        raise ValueError(
            f"cases must be at least one name, all different, got {len(cases)} of which {len(names)} differ"
        )
    # In binary, 0.1 of 30 is slightly more than 3.
    count = max(1, math.ceil(fraction * len(names) - 1e-9))
    # The name makes this permutation differ from those of slices.
    permutation = generator(seed, "volumes of a data set").permutation(len(names))
    return sorted(names[index] for index in permutation[:count])
