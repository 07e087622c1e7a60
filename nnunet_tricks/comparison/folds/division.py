"""Cases divided into parts of which each is like the whole; what belongs together stays together.

Groups are placed one after the other, those with the largest share of anything first: a patient with most of a rare
class cannot wait. Each goes to the part that has least of what the group brings. It is the method of scikit-learn's
``StratifiedGroupKFold``, for any number of properties at once, and it does not change with a version of a library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.utilities.wording import some

COUNT = "cases"
GROUPS = "groups"

WEIGHTS = {COUNT: 1.0, GROUPS: 0.25}
"""Weights of how even parts should be in the numbers of cases and groups, beside 1 for what is asked for."""


@dataclass(frozen=True)
class CaseProperties:
    """The cases of a data set, and what is known of them.

    Attributes:
        names: Names, sorted.
        groups: Group of each case, such as its patient; each case for itself if there are none.
        properties: Amounts by property, one for each case: 1 where it has a class or is of a stratum, or a volume.
    """

    names: tuple[str, ...]
    groups: Mapping[str, str]
    properties: Mapping[str, Sequence[float]]

    def group_of(self, case: str) -> str:
        """The group of a case."""
        return self.groups.get(case, case)

    def only(self, names: Sequence[str]) -> CaseProperties:
        """Some of the cases, with what is known of them."""
        places = {name: place for place, name in enumerate(self.names)}
        properties = {name: [amounts[places[case]] for case in names] for name, amounts in self.properties.items()}
        return CaseProperties(tuple(names), self.groups, properties)


def divided(cases: CaseProperties, shares: Sequence[float], *, seed: int, what: str = "folds") -> list[tuple[str, ...]]:
    """Divide cases into parts.

    Args:
        cases: Cases with their groups and properties.
        shares: Share of the cases that each part gets; together 1.
        seed: Seed of what is left to chance.
        what: Words for the parts, for messages.

    Returns:
        The cases of each part, sorted.

    Raises:
        ValueError: If there are fewer groups than parts, or a part gets no case.
    """
    members: dict[str, list[int]] = {}
    for place, case in enumerate(cases.names):
        members.setdefault(cases.group_of(case), []).append(place)
    if len(members) < len(shares):
        kind = "cases" if len(members) == len(cases.names) else "groups"
        raise ValueError(f"{len(members)} {kind} cannot be divided into {len(shares)} {what}: {some(sorted(members))}")
    names = sorted(members)
    columns, weights = _columns(cases, [members[name] for name in names])
    places = _placed(columns, weights, np.asarray(shares), np.random.default_rng(seed))
    _evened(places, columns, weights, np.asarray(shares), len(cases.names))
    parts = [
        tuple(
            sorted(
                cases.names[place]
                for name, part in zip(names, places, strict=True)
                if part == number
                for place in members[name]
            )
        )
        for number in range(len(shares))
    ]
    if not all(parts):
        if len(members) == len(cases.names):
            raise ValueError(
                f"a share of {min(shares):g} of {len(members)} cases leaves one of {len(shares)} {what} empty"
            )
        raise ValueError(f"the groups are too large for {len(shares)} {what}: one of them gets no case")
    return parts


def _columns(cases: CaseProperties, groups: Sequence[Sequence[int]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Each group's share of everything, and how much it weighs; cases come first."""
    table = np.asarray(list(cases.properties.values()), float).reshape(-1, len(cases.names)).T
    sums = np.asarray([[len(group), 1.0, *table[list(group)].sum(0)] for group in groups])
    totals = sums.sum(0)
    kept = totals > 0
    weights = np.asarray([*WEIGHTS.values(), *[1.0] * table.shape[1]])
    return sums[:, kept] / totals[kept], weights[kept]


def _placed(
    columns: NDArray[np.float64], weights: NDArray[np.float64], shares: NDArray[np.float64], chance: np.random.Generator
) -> NDArray[np.int64]:
    order = chance.permutation(len(columns))
    order = order[np.argsort(-columns[order].max(1), kind="stable")]
    loads = np.zeros((len(shares), columns.shape[1]))
    places = np.zeros(len(columns), np.int64)
    for group in order:
        row = columns[group]
        # How much the sum of squared deviations grows, (load / share - 1)^2 share.
        growth = (2 * ((loads - shares[:, None]) @ (weights * row)) + weights @ row**2) / shares
        part = int(np.lexsort((loads[:, 0] / shares, np.round(growth, 12)))[0])
        places[group] = part
        loads[part] += row
    return places


def _evened(
    places: NDArray[np.int64],
    columns: NDArray[np.float64],
    weights: NDArray[np.float64],
    shares: NDArray[np.float64],
    count: int,
) -> None:
    """Move groups from the largest part to the smallest while that makes their numbers of cases more even."""
    sizes = np.rint(columns[:, 0] * count)
    loads = np.stack([columns[places == part].sum(0) for part in range(len(shares))])
    while True:
        excess = loads[:, 0] * count - shares * count
        largest, smallest = int(excess.argmax()), int(excess.argmin())
        gap = excess[largest] - excess[smallest]
        members = np.flatnonzero((places == largest) & (sizes < gap - 1e-9))
        if gap <= 1 + 1e-9 or not len(members) or (places == largest).sum() < 2:
            return
        moved = columns[members]  # each of these makes the sum of squared deviations smaller
        less = (-2 * (moved @ (weights * (loads[largest] - shares[largest]))) + (moved**2) @ weights) / shares[largest]
        more = (2 * (moved @ (weights * (loads[smallest] - shares[smallest]))) + (moved**2) @ weights) / shares[
            smallest
        ]
        group = members[int((less + more).argmin())]
        loads[largest] -= columns[group]
        loads[smallest] += columns[group]
        places[group] = smallest
