"""Splits without leaks: a group is never on both sides. Standard library only, so they are equal on every machine."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

Fold = dict[str, list[str]]


def grouped_parts(groups: Mapping[str, str], count: int, seed: int) -> list[list[str]]:
    """Deal cases into parts of nearly equal size, whole groups at a time.

    Args:
        groups: Group of each case.
        count: Number of parts; there are fewer if there are fewer groups.
        seed: Seed of the order in which groups of one size are dealt.

    Returns:
        Sorted case ids of each part.

    Examples:
        >>> grouped_parts({"a1": "a", "a2": "a", "b1": "b", "b2": "b"}, 2, seed=1)
        [['b1', 'b2'], ['a1', 'a2']]
    """
    members: dict[str, list[str]] = {}
    for case in sorted(groups):
        members.setdefault(groups[case], []).append(case)
    order = sorted(members)
    random.Random(seed).shuffle(order)
    # The largest group goes first, to the smallest part: parts differ by no more than the largest group.
    order.sort(key=lambda name: -len(members[name]))
    parts: list[list[str]] = [[] for _ in range(min(count, len(members)))]
    for name in order:
        min(parts, key=len).extend(members[name])
    return [sorted(part) for part in parts]


def cross_validation(groups: Mapping[str, str], count: int, seed: int) -> list[Fold]:
    """Make folds in nnU-Net's form: each part validates one fold; no folds with fewer than two groups."""
    parts = grouped_parts(groups, count, seed)
    if len(parts) < 2:
        return []
    return [{"train": sorted(set(groups) - set(part)), "val": part} for part in parts]


def nested(
    groups: Mapping[str, str], count: int, seed: int, validation: float = 0.1
) -> tuple[list[Fold], list[list[str]]]:
    """Make folds of the tricks paper's scheme: each has its own test part, and a tenth of the rest validates.

    Returns:
        The folds, and the test ids of each.
    """
    tests = grouped_parts(groups, count, seed)
    folds = []
    for number, test in enumerate(tests):
        tested = set(test)
        rest = {case: group for case, group in groups.items() if case not in tested}
        # So many parts that one of them is about the wanted share.
        parts = grouped_parts(rest, round(1 / validation), seed + 1 + number)
        if len(parts) < 2:
            return [], []
        validated = min(parts, key=lambda part: (abs(len(part) - validation * len(rest)), part))
        folds.append({"train": sorted(set(rest) - set(validated)), "val": validated})
    return folds, tests


def by_part(parts: Mapping[str, str], folds: Sequence[tuple[str, ...]]) -> list[Fold]:
    """Make folds by the data set's own parts.

    Args:
        parts: Part of each case.
        folds: For each fold, the parts that validate; all others train.
    """
    return [
        {
            "train": sorted(case for case, part in parts.items() if part not in validating),
            "val": sorted(case for case, part in parts.items() if part in validating),
        }
        for validating in folds
    ]


def spanning(groups: Mapping[str, str], parts: Mapping[str, str]) -> dict[str, list[str]]:
    """Find groups in more than one part, with their cases: they leak if the parts are used as a split."""
    members: dict[str, list[str]] = {}
    for case in sorted(groups):
        members.setdefault(groups[case], []).append(case)
    return {group: cases for group, cases in sorted(members.items()) if len({parts[case] for case in cases}) > 1}


def joined(groups: Mapping[str, str], links: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Join the groups of cases that are linked, such as duplicates. A joined group has its lowest group's name.

    Examples:
        >>> joined({"a": "1", "b": "2", "c": "3"}, [("a", "c")])
        {'a': '1', 'b': '2', 'c': '1'}
    """
    parent = {group: group for group in groups.values()}

    def root(group: str) -> str:
        while parent[group] != group:
            parent[group] = parent[parent[group]]
            group = parent[group]
        return group

    for case, linked_case in links:
        low, high = sorted((root(groups[case]), root(groups[linked_case])))
        parent[high] = low
    return {case: root(group) for case, group in groups.items()}
