"""The situations in which a trainer must work, and a selection that covers every pair. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from itertools import combinations, product

LABEL_MODES = ("labels", "labels+ignore", "regions", "regions+ignore")
"""Classes that exclude each other or overlap (``regions``), with or without unannotated voxels (``ignore``)."""

DIMENSIONS = ("2d", "3d", "cascade")
"""RGB images, anisotropic volumes, and the second stage of a cascade whose first stage the same trainer trains."""

DEEP_SUPERVISION = (True, False)


@dataclass(frozen=True, order=True)
class Situation:
    """A situation that nnU-Net can put a trainer in.

    Attributes:
        labels: One of ``LABEL_MODES``.
        dimension: One of ``DIMENSIONS``.
        deep_supervision: Whether the trainer's switch ``enable_deep_supervision`` is left on.
    """

    labels: str
    dimension: str
    deep_supervision: bool

    def __str__(self) -> str:
        """Short and unique, for tables and test names.

        Examples:
            >>> str(Situation("regions+ignore", "3d", False))
            '3d regions+ignore no-ds'
        """
        return f"{self.dimension} {self.labels} {'ds' if self.deep_supervision else 'no-ds'}"

    @property
    def regions(self) -> bool:
        """Whether classes overlap."""
        return self.labels.startswith("regions")

    @property
    def ignore(self) -> bool:
        """Whether there are voxels without annotation."""
        return self.labels.endswith("ignore")


FULL_GRID = tuple(Situation(*values) for values in product(LABEL_MODES, DIMENSIONS, DEEP_SUPERVISION))
"""Every situation."""


def pairwise(grid: Sequence[Situation] = FULL_GRID) -> tuple[Situation, ...]:
    """Few situations of ``grid`` that have every pair of values that ``grid`` has.

    Most faults of a trainer need two circumstances at once ("regions", "no deep supervision"), and hardly any needs
    three. The selection is greedy and deterministic: it adds the first situation that has the most new pairs.

    Args:
        grid: The situations to select from.

    Returns:
        The selection, in the order of ``grid``.

    Examples:
        >>> len(FULL_GRID), len(pairwise())
        (24, 12)
    """
    missing = set().union(*map(_pairs, grid)) if grid else set()
    chosen: list[Situation] = []
    while missing:
        chosen.append(max(grid, key=lambda situation: len(_pairs(situation) & missing)))
        missing -= _pairs(chosen[-1])
    return tuple(situation for situation in grid if situation in chosen)


def _pairs(situation: Situation) -> set[tuple[tuple[int, object], ...]]:
    return set(combinations(enumerate(astuple(situation)), 2))
