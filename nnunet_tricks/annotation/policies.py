"""Which slices of a volume are annotated: at fixed intervals, at random, or by what they show."""

from __future__ import annotations

import math
from collections.abc import Callable
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

POLICIES = ("fixed", "random", "ual")
OBJECTIVES = ("cover", "kcenter")

_ROUNDING = 1e-9
"""Tolerance for shares such as 0.29, which are stored just below their decimal value: 0.29 of 50 slices is 14.5."""


def number(slices: int, density: float) -> int:
    """Number of slices for a density: the nearest whole number, halves up, and at least one.

    Args:
        slices: Number of slices of the volume.
        density: Share of slices to annotate, above 0, at most 1.

    Raises:
        ValueError: If there is no slice, or the density is out of range.

    Examples:
        >>> number(29, 0.05), number(50, 0.05), number(7, 1)
        (1, 3, 7)
    """
    if slices < 1:
        raise ValueError(f"slices must be at least 1, got {slices}")
    if not 0 < density <= 1:
        raise ValueError(f"density must be above 0 and at most 1, got {density:g}")
    return min(max(math.floor(density * slices + 0.5 + _ROUNDING), 1), slices)


def chosen(
    policy: str,
    slices: int,
    density: float,
    *,
    seed: int = 0,
    case: str = "",
    features: Array | None = None,
    objective: str = "cover",
) -> tuple[int, ...]:
    """Choose the slices to annotate.

    ``fixed`` divides the volume into equal intervals and takes the middle of each. ``random`` takes the first slices of
    a permutation that depends only on seed and case. ``ual`` (unsupervised active learning) takes the first slices in
    an order by their features. These two are nested: the slices of a density are among those of every higher density.
    ``fixed`` is not, since a nested order leaves larger gaps.

    Args:
        policy: ``fixed``, ``random`` or ``ual``.
        slices: Number of slices of the volume.
        density: Share to annotate, above 0, at most 1; see ``number``.
        seed: Seed of ``random``.
        case: Name of the volume, so that each has its own permutation in any order of volumes.
        features: One row per slice, from inferior to superior; only ``ual`` needs it.
        objective: Objective of ``ual``, see ``order``.

    Returns:
        Indices from 0, the most inferior slice, in ascending order.

    Raises:
        ValueError: For an unknown policy or objective, a density out of range, or features that do not fit.

    Examples:
        >>> chosen("fixed", 10, 0.2)
        (2, 7)
        >>> set(chosen("random", 50, 0.1, case="a")) < set(chosen("random", 50, 0.4, case="a"))
        True
    """
    count = number(slices, density)
    if policy == "fixed":
        # In whole numbers: floor((i + 1/2) * slices / count).
        return tuple((2 * i + 1) * slices // (2 * count) for i in range(count))
    if policy == "random":
        permutation = generator(seed, case).permutation(slices)
        return tuple(sorted(int(index) for index in permutation[:count]))
    if policy != "ual":
        raise ValueError(f"policy must be one of {', '.join(POLICIES)}, got '{policy}'")
    if features is None or features.ndim != 2 or len(features) != slices:
        shape = "none" if features is None else "an array of shape " + "x".join(map(str, features.shape))
        raise ValueError(f"policy 'ual' needs features with one row for each of {slices} slices, got {shape}")
    return tuple(sorted(order(features, objective, count)))


def generator(seed: int, case: str) -> np.random.Generator:
    """Random numbers for a volume, the same on every machine and in every order of volumes.

    Raises:
        ValueError: If the seed is negative.
    """
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    return np.random.default_rng(np.random.SeedSequence([seed, crc32(case.encode())]))


def order(features: Array, objective: str, count: int) -> list[int]:
    r"""Order slices greedily, the best first; of equal ones the most inferior first.

    ``cover``, as in Zheng et al. 2019, adds the slice that raises $\sum_k \max_{j \in S} \cos(z_k, z_j)$ most, so that
    every slice resembles a chosen one. ``kcenter``, as in Sener and Savarese 2018, starts with the medoid and adds the
    slice that is farthest from all chosen ones.

    Args:
        features: One row per slice.
        objective: ``cover`` or ``kcenter``.
        count: Number of slices to return.

    Raises:
        ValueError: For an unknown objective.

    Examples:
        >>> views = np.array([[1, 0.0], [1, 0.1], [1, 0.2], [0, 1]])
        >>> order(views, "cover", 2), order(views, "kcenter", 2)
        ([2, 3], [1, 3])
    """
    steps: dict[str, Callable[[Array, int], list[int]]] = {"cover": _cover, "kcenter": _kcenter}
    if objective not in steps:
        raise ValueError(f"objective must be one of {', '.join(OBJECTIVES)}, got '{objective}'")
    return steps[objective](np.asarray(features, np.float64), count)


def _cover(features: Array, count: int) -> list[int]:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit = features / np.where(lengths > 0, lengths, 1)
    alike = unit @ unit.T
    best = np.full(len(features), -1.0)  # the lowest that a cosine can be: nothing is covered yet
    gain = (alike + 1).sum(axis=0)
    ordered: list[int] = []
    for _ in range(count):
        gain[ordered] = -1
        ordered.append(_first_of_the_largest(gain))
        # Gains change only for slices that are now covered better.
        covered = alike[:, ordered[-1]] > best
        before, after = best[covered, None], alike[covered, ordered[-1], None]
        rows = alike[covered]
        gain -= (np.maximum(rows, before) - np.maximum(rows, after) + after - before).sum(axis=0)
        best[covered] = after[:, 0]
    return ordered


def _kcenter(features: Array, count: int) -> list[int]:
    squares = (features**2).sum(axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * features @ features.T, 0))
    ordered = [_first_of_the_largest(-distances.sum(axis=0))]
    nearest = distances[:, ordered[0]].copy()
    for _ in range(count - 1):
        nearest[ordered] = -1
        ordered.append(_first_of_the_largest(nearest))
        nearest = np.minimum(nearest, distances[:, ordered[-1]])
    return ordered


def _first_of_the_largest(values: Array) -> int:
    """Lowest index of the largest values, even if they differ by rounding, so that all machines choose the same."""
    return int(np.flatnonzero(values >= values.max() - _ROUNDING * max(1.0, abs(float(values.max()))))[0])
